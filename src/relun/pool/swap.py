"""Puts the copy of one disk in place of the disk itself, in the original VM; and back.

xapi has no call that changes a VBD's VDI: the VBD is destroyed and made anew. What it was is noted
in the VM's other_config meanwhile, so that a swap that was broken off can be finished.
"""

import json
from typing import NamedTuple

from relun.pool import events, machine
from relun.pool.connection import ApiFailure, Connection, Record
from relun.pool.copies import copied_uuid
from relun.pool.ensure import ensure
from relun.pool.errors import PoolRefused
from relun.pool.events import Listener
from relun.pool.lookup import find_clone, find_vm
from relun.pool.marks import READ_ONLY
from relun.pool.steps import Cancelled, Steps, never
from relun.pool.turn import hold
from relun.pool.whole import all_or_nothing, as_ours

_KEY = "relun-swap-"  # and the userdevice; of a VM, while one of its disks is swapped


class Swapped(NamedTuple):
    """Which VDI the VM has there now, and which it had. ``already``: it was so before."""

    vm_uuid: str
    vm: str
    sr_uuid: str
    userdevice: str
    disk: str
    now_uuid: str
    before_uuid: str
    already: bool


class _Place(NamedTuple):
    """A disk of a VM (``vbd``), its original VDI and that one's copy, as references.

    ``there``: the VDI that the VM has there now, empty when a swap was broken off. ``uuids``: of
    the disk and its copy.
    """

    vbd: Record
    there: str
    old: str
    copy: str
    uuids: dict[str, str]
    name: str


def swap_disk(
    connection: Connection,
    vm: str,
    disk: str,
    sr: str,
    back: bool = False,
    take_over: bool = False,
    listener: Listener = events.nobody,
    cancelled: Cancelled = never,
) -> Swapped:
    """Give a halted VM the copy of ``disk`` on ``sr`` in its place; with ``back`` the disk again.

    ``disk`` is the original VDI, by uuid or name; it stays where it is. ``take_over``: another
    swap that seems under way was broken off. Raise PoolRefused when nothing was changed,
    PoolUnfinished when the VM is without its disk.
    """
    try:
        reference, record = find_vm(connection, vm)
        clone_reference, clone, _original = find_clone(connection, sr)
        swap = _Swap(connection, reference, record, clone_reference, clone)
        steps = Steps(record["name_label"], listener, cancelled)
        return swap.run(disk, back, take_over, steps)
    except ApiFailure as failure:  # nothing was begun, or it is done
        raise as_ours(failure) from failure


class _Swap:
    def __init__(
        self, connection: Connection, vm: str, record: Record, sr: str, clone: Record
    ) -> None:
        self._connection = connection
        self._vm = vm
        self._record = record
        self._sr = sr
        self._clone = clone

    def run(self, disk: str, back: bool, take_over: bool, steps: Steps) -> Swapped:
        name = self._record["name_label"]
        place = self._place(disk)
        already = self._is_there(place, back)
        if not already:
            if self._record["power_state"] != "Halted":
                raise PoolRefused("pool-vm-running", vm=name)
            (pool,) = self._connection.call("pool.get_all")
            key = f"relun-swap-{self._record['uuid']}"
            what = f"a disk of {name}"
            with (
                hold(self._connection, pool, key, what, steps, take_over),
                all_or_nothing(steps),
            ):
                self._record = self._connection.record("VM", self._vm)
                place = self._place(disk)  # nobody else changes it now
                already = self._is_there(place, back)
                if not already:
                    self._swap(steps, place, back)
        now, before = (place.old, place.copy) if back else (place.copy, place.old)
        return Swapped(
            self._record["uuid"],
            name,
            self._clone["uuid"],
            place.vbd["userdevice"],
            place.name,
            place.uuids[now],
            place.uuids[before],
            already,
        )

    def _place(self, disk: str) -> _Place:
        """Find a disk among those of the VM, be the VDI itself there or its copy."""
        name = self._record["name_label"]
        vdis = self._connection.records("VDI")
        copies = self._copies(vdis)
        originals = {copy: old for old, copy in copies.items()}
        found = []
        for vbd, there, noted in (*self._disks(), *self._lost(vdis)):
            old = noted or originals.get(there, there)
            if old in vdis and disk in (vdis[old]["uuid"], vdis[old]["name_label"]):
                found.append((vbd, there, old))
        if not found:
            raise PoolRefused("pool-disk-missing", vm=name, disk=disk)
        if len(found) > 1:
            uuids = sorted(vdis[old]["uuid"] for _vbd, _there, old in found)
            raise PoolRefused("pool-several", kind="VDI", name=disk, uuids=uuids)
        ((vbd, there, old),) = found
        if old not in copies:
            raise PoolRefused("pool-disks-missing", vm=name, disks=[disk])
        copy = copies[old]
        marked = READ_ONLY in self._clone["other_config"]
        if (marked or vdis[copy]["read_only"]) and vbd["mode"] == "RW":
            raise PoolRefused("pool-disks-read-only", vm=name, disks=[disk])
        both = {reference: vdis[reference]["uuid"] for reference in (old, copy)}
        return _Place(vbd, there, old, copy, both, vdis[old]["name_label"])

    def _copies(self, vdis: dict[str, Record]) -> dict[str, str]:
        """Original -> copy, of all VDIs in the pool that have one on the clone."""
        here = {vdi["uuid"]: ref for ref, vdi in vdis.items() if vdi["SR"] == self._sr}
        derived = {ref: copied_uuid(self._clone["uuid"], vdi["uuid"]) for ref, vdi in vdis.items()}
        return {reference: here[new] for reference, new in derived.items() if new in here}

    @staticmethod
    def _is_there(place: _Place, back: bool) -> bool:
        return place.there == (place.old if back else place.copy)

    def _disks(self) -> list[tuple[Record, str, str]]:
        return [(vbd, vbd["VDI"], "") for vbd in self._vbds().values()]

    def _lost(self, vdis: dict[str, Record]) -> list[tuple[Record, str, str]]:
        """The disks that a swap which was broken off left the VM without."""
        devices = [vbd["userdevice"] for vbd in self._vbds().values()]
        lost = []
        for key, value in self._record["other_config"].items():
            if key.startswith(_KEY) and key[len(_KEY) :] not in devices:
                note = json.loads(value)
                lost += [
                    (note["vbd"], "", reference)
                    for reference, vdi in vdis.items()
                    if vdi["uuid"] == note["vdi"]
                ]
        return lost

    def _swap(self, steps: Steps, place: _Place, back: bool) -> None:
        wanted = place.old if back else place.copy
        before = place.there or place.old
        device, uuid = place.vbd["userdevice"], place.uuids[before]
        key = _KEY + device

        def take_back() -> None:
            ensure(
                lambda: self._has(device, before),
                lambda: self._set(Steps(steps.work), place.vbd, before),
            )

        # Noted first: a call may do its work and its answer be lost.
        steps.undo_with(
            "VM.remove_from_other_config",
            key,
            f"{key} in other_config of the VM {steps.work}",
            lambda: self._forget(key, device),
        )
        self._note(steps, key, place)
        standing = f"the VM {steps.work} without its disk {device}, which was the VDI {uuid}"
        steps.undo_with("VBD.create", f"disk {device}", standing, take_back)
        self._set(steps, place.vbd, wanted)
        with steps.step("VM.remove_from_other_config", key):
            self._forget(key, device)

    def _note(self, steps: Steps, key: str, place: _Place) -> None:
        if not place.there:
            return  # it stands since then
        vbd = machine.vbd(place.vbd, "", "")
        note = json.dumps({"vbd": vbd, "vdi": place.uuids[place.old]})
        with steps.step("VM.add_to_other_config", key):
            if key in self._record["other_config"]:  # of a swap that was all but finished
                self._connection.call("VM.remove_from_other_config", self._vm, key)
            self._connection.call("VM.add_to_other_config", self._vm, key, note)

    def _forget(self, key: str, device: str) -> None:
        """Remove the note, unless the VM is still without the disk."""
        if any(vbd["userdevice"] == device for vbd in self._vbds().values()):
            ensure(
                lambda: key not in self._connection.call("VM.get_other_config", self._vm),
                lambda: self._connection.call("VM.remove_from_other_config", self._vm, key),
            )

    def _has(self, device: str, vdi: str) -> bool:
        there = [vbd["VDI"] for vbd in self._vbds().values() if vbd["userdevice"] == device]
        return there == [vdi]

    def _set(self, steps: Steps, disk: Record, vdi: str) -> None:
        """Give the VM this VDI in the disk's place, whatever is there now."""
        device = disk["userdevice"]
        for reference, vbd in self._vbds().items():
            if vbd["userdevice"] != device:
                continue
            with steps.step("VBD.destroy", f"disk {device}"):
                self._connection.call("VBD.destroy", reference)
        with steps.step("VBD.create", f"disk {device}"):
            self._connection.call("VBD.create", machine.vbd(disk, self._vm, vdi))

    def _vbds(self) -> dict[str, Record]:
        """The VM's disks, without its CD drives."""
        return {
            reference: vbd
            for reference, vbd in self._connection.records("VBD").items()
            if vbd["VM"] == self._vm and vbd["type"] == "Disk"
        }
