"""Makes a change durable by one switch: the label sector of the LUN with the journal.

Forward (resign, recover): journal, hide, apply, commit. Back (undo): hide, revert, clear the
journal's space, put the label back. docs/safety.md says what holds after each step.
"""

import os

from relun.core.device import Device
from relun.core.edit import AREA_HEADER, Change, Edit
from relun.core.errors import DeviceError, Interrupted, Refused
from relun.core.hints import Callable, List, Sequence, Tuple
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
from relun.core.journal_store import JournalStore
from relun.core.space import Space

Cancelled = Callable[[], bool]


class Transaction:
    """One change on its LUNs. ``devices`` are in the order of the change's labels."""

    def __init__(self, devices: Sequence[Device], change: Change, template: Marker) -> None:
        self.devices = devices
        self.change = change
        self.template = template
        self.store = JournalStore(devices[change.switch], template.region)

    def begin(self, space: Space, pointer: Pointer, cancelled: Cancelled) -> None:
        """Write the journal. Whatever fails here leaves the LUNs as they were for every reader."""
        try:
            self._expect_untouched()
            self.store.publish(pointer, space.content)
            self._expect_untouched()
            if cancelled():
                raise Refused("cancelled", device=self.switch_device.path)
        except (DeviceError, Refused):
            self._withdraw(pointer)
            raise

    def forward(self) -> None:
        """Hide, apply, commit. Raise Interrupted when that breaks off: recover goes on."""
        self._hide(RESIGN)
        try:
            self._apply([(edit.device, edit.offset, edit.new) for edit in self._new_bytes()])
            self._expect_own_marker()
            self._write_labels(lambda edit: edit.new)
        except DeviceError as error:
            raise interrupted(self.switch_device, error) from error
        self._refresh()

    def back(self) -> None:
        """Hide, revert, clear, restore the label. Raise Interrupted when that breaks off."""
        self._hide(UNDO)
        try:
            self._apply([(edit.device, edit.offset, edit.old) for edit in self.change.edits])
            self._write_members(lambda edit: edit.old)
            self._mark(self.change.switch, CLEAR)
        except DeviceError as error:
            raise interrupted(self.switch_device, error) from error
        finish_undo(self.switch_device, self.switch_label.offset, self.template)
        self._refresh()

    @property
    def switch_device(self) -> Device:
        """The LUN whose label decides."""
        return self.devices[self.change.switch]

    @property
    def switch_label(self) -> Edit:
        """That label's edit."""
        return self.change.labels[self.change.switch]

    def _new_bytes(self) -> List[Edit]:
        """The change's edits, and the pointer without what only a begun one needs."""
        pointer = Pointer(self.store.region).pack()
        old = self.change.old_pointer
        return [
            *self.change.edits,
            Edit(self.change.switch, POINTER_AT, old, pointer, "relun pointer"),
        ]

    def _hide(self, direction: int) -> None:
        label = self.switch_label
        before = self.switch_device.read(label.offset, SECTOR)
        try:
            self._mark(self.change.switch, direction)
        except DeviceError as error:
            if parse_marker(before) is None and self._still(before):
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
        label = self.change.labels[number]
        marker = self.template._replace(direction=direction, member=number, old_label=label.old)
        self.devices[number].write(label.offset, marker.pack())
        self.devices[number].flush()

    def _apply(self, writes: List[Tuple[int, int, bytes]]) -> None:
        for number, offset, data in writes:
            self.devices[number].write(offset, data)
        for number in sorted({number for number, _offset, _data in writes}):
            self.devices[number].flush()
        for number, offset, data in writes:  # a write that was reported but not stored
            if self.devices[number].read(offset, len(data)) != data:
                raise DeviceError("device-lied", device=self.devices[number].path, offset=offset)

    def _write_labels(self, content: Callable[[Edit], bytes]) -> None:
        self._write_members(content)
        self.switch_device.write(self.switch_label.offset, content(self.switch_label))
        self.switch_device.flush()

    def _write_members(self, content: Callable[[Edit], bytes]) -> None:
        for number in self._other_members():
            label = self.change.labels[number]
            self.devices[number].write(label.offset, content(label))
            self.devices[number].flush()

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
        if found is None or found.token != self.template.token:
            raise DeviceError(
                "taken-over", device=self.switch_device.path, offset=self.switch_label.offset
            )

    def _withdraw(self, pointer: Pointer) -> None:
        try:
            self.store.withdraw(pointer.previous)
        except DeviceError:
            pass  # the first error counts; the next resign or undo clears what is left

    def _refresh(self) -> None:
        for device in self.devices:
            refresh(device)


def finish_undo(device: Device, label_offset: int, marker: Marker) -> None:
    """Give back the journal's space, then the label: the last steps of an undo.

    They need the marker alone. Raise Interrupted when they break off.
    """
    try:
        JournalStore(device, marker.region).withdraw(marker.previous)
        device.write(label_offset, marker.old_label)
        device.flush()
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


def new_template(change: Change, region: Region, digest: bytes) -> Marker:
    """Return the marker of a new run, for the LUN with the journal."""
    previous = parse_pointer(change.old_pointer)
    return Marker(
        RESIGN,
        change.switch,
        change.switch,
        len(change.labels),
        os.urandom(8),
        digest,
        region,
        previous.region if previous else None,
        change.pv_uuids[change.switch],
        change.labels[change.switch].old,
    )
