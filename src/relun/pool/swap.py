"""Puts the copy of one disk in place of the disk itself, in the original VM; and back.

xapi has no call that changes a VBD's VDI: the VBD is destroyed and made anew.
"""

from typing import NamedTuple

from relun.pool import events, machine
from relun.pool.connection import ApiFailure, Connection, Record
from relun.pool.copies import copied_uuid
from relun.pool.errors import PoolRefused
from relun.pool.events import Listener
from relun.pool.lookup import find_clone, find_vm
from relun.pool.steps import Cancelled, Steps, never
from relun.pool.whole import all_or_nothing, as_ours


class Swapped(NamedTuple):
    """Which VDI the VM has there now, and which it had. ``already``: it was so before."""

    vm_uuid: str
    vm: str
    userdevice: str
    disk: str
    now_uuid: str
    before_uuid: str
    already: bool


class _Place(NamedTuple):
    """A disk of a VM, its original VDI and that one's copy, as references."""

    vm: str
    vbd: Record
    old: str
    copy: str


def swap_disk(
    connection: Connection,
    vm: str,
    disk: str,
    sr: str,
    back: bool = False,
    listener: Listener = events.nobody,
    cancelled: Cancelled = never,
) -> Swapped:
    """Give a halted VM the copy of ``disk`` on ``sr`` in its place; with ``back`` the disk again.

    ``disk`` is the original VDI, by uuid or name; it stays where it is. Raise PoolRefused when
    nothing was changed, PoolUnfinished when the VM is without its disk.
    """
    try:
        reference, record = find_vm(connection, vm)
        clone_reference, clone, _original = find_clone(connection, sr)
        place = _place(connection, reference, record, disk, clone_reference, clone)
        wanted, present = (place.old, place.copy) if back else (place.copy, place.old)
        already = place.vbd["VDI"] == wanted
        if not already:
            if record["power_state"] != "Halted":
                raise PoolRefused("pool-vm-running", vm=record["name_label"])
            steps = Steps(record["name_label"], listener, cancelled)
            _swap(connection, steps, place, wanted)
        return Swapped(
            record["uuid"],
            record["name_label"],
            place.vbd["userdevice"],
            connection.call("VDI.get_name_label", wanted),
            connection.call("VDI.get_uuid", wanted),
            connection.call("VDI.get_uuid", present),
            already,
        )
    except ApiFailure as failure:  # nothing was begun, or it is done
        raise as_ours(failure) from failure


def _place(
    connection: Connection, vm: str, record: Record, disk: str, sr: str, clone: Record
) -> _Place:
    """Find the disk among those of the VM, be the VDI itself there or its copy."""
    vdis = connection.records("VDI")
    by_uuid = {vdi["uuid"]: reference for reference, vdi in vdis.items()}
    copies = {
        by_uuid[new]: reference
        for reference, vdi in vdis.items()
        if (new := copied_uuid(clone["uuid"], vdi["uuid"])) in by_uuid
    }
    found = []
    for vbd in _vbds(connection, vm).values():
        old = copies.get(vbd["VDI"], vbd["VDI"])
        if vbd["type"] == "Disk" and disk in (
            vdis.get(old, {}).get("uuid"),
            vdis.get(old, {}).get("name_label"),
        ):
            found.append((vbd, old))
    name = record["name_label"]
    if not found:
        raise PoolRefused("pool-disk-missing", vm=name, disk=disk)
    if len(found) > 1:
        uuids = sorted(vdis[old]["uuid"] for _vbd, old in found)
        raise PoolRefused("pool-several", kind="VDI", name=disk, uuids=uuids)
    ((vbd, old),) = found
    copy = by_uuid.get(copied_uuid(clone["uuid"], vdis[old]["uuid"]), "")
    if not copy or vdis[copy]["SR"] != sr:
        raise PoolRefused("pool-disks-missing", vm=name, disks=[disk])
    if vdis[copy]["read_only"] and vbd["mode"] == "RW":
        raise PoolRefused("pool-disks-read-only", vm=name, disks=[disk])
    return _Place(vm, vbd, old, copy)


def _swap(connection: Connection, steps: Steps, place: _Place, wanted: str) -> None:
    before = place.vbd["VDI"]
    device = place.vbd["userdevice"]
    uuid = connection.call("VDI.get_uuid", before)
    standing = f"disk {device} of the VM {steps.work}: it is to have the VDI {uuid}"
    with all_or_nothing(steps):
        # Noted first: a call may do its work and its answer be lost.
        back = lambda: _set(connection, Steps(steps.work), place, before)  # noqa: E731
        steps.undo_with("VBD.create", f"disk {device}", standing, back)
        _set(connection, steps, place, wanted)


def _set(connection: Connection, steps: Steps, place: _Place, vdi: str) -> None:
    """See to it that the VM has this VDI in the disk's place, whatever is there now."""
    device = place.vbd["userdevice"]
    there = {
        reference: vbd
        for reference, vbd in _vbds(connection, place.vm).items()
        if vbd["userdevice"] == device
    }
    if [vbd["VDI"] for vbd in there.values()] == [vdi]:
        return
    for reference in there:
        with steps.step("VBD.destroy", f"disk {device}"):
            connection.call("VBD.destroy", reference)
    with steps.step("VBD.create", f"disk {device}"):
        connection.call("VBD.create", machine.vbd(place.vbd, place.vm, vdi))


def _vbds(connection: Connection, vm: str) -> dict[str, Record]:
    return {
        reference: vbd for reference, vbd in connection.records("VBD").items() if vbd["VM"] == vm
    }
