"""Conflicts: which LUNs carry the same PV, which of them is the original, and why one thinks so."""

from relun.core.errors import FormatError
from relun.core.hints import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple
from relun.core.physical import PhysicalLun, read_journal
from relun.core.repository import IN_PROGRESS, Repository
from relun.core.sysfs import BlockNode

ORIGINAL, CLONE, UNRESOLVED = "original", "clone", "unresolved"


class Copy(NamedTuple):
    """A LUN that has a PV others have too. ``role``: original, clone, unresolved, in-progress."""

    path: str
    role: str
    reasons: Tuple[str, ...]


class Conflict(NamedTuple):
    """A PV that is there more than once."""

    pv_uuid: str
    vg_name: str
    sr_uuid: str
    copies: Tuple[Copy, ...]


class _Candidate(NamedTuple):
    path: str
    pv_uuid: str
    vg_name: str
    sr_uuid: str
    in_progress: bool
    in_use: Tuple[str, ...]  # LVs active through it
    hinted: bool  # the metadata text names this very device
    seqno: int


def find_conflicts(
    found: Sequence[Tuple[Repository, Optional[BlockNode]]],
) -> Tuple[Conflict, ...]:
    """Return the PVs that stand on several of these LUNs; each repository was read from one LUN."""
    groups: Dict[str, List[_Candidate]] = {}
    for repository, node in found:
        candidate = _candidate(repository, node)
        if candidate:
            groups.setdefault(candidate.pv_uuid, []).append(candidate)
    return tuple(
        Conflict(
            pv_uuid,
            _first(candidate.vg_name for candidate in group),
            _first(candidate.sr_uuid for candidate in group),
            _roles(group),
        )
        for pv_uuid, group in groups.items()
        if len(group) > 1
    )


def _candidate(repository: Repository, node: Optional[BlockNode]) -> Optional[_Candidate]:
    lun = repository.luns[0]
    if lun.marker:
        return _Candidate(lun.device.path, _hidden_pv(lun), "", "", True, (), False, 0)
    if lun.label is None or repository.vg is None:
        return None
    hint = ""
    for pv in repository.vg.pvs.values():
        if pv.uuid == lun.label.pv_uuid:
            hint = pv.device_hint
    return _Candidate(
        lun.device.path,
        lun.label.pv_uuid,
        repository.vg.name,
        repository.sr_uuid,
        False,
        node.logical_volumes if node else (),
        hint == lun.device.path or _names_lun(hint, node),
        repository.vg.seqno,
    )


def _names_lun(hint: str, node: Optional[BlockNode]) -> bool:
    """Tell whether a path such as /dev/mapper/<SCSI id> or …/by-id/scsi-<SCSI id> is the LUN's."""
    if node is None or not node.scsi_id:
        return False
    return hint.endswith(("/" + node.scsi_id, "-" + node.scsi_id))


def _hidden_pv(lun: PhysicalLun) -> str:
    """The PV uuid that an in-progress LUN had as a clone."""
    assert lun.marker is not None
    try:
        change = read_journal(lun.device, lun.marker.region, lun.marker.digest)
        return change.pv_uuids[lun.marker.member]
    except (FormatError, IndexError):
        return lun.marker.switch_pv


def _roles(group: Sequence[_Candidate]) -> Tuple[Copy, ...]:
    settled = [candidate for candidate in group if not candidate.in_progress]
    original, reason = _original(settled)
    copies = []
    for candidate in group:
        if candidate.in_progress:
            copies.append(Copy(candidate.path, IN_PROGRESS, ("relun's marker stands on it",)))
        elif original is None:
            copies.append(Copy(candidate.path, UNRESOLVED, (reason,)))
        elif candidate is original:
            copies.append(Copy(candidate.path, ORIGINAL, (reason,)))
        else:
            copies.append(
                Copy(candidate.path, CLONE, ("{} is the original".format(original.path),))
            )
    return tuple(copies)


def _original(group: Sequence[_Candidate]) -> Tuple[Optional[_Candidate], str]:
    """Return the one original and the reason, from the strongest evidence to the weakest."""
    in_use = [c for c in group if c.in_use]
    if len(in_use) == 1:
        return in_use[0], "its volumes are active: " + ", ".join(in_use[0].in_use[:3])
    if len(in_use) > 1:
        return None, "volumes are active on several of them"
    hinted = [c for c in group if c.hinted]
    if len(hinted) == 1:
        return hinted[0], "the LVM metadata names this device"
    newest = max(c.seqno for c in group) if group else 0
    latest = [c for c in group if c.seqno == newest]
    if len(latest) == 1 and len(group) > 1:
        return latest[0], "its LVM metadata is newer (seqno {})".format(newest)
    return None, "nothing tells them apart; their LVM metadata is the same"


def _first(values: Iterable[str]) -> str:
    return next((value for value in values if value), "")
