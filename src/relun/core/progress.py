"""Transactions found on LUNs: interrupted, finished, and journals that never came to use."""

from relun.core.device import Device
from relun.core.digest import sha1
from relun.core.edit import Change
from relun.core.errors import DeviceError, FormatError, Interrupted, Refused
from relun.core.hints import Dict, List, Sequence, Tuple
from relun.core.journal.marker import CLEAR, RESIGN, SECTOR, Marker, Region
from relun.core.journal.payload import unpack_change
from relun.core.journal_store import JournalStore, forget, write_flushed
from relun.core.physical import PhysicalLun, read_journal, read_payload
from relun.core.repository import Repository
from relun.core.rewrite.lvm import free_ring
from relun.core.transaction import (
    Transaction,
    finish_undo,
    interrupted,
    new_run,
    refresh,
    restore_member,
)


def is_forward(repository: Repository) -> bool:
    """Tell whether what was interrupted is a resign (else an undo)."""
    return _marker(_switch_lun(repository)).direction == RESIGN


def only_clears(repository: Repository) -> bool:
    """Tell whether an undo is all done but for the journal's space and the label."""
    return _marker(_switch_lun(repository)).direction == CLEAR


def clear(repository: Repository) -> None:
    """Finish such an undo. Raise Interrupted when that breaks off, or a LUN is missing."""
    switch = _switch_lun(repository)
    marker = _marker(switch)
    if len(repository.luns) < marker.members:
        missing = ["{} of {} LUNs".format(marker.members - len(repository.luns), marker.members)]
        raise Interrupted("members-missing", device=switch.device.path, missing=missing)
    if marker.members > 1:
        _restore_members(repository, switch)
    finish_undo(switch.device, switch.marker_offset, marker)
    refresh(switch.device)


def _restore_members(repository: Repository, switch: PhysicalLun) -> None:
    """Give the other LUNs their labels; from then on the LUN with the journal stands alone."""
    marker = _marker(switch)
    try:
        for lun in repository.luns:
            if lun.marker and not lun.marker.is_switch and lun.marker.digest == marker.digest:
                restore_member(lun.device, lun.marker_offset, lun.marker)
                refresh(lun.device)
        alone = marker._replace(members=1)
        write_flushed(switch.device, switch.marker_offset, alone.pack())
    except DeviceError as error:
        raise interrupted(switch.device, error) from error


def resumed(repository: Repository) -> Transaction:
    """Return the interrupted transaction, ready to go forward or back.

    Raise Interrupted (journal-damaged, members-missing).
    """
    lun = _switch_lun(repository)
    marker = _marker(lun)
    try:
        change = read_journal(lun.device, marker.region, marker.digest)
    except FormatError as error:
        raise Interrupted("journal-damaged", device=lun.device.path, cause=error) from error
    missing, devices = _ordered(repository.luns, change, marker.region.tag)
    if missing:
        raise Interrupted("members-missing", device=lun.device.path, missing=missing)
    standing = lun.head[lun.marker_offset : lun.marker_offset + SECTOR]
    return Transaction(devices, change, new_run(marker.region, marker.digest), standing)


def finished(repository: Repository) -> Transaction:
    """Return the transaction that made the SR what it is, ready to go back.

    Raise Refused: undo-gone when its journal is no more (LVM wrote over it, or it was sealed),
    undo-changed when the SR was used since, members-missing.
    """
    for lun in repository.luns:
        if not lun.pointer or lun.pointer.begun or not lun.pointer.region.here:
            continue
        region = lun.pointer.region
        try:
            payload = read_payload(lun.device, region)
            change = unpack_change(payload)
        except FormatError:
            continue
        missing, devices = _ordered(repository.luns, change, region.tag)
        if missing:
            raise Refused("members-missing", device=lun.device.path, missing=missing)
        _expect_unused(devices, change)
        digest = sha1(payload).digest()  # packed anew it might differ: there are several zlibs
        standing = change.labels[change.switch].new
        return Transaction(devices, change, new_run(region, digest), standing)
    path = repository.luns[0].device.path
    if not any(lun.pointer and lun.pointer.region.here for lun in repository.luns):
        raise Refused("members-missing", device=path, missing=["the LUN with the journal"])
    raise Refused("undo-gone", device=path)


def clear_leftover(repository: Repository) -> bool:
    """Take away a journal whose resign never hid the LUN. Tell whether there was one.

    Only while LVM has written nothing since: later its texts may lie where the journal was, and
    then only stash and pointer go. The same for a pointer into what LVM uses: relun wrote no such.
    """
    found = False
    for number, lun in enumerate(repository.luns):
        if not lun.pointer or not lun.pointer.begun:
            continue
        found = True
        if not lun.pointer.region.here:
            forget(lun.device, lun.pointer.previous)
            continue
        untouched = (
            lun.label is not None
            and lun.label.pv_uuid == lun.pointer.pv_uuid
            and repository.vg is not None
            and repository.vg.seqno == lun.pointer.seqno
            and _lies_free(repository, number, lun.pointer.region)
        )
        store = JournalStore(lun.device, lun.pointer.region)
        if untouched:
            store.withdraw(lun.pointer.previous)
        else:
            store.abandon(lun.pointer.previous)
    return found


def _lies_free(repository: Repository, number: int, region: Region) -> bool:
    """Tell whether a journal lies where ``space`` puts them, and nothing of LVM's does."""
    parts = repository.behind_extents(number)
    for area in repository.luns[number].areas:
        if area.text and not area.header.ignored:
            parts += free_ring(area, ())
    return any(
        start <= region.offset and region.offset + region.size <= end for start, end in parts
    )


def _switch_lun(repository: Repository) -> PhysicalLun:
    for lun in repository.luns:
        if lun.marker and lun.marker.is_switch:
            return lun
    lun = next(lun for lun in repository.luns if lun.marker)
    raise Interrupted("members-missing", device=lun.device.path, missing=[_marker(lun).switch_pv])


def _marker(lun: PhysicalLun) -> Marker:
    assert lun.marker is not None
    return lun.marker


def _ordered(
    luns: Sequence[PhysicalLun], change: Change, tag: bytes
) -> Tuple[List[str], List[Device]]:
    """Return the PV uuids that no LUN stands for, and the devices in the change's order.

    A LUN belongs to the change by the journal's tag in its marker or pointer, never by its label
    alone: the original's labels are the same.
    """
    found: Dict[int, Device] = {}
    for lun in luns:
        regions = [part.region for part in (lun.marker, lun.pointer) if part]
        if not any(region.tag == tag for region in regions):
            continue
        for number, label in enumerate(change.labels):
            present = lun.head[label.offset : label.end]
            marked = lun.marker is not None and lun.marker.member == number
            if marked or (lun.marker is None and present in (label.old, label.new)):
                found[number] = lun.device
    members = range(len(change.labels))
    missing = [change.pv_uuids[number] for number in members if number not in found]
    return missing, [found[number] for number in members if number in found]


def _expect_unused(devices: Sequence[Device], change: Change) -> None:
    for edit in change.edits + change.labels:
        device = devices[edit.device]
        if device.read(edit.offset, len(edit.new)) != edit.new:
            raise Refused("undo-changed", device=device.path, offset=edit.offset, what=edit.what)
