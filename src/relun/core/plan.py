"""Plan: the complete list of byte edits a resign will make, built before a byte is written."""

from relun.core.edit import Change, Edit, changed_runs, in_order
from relun.core.errors import Refused
from relun.core.finding import REFUSE, Finding, refusals
from relun.core.hints import Dict, List, NamedTuple, Sequence, Set, Tuple
from relun.core.identity import Identity, check_overrides, random_uuid
from relun.core.journal.marker import MOST_MEMBERS, fits_marker
from relun.core.names import is_uuid
from relun.core.options import Options
from relun.core.repository import Repository
from relun.core.rewrite import dropping, images, lvm
from relun.core.space import Space, find_space


class Plan(NamedTuple):
    """``change`` is what will be written, ``space`` where its journal goes."""

    repository: Repository
    identity: Identity
    change: Change
    space: Space
    dropped: Tuple[str, ...]  # LV names
    findings: Tuple[Finding, ...]

    @property
    def new_ids(self) -> Dict[str, Dict[str, str]]:
        """Old -> new of every id, by kind: sr, vdi, image, lvm."""
        return {kind: self.identity.given(kind) for kind in ("sr", "vdi", "image", "lvm")}

    @property
    def edits(self) -> Tuple[Edit, ...]:
        """All edits of the LUNs but those of relun's own journal, labels last."""
        return self.change.edits + self.change.labels


def build_plan(repository: Repository, options: Options) -> Plan:
    """Return the plan for a resign. Raise Refused with every finding that forbids it."""
    identity = _identity(repository, options)
    findings = [f for f in repository.findings if not options.lifts(f.code)]
    if options.drop_snapshots:  # what a pending clone_ or leaf_ will need is not known
        findings += [
            Finding("drop-with-journals", REFUSE, f.where, f.offset)
            for f in repository.findings
            if f.code == "journal-undo"
        ]
    if refusals(findings):
        raise Refused("refused", refusals(findings), device=repository.devices[0].path)
    assert repository.vg is not None
    dropped = dropping.volumes_to_drop(repository, options)
    edits = _volume_edits(repository, identity, options, dropped, findings)
    name = repository.vg.name.replace(repository.sr_uuid, identity.sr(repository.sr_uuid))
    text = lvm.new_text(repository.vg, identity, dropped, name, options.device_hint)
    lvm_edits = {
        number: lvm.area_edits(number, lun, text) for number, lun in enumerate(repository.luns)
    }
    labels = tuple(
        lvm.label_edit(number, lun, identity) for number, lun in enumerate(repository.luns)
    )
    _expect_room(repository, labels)
    identity.check()
    edits += [run for found in lvm_edits.values() for edit in found for run in changed_runs(edit)]
    change = Change(
        repository.sr_uuid,
        identity.new_sr,
        0,
        tuple(lun.label.pv_uuid for lun in repository.luns if lun.label),
        repository.vg.seqno,
        tuple(lun.pointer_sector for lun in repository.luns),
        labels,
        in_order(edits),
    )
    space = find_space(repository, change, lvm_edits)
    return Plan(repository, identity, space.change, space, tuple(sorted(dropped)), tuple(findings))


def _expect_room(repository: Repository, labels: Sequence[Edit]) -> None:
    """Raise Refused (label-room, members-many) for what relun's marker has no room for."""
    if len(labels) > MOST_MEMBERS:
        raise Refused(
            "members-many", device=repository.devices[0].path, luns=len(labels), most=MOST_MEMBERS
        )
    for label in labels:
        if not fits_marker(label.old):
            device = repository.devices[label.device]
            raise Refused("label-room", device=device.path, offset=label.offset)


def _identity(repository: Repository, options: Options) -> Identity:
    overrides = check_overrides(options.id_map)
    mapped = overrides.pop(repository.sr_uuid, "")
    new_sr = options.sr_uuid or mapped or random_uuid()
    if not is_uuid(new_sr):
        raise Refused("sr-uuid-invalid", uuid=new_sr)
    if new_sr == repository.sr_uuid:
        raise Refused("sr-uuid-same", uuid=new_sr)
    if mapped and options.sr_uuid and mapped != options.sr_uuid:
        raise Refused("map-invalid", old=repository.sr_uuid, new=mapped)
    return Identity(repository.sr_uuid, new_sr, overrides)


def _volume_edits(
    repository: Repository,
    identity: Identity,
    options: Options,
    dropped: Set[str],
    findings: List[Finding],
) -> List[Edit]:
    reader = repository.reader()
    edits: List[Edit] = []
    for volume in repository.volumes:
        if volume.name.kind == "mgt":
            gone = dropping.dropped_vdis(repository, dropped)
            patches = _mgt_patches(repository, identity, options, gone, findings)
        elif volume.lv.name in dropped:
            patches = images.wipe_patches(volume)
        else:
            patches = images.patches(volume, identity)
        for patch in patches:
            position = 0
            for place in reader.places(volume.lv, patch.offset, len(patch.old)):
                end = position + place.length
                what = "{}: {}".format(volume.lv.name, patch.what)
                old, new = patch.old[position:end], patch.new[position:end]
                edits += changed_runs(Edit(place.device, place.offset, old, new, what))
                position = end
    return edits


def _mgt_patches(
    repository: Repository,
    identity: Identity,
    options: Options,
    gone: Set[str],
    findings: List[Finding],
) -> "Sequence[images.Patch]":
    from relun.core.rewrite.mgt import MgtRewrite, dead_records

    assert repository.mgt is not None
    if options.force_mgt:
        gone = gone | dead_records(repository.findings)
    rewrite = MgtRewrite(repository.mgt.content, identity, options)
    try:
        patches = rewrite.patches(gone)
    except ValueError as error:
        raise Refused("mgt-room", device=repository.devices[0].path) from error
    findings += rewrite.findings
    return patches
