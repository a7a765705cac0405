"""Which volumes go when snapshots or CBT logs are dropped."""

from relun.core.hints import Dict, Iterable, Optional, Set
from relun.core.options import Options
from relun.core.repository import Repository
from relun.core.volume import Volume


def volumes_to_drop(repository: Repository, options: Options) -> Set[str]:
    """Return the names of the LVs to drop.

    Snapshots go with the base images that nothing else needs; never an image that a VDI which
    remains is based on. CBT logs go with snapshots, for the chain of logs is broken then, and the
    journals of what goes.
    """
    dropped: Set[str] = set()
    if options.drop_snapshots or options.drop_cbt:
        dropped |= {v.lv.name for v in repository.volumes if v.name.kind == "cbtlog"}
    if options.drop_snapshots:
        dropped |= _snapshots(repository)
        gone = {v.name.vdi for v in repository.volumes if v.lv.name in dropped and v.name.is_image}
        dropped |= {
            v.lv.name
            for v in repository.volumes
            if v.name.kind in ("journal", "jvhd") and v.name.vdi in gone
        }
    return dropped


def dropped_vdis(repository: Repository, dropped: Set[str]) -> Set[str]:
    """Return the VDIs that nothing stands for any more once the LVs ``dropped`` are gone."""
    gone = {v.name.vdi for v in repository.volumes if v.lv.name in dropped}
    left = {
        v.name.vdi
        for v in repository.volumes
        if v.lv.name not in dropped and (v.name.is_image or v.name.kind == "cbtlog")
    }
    return gone - left


def _snapshots(repository: Repository) -> Set[str]:
    by_lv = {volume.lv.name: volume for volume in repository.volumes}
    snapshots = _snapshot_vdis(repository)
    images = [volume for volume in repository.volumes if volume.name.is_image]
    leaving = [volume for volume in images if volume.name.vdi in snapshots]
    staying = [v for v in images if v.name.vdi not in snapshots and not v.hidden]
    return _with_ancestors(leaving, by_lv) - _with_ancestors(staying, by_lv)


def _snapshot_vdis(repository: Repository) -> Set[str]:
    mgt = repository.mgt
    if mgt is None or mgt.content is None:
        return set()
    return {
        record.uuid
        for record in mgt.content.records
        if record.live and not record.deleted and record.elements.get("is_a_snapshot") == "1"
    }


def _with_ancestors(volumes: Iterable[Volume], by_lv: Dict[str, Volume]) -> Set[str]:
    found: Set[str] = set()
    for volume in volumes:
        current: Optional[Volume] = volume
        while current is not None and current.lv.name not in found:
            found.add(current.lv.name)
            parent = current.parent
            current = by_lv.get(parent.lv_name) if parent else None
    return found
