"""Makes a change durable by one switch: the label sector of the LUN with the journal.

Forward (resign, recover): journal, hide, apply, commit. Back (undo): hide, revert, clear the
journal's space, put the label back. docs/safety.md says what holds after each step.
"""

import os

from relun.core.device import Device
from relun.core.edit import AREA_HEADER, Change, Edit
from relun.core.errors import DeviceError, Interrupted, Refused
from relun.core.hints import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple
from relun.core.journal.marker import (
    CLEAR,
    POINTER_AT,
    RESIGN,
    SECTOR,
    UNDO,
    Marker,
    Pointer,
    Region,
    parse_marker,
    parse_pointer,
)
from relun.core.journal_store import JournalStore, forget, write_flushed

Cancelled = Callable[[], bool]


class Run(NamedTuple):
    """One run of a transaction: its journal, and a token that tells its markers from others'."""

    region: Region
    digest: bytes
    token: bytes


class Transaction:
    """One change on its LUNs. ``devices`` are in the order of the change's labels."""

    def __init__(self, devices: Sequence[Device], change: Change, run: Run) -> None:
        self.devices = devices
        self.change = change
        self.run = run
        self.store = JournalStore(self.switch_device, run.region)

    def begin(self, content: bytes, cancelled: Cancelled) -> None:
        """Write the journal. Whatever fails here leaves the LUNs as they were for every reader."""
        try:
            self._expect_untouched()
            for number in self._other_members():
                write_flushed(self.devices[number], POINTER_AT, self._begun(number).pack())
            self.store.publish(self._begun(self.change.switch), content)
            self._expect_untouched()
            if cancelled():
                raise Refused("cancelled", device=self.switch_device.path)
        except (DeviceError, Refused):
            self._withdraw()
            raise

    def forward(self) -> None:
        """Hide, apply, commit. Raise Interrupted when that breaks off: recover goes on."""
        self._hide(RESIGN)
        try:
            self._apply([(edit.device, edit.offset, edit.new) for edit in self._new_bytes()])
            self._expect_own_marker()
            self._commit()
        except DeviceError as error:
            raise interrupted(self.switch_device, error) from error
        self._refresh()

    def back(self) -> None:
        """Hide, revert, clear, restore the labels. Raise Interrupted when that breaks off."""
        self._hide(UNDO)
        try:
            self._apply([(edit.device, edit.offset, edit.old) for edit in self.change.edits])
            self._mark(self.change.switch, CLEAR)
            for number in self._other_members():
                restore_member(
                    self.devices[number], self.change.labels[number].offset, self._marker(number)
                )
        except DeviceError as error:
            raise interrupted(self.switch_device, error) from error
        finish_undo(self.switch_device, self.switch_label.offset, self._marker(self.change.switch))
        self._refresh()

    @property
    def switch_device(self) -> Device:
        """The LUN whose label decides."""
        return self.devices[self.change.switch]

    @property
    def switch_label(self) -> Edit:
        """That label's edit."""
        return self.change.labels[self.change.switch]

    def _region(self, number: int) -> Region:
        return self.run.region._replace(here=number == self.change.switch)

    def _previous(self, number: int) -> Optional[Region]:
        pointer = parse_pointer(self.change.old_pointers[number])
        return pointer.region if pointer else None

    def _begun(self, number: int) -> Pointer:
        pv_uuid = self.change.pv_uuids[number]
        return Pointer(
            self._region(number), True, self._previous(number), pv_uuid, self.change.seqno
        )

    def _marker(self, number: int, direction: int = CLEAR) -> Marker:
        return Marker(
            direction,
            number,
            self.change.switch,
            len(self.devices),
            self.run.token,
            self.run.digest,
            self._region(number),
            self._previous(number),
            self.change.pv_uuids[self.change.switch],
            self.change.labels[number].old,
        )

    def _new_bytes(self) -> List[Edit]:
        """The change's edits, and the pointers without what only begun ones need."""
        pointers = [
            Edit(number, POINTER_AT, old, Pointer(self._region(number)).pack(), "relun pointer")
            for number, old in enumerate(self.change.old_pointers)
        ]
        return [*self.change.edits, *pointers]

    def _hide(self, direction: int) -> None:
        label = self.switch_label
        before = self.switch_device.read(label.offset, SECTOR)
        try:
            self._mark(self.change.switch, direction)
        except DeviceError as error:
            if parse_marker(before) is None and self._still(before):
                if direction == RESIGN:  # an undo that did not begin keeps its journal
                    self._withdraw()
                raise  # nothing has been changed yet
            raise interrupted(self.switch_device, error) from error
        try:
            for number in self._other_members():
                self._mark(number, direction)
            self._expect_own_marker()
        except DeviceError as error:
            raise interrupted(self.switch_device, error) from error

    def _other_members(self) -> List[int]:
        return [n for n in range(len(self.devices)) if n != self.change.switch]

    def _still(self, present: bytes) -> bool:
        try:
            return self.switch_device.read(self.switch_label.offset, len(present)) == present
        except DeviceError:
            return False

    def _mark(self, number: int, direction: int) -> None:
        device, offset = self.devices[number], self.change.labels[number].offset
        before = device.read(offset, SECTOR)
        try:
            write_flushed(device, offset, self._marker(number, direction).pack())
        except DeviceError as error:
            if error.code == "device-lied" and device.read(offset, SECTOR) != before:
                raise DeviceError("taken-over", device=device.path, offset=offset) from error
            raise

    def _apply(self, writes: List[Tuple[int, int, bytes]]) -> None:
        by_device: Dict[int, List[Tuple[int, bytes]]] = {}
        for number, offset, data in writes:
            by_device.setdefault(number, []).append((offset, data))
        for number, mine in by_device.items():
            self.devices[number].write_many(mine)
        for number in sorted(by_device):
            self.devices[number].flush()
        for number, mine in by_device.items():  # a write that was reported but not stored
            device = self.devices[number]
            found = device.read_many([(offset, len(data)) for offset, data in mine])
            for (offset, data), stored in zip(mine, found):
                if stored != data:
                    raise DeviceError("device-lied", device=device.path, offset=offset)

    def _commit(self) -> None:
        for number in (*self._other_members(), self.change.switch):
            label = self.change.labels[number]
            write_flushed(self.devices[number], label.offset, label.new)

    def _expect_untouched(self) -> None:
        """Labels and area headers are as planned: no LVM, no other relun has written since."""
        headers = [edit for edit in self.change.edits if edit.what == AREA_HEADER]
        for edit in (*self.change.labels, *headers):
            device = self.devices[edit.device]
            if device.read(edit.offset, len(edit.old)) != edit.old:
                raise Refused("changed-meanwhile", device=device.path, offset=edit.offset)

    def _expect_own_marker(self) -> None:
        raw = self.switch_device.read(self.switch_label.offset, SECTOR)
        found = parse_marker(raw)
        if found is None or found.token != self.run.token:
            raise DeviceError(
                "taken-over", device=self.switch_device.path, offset=self.switch_label.offset
            )

    def _withdraw(self) -> None:
        try:
            self.store.withdraw(self._previous(self.change.switch))
            for number in self._other_members():
                forget(self.devices[number], self._previous(number))
        except DeviceError:
            pass  # the first error counts; the next resign or undo clears what is left

    def _refresh(self) -> None:
        for device in self.devices:
            refresh(device)


def restore_member(device: Device, label_offset: int, marker: Marker) -> None:
    """Give a LUN without the journal its old pointer and label, once all edits are reverted.

    It needs the LUN's own marker alone. Raise DeviceError.
    """
    forget(device, marker.previous)
    write_flushed(device, label_offset, marker.old_label)


def finish_undo(device: Device, label_offset: int, marker: Marker) -> None:
    """Give back the journal's space, then the label: the last steps of an undo.

    They need the marker alone. Raise Interrupted when they break off.
    """
    try:
        JournalStore(device, marker.region).withdraw(marker.previous)
        write_flushed(device, label_offset, marker.old_label)
    except DeviceError as error:
        raise interrupted(device, error) from error


def interrupted(device: Device, error: Exception) -> Interrupted:
    """Return the error for a LUN that was left in progress because of ``error``."""
    return Interrupted("interrupted", device=device.path, cause=error)


def refresh(device: Device) -> None:
    """Let other readers see the new bytes; that a cache stays stale is no failure of the change."""
    try:
        device.refresh_readers()
    except DeviceError:
        pass


def new_run(region: Region, digest: bytes) -> Run:
    """Return a run with a token of its own."""
    return Run(region, digest, os.urandom(8))
