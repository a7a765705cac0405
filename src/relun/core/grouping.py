"""Which LUNs belong together: several PVs of one VG, or the members of one interrupted run.

A VG of one PV never joins others, so clones of such a LUN stay apart. Of a VG with several PVs all
LUNs with its uuid come together, also when a PV stands twice: ``repository`` refuses that.
"""

from relun.core.device import Device
from relun.core.errors import FormatError
from relun.core.hints import Dict, List, NamedTuple, Sequence, Tuple
from relun.core.lvm2.vg import shown_uuid
from relun.core.physical import PhysicalLun, read_journal, read_lun

_UUID_SHOWN = 38
_ID = b'id = "'
_PV = b"pe_start = "


class Membership(NamedTuple):
    """What one LUN says of its company; empty where it says nothing."""

    pv_uuid: bytes = b""  # as the text shows it
    vg_uuid: bytes = b""
    company: Tuple[bytes, ...] = ()  # ids in the text of a VG with several PVs
    label: bytes = b""  # the label's sector
    journal: bytes = b""  # digest of the journal of what was interrupted
    member: int = 0  # the LUN's number in it
    run: bytes = b""  # token of the run that was interrupted
    run_labels: Tuple[bytes, ...] = ()  # old and new labels of the journal's members


def membership(device: Device) -> Membership:
    """Read what a LUN says of its company. Raise DeviceError when it cannot be read."""
    lun = read_lun(device, [])
    if lun.marker:
        return _of_marker(lun)
    if lun.label is None:
        return Membership()
    pv_uuid = shown_uuid(lun.label.pv_uuid).encode("latin-1")
    ids = [part[:_UUID_SHOWN] for part in lun.text.split(_ID)[1:]]
    if not ids:
        return Membership(pv_uuid, label=lun.label.raw)
    company = tuple(ids) if lun.text.count(_PV) > 1 else ()
    return Membership(pv_uuid, ids[0], company, lun.label.raw)


def group(found: Sequence[Membership]) -> List[List[int]]:
    """Return the numbers of the LUNs, those of one SR together, ordered by the first of each."""
    groups: Dict[bytes, List[int]] = {}
    for number, member in enumerate(found):
        key = _run_of(member, found) or _vg_of(member, found) or str(number).encode("ascii")
        groups.setdefault(key, []).append(number)
    return list(groups.values())


def _of_marker(lun: PhysicalLun) -> Membership:
    assert lun.marker is not None
    if lun.marker.members == 1:
        return Membership()
    labels: List[bytes] = []
    if lun.marker.is_switch:
        try:
            change = read_journal(lun.device, lun.marker.region, lun.marker.digest)
            labels = [data for edit in change.labels for data in (edit.old, edit.new)]
        except FormatError:
            pass  # recover says so
    marker = lun.marker
    return Membership(
        journal=marker.digest, member=marker.member, run=marker.token, run_labels=tuple(labels)
    )


def _run_of(member: Membership, found: Sequence[Membership]) -> bytes:
    """Return what the LUNs of an interrupted run have in common.

    That is the journal: a recover that breaks off leaves its own token on some of them only. The
    token tells apart two clones that were resigned to one SR uuid, whose journals are the same.
    """
    if member.journal:
        numbers = [other.member for other in found if other.journal == member.journal]
        once = len(set(numbers)) == len(numbers)
        return b"run " + (member.journal if once else member.run)
    if not member.label:
        return b""
    others = [other for other in found if member.label in other.run_labels]
    return _run_of(others[0], found) if others else b""


def _vg_of(member: Membership, found: Sequence[Membership]) -> bytes:
    if member.company:
        return member.vg_uuid
    if member.vg_uuid or not member.pv_uuid:
        return b""
    return next((other.vg_uuid for other in found if member.pv_uuid in other.company), b"")
