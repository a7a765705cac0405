"""May this LUN be attached, and what is left to do? What stands on it, held against the pool."""

from relun.core.options import Options
from relun.core.repository import IN_PROGRESS
from relun.pool.errors import PoolRefused
from relun.pool.known import Known
from relun.pool.lun import Seen
from relun.pool.marks import ATTACHED


def judge(seen: Seen, known: Known, options: Options, known_only: bool, where: str) -> bool:
    """Tell whether the LUN has an identity of its own already.

    ``known_only``: an SR that nothing proves to be a copy is refused. Raise PoolRefused.
    """
    sr = known.sr(seen.sr_uuid)
    others = [user for user in known.users_of(seen.scsi_id) if user != sr]
    if others:
        names = [_name(known, user) for user in others]
        raise PoolRefused("pool-lun-used", lun=where, scsi_id=seen.scsi_id, srs=names)
    if seen.state == IN_PROGRESS:
        _expect_uuid(seen, options, where)
        return False
    owners = known.scsi_ids_of(sr)
    if seen.here or (sr and seen.scsi_id in owners and ATTACHED in known.srs[sr]["other_config"]):
        _expect_uuid(seen, options, where)
        if owners and seen.scsi_id not in owners:
            raise PoolRefused("pool-sr-known", sr_uuid=seen.sr_uuid, luns=owners)
        return True
    _expect_clone(seen, known, sr, known_only, where)
    new = options.sr_uuid or options.id_map.get(seen.sr_uuid, "")
    if known.sr(new):
        raise PoolRefused("pool-sr-known", sr_uuid=new, luns=known.scsi_ids_of(known.sr(new)))
    return False


def _expect_clone(seen: Seen, known: Known, sr: str, known_only: bool, where: str) -> None:
    """Raise PoolRefused for the original itself, and for what may be one."""
    owners = known.scsi_ids_of(sr)
    fields = {"lun": where, "scsi_id": seen.scsi_id, "sr_uuid": seen.sr_uuid}
    if sr and seen.scsi_id in owners:
        raise PoolRefused("pool-original", **fields, sr=_name(known, sr))
    if seen.hint == seen.scsi_id:
        raise PoolRefused("pool-original-hint", **fields)
    if known_only and not owners and not seen.hint:
        raise PoolRefused("pool-origin", **fields)


def _expect_uuid(seen: Seen, options: Options, where: str) -> None:
    """Raise PoolRefused when the LUN was resigned to another SR uuid than is asked for."""
    if options.sr_uuid and seen.sr_uuid and options.sr_uuid != seen.sr_uuid:
        fields = {"lun": where, "sr_uuid": seen.sr_uuid, "wanted": options.sr_uuid}
        raise PoolRefused("pool-sr-other", **fields)


def _name(known: Known, sr: str) -> str:
    return f"{known.srs[sr]['name_label']} ({known.srs[sr]['uuid']})"
