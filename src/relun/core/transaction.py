"""Makes a change durable by one switch: the label sector of the LUN with the journal.

Forward (resign, recover): journal, hide, apply, commit. Back (undo): hide, revert, clear the
journal's space, put the label back. docs/safety.md says what holds after each step.
"""

import os

from relun.core.device import Device
from relun.core.digest import sha1
from relun.core.edit import AREA_HEADER, Change, Edit, joined
from relun.core.errors import DeviceError, FormatError, Interrupted, Refused
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
from relun.core.journal.payload import unpack_change
from relun.core.journal_store import JournalStore, forget, write_flushed
from relun.core.physical import read_payload

Cancelled = Callable[[], bool]


class Run(NamedTuple):
    """One run of a transaction: its journal, and a token that tells its markers from others'."""

    region: Region
    digest: bytes
    token: bytes


class Transaction:
    """One change on its LUNs. ``devices`` are in the order of the change's labels."""

    def __init__(
        self, devices: Sequence[Device], change: Change, run: Run, standing: bytes
    ) -> None:
        """``standing``: the label sector (or marker) as it was when this run looked at it."""
        self.devices = devices
        self.change = change
        self.run = run
        self.standing = standing
        self.store = JournalStore(self.switch_device, run.region)
        self._published = False

    def begin(self, content: bytes, cancelled: Cancelled) -> None:
        """Write the journal. Whatever fails here leaves the LUNs as they were for every reader."""
        self._expect_untouched(self.change.old_pointers)
        begun = [self._begun(number).pack() for number in range(len(self.devices))]
        try:
            for number in self._other_members():
                write_flushed(self.devices[number], POINTER_AT, begun[number])
            self.store.announce(self._begun(self.change.switch))
            self._expect_untouched(begun)  # before a page lies where another's may lie
            self._published = True
            self.store.publish(content)
            self._expect_untouched(begun)
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
            if len(self.devices) > 1:
                alone = self._marker(self.change.switch)._replace(members=1)
                write_flushed(self.switch_device, self.switch_label.offset, alone.pack())
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
        resumed = parse_marker(self.standing) is not None
        try:
            self._mark(self.change.switch, direction, self.standing)
        except DeviceError as error:
            if not resumed and self._still(self.standing):
                self._give_up(direction)
                raise  # nothing has been changed yet
            raise interrupted(self.switch_device, error) from error
        except Refused as error:  # another relun, or LVM
            if resumed:
                raise interrupted(self.switch_device, error) from error
            self._give_up(direction)
            raise
        try:
            if not resumed:
                self._expect_journal(direction)
            for number in self._other_members():
                self._expect_own_marker()
                self._mark(number, direction)
            self._expect_own_marker()
        except DeviceError as error:
            raise interrupted(self.switch_device, error) from error

    def _expect_journal(self, direction: int) -> None:
        """Hidden, the journal must be whole still. Raise Refused or DeviceError.

        A host that shares nothing but the LUN may have taken it away in the moment before. If its
        own journal is there, that one gets the marker, so that recover finishes what it began.
        Else the label returns that belongs to the bytes there are.
        """
        device, offset = self.switch_device, self.switch_label.offset
        try:
            read_payload(device, self.run.region, self.run.digest)
            return
        except FormatError:
            self._expect_own_marker()
        other = self._other_journal()
        if other is not None:
            write_flushed(device, offset, other.pack())
        else:
            label = self.switch_label
            for content, belonging in ((_old, label.old), (_new, label.new)):
                if self._stored(content):
                    write_flushed(device, offset, belonging)
                    self._give_up(direction)
                    raise Refused("changed-meanwhile", device=device.path, offset=offset)
        raise DeviceError("taken-over", device=device.path, offset=offset)

    def _other_journal(self) -> Optional[Marker]:
        """Return the marker for the journal that the pointer tells of."""
        pointer = parse_pointer(self.switch_device.read(POINTER_AT, SECTOR))
        if pointer is None or not pointer.region.here:
            return None
        try:
            payload = read_payload(self.switch_device, pointer.region)
            change = unpack_change(payload)
        except FormatError:
            return None
        run = Run(pointer.region, sha1(payload).digest(), self.run.token)
        return Transaction(self.devices, change, run, b"")._marker(change.switch, RESIGN)

    def _stored(self, content: Callable[[Edit], bytes]) -> bool:
        """Tell whether every edit's place holds this."""
        return all(
            self.devices[edit.device].read(edit.offset, len(edit.old)) == content(edit)
            for edit in self.change.edits
        )

    def _give_up(self, direction: int) -> None:
        if direction == RESIGN:  # an undo that did not begin keeps its journal
            self._withdraw()

    def _other_members(self) -> List[int]:
        return [n for n in range(len(self.devices)) if n != self.change.switch]

    def _still(self, present: bytes) -> bool:
        try:
            return self.switch_device.read(self.switch_label.offset, len(present)) == present
        except DeviceError:
            return False

    def _mark(self, number: int, direction: int, standing: bytes = b"") -> None:
        """Put up a marker. Raise Refused when there is no longer what shall have been there."""
        device, offset = self.devices[number], self.change.labels[number].offset
        before = device.read(offset, SECTOR)
        if standing and before != standing:
            raise Refused("changed-meanwhile", device=device.path, offset=offset)
        try:
            write_flushed(device, offset, self._marker(number, direction).pack())
        except DeviceError as error:
            if error.code == "device-lied" and device.read(offset, SECTOR) != before:
                raise DeviceError("taken-over", device=device.path, offset=offset) from error
            raise

    def _apply(self, writes: List[Tuple[int, int, bytes]]) -> None:
        unjoined: Dict[int, List[Tuple[int, bytes]]] = {}
        for number, offset, data in writes:
            unjoined.setdefault(number, []).append((offset, data))
        by_device = {number: joined(mine) for number, mine in unjoined.items()}
        for number, mine in by_device.items():
            self.devices[number].write_many(mine)
        for number in sorted(by_device):
            self.devices[number].flush()
        for number, mine in by_device.items():  # a write that was reported but not stored
            device = self.devices[number]
            found = device.read_many([(offset, len(data)) for offset, data in mine])
            for (offset, data), stored in zip(mine, found):
                if stored != data:
                    at = next(at for at, byte in enumerate(data) if stored[at] != byte)
                    raise DeviceError("device-lied", device=device.path, offset=offset + at)

    def _commit(self) -> None:
        for number in (*self._other_members(), self.change.switch):
            label = self.change.labels[number]
            write_flushed(self.devices[number], label.offset, label.new)

    def _expect_untouched(self, pointers: Sequence[bytes]) -> None:
        """Labels and area headers are as planned: no LVM, no other relun has written since."""
        headers = [edit for edit in self.change.edits if edit.what == AREA_HEADER]
        expected = [(n, POINTER_AT, pointer) for n, pointer in enumerate(pointers)]
        expected += [(e.device, e.offset, e.old) for e in (*self.change.labels, *headers)]
        for number, offset, wanted in expected:
            device = self.devices[number]
            if device.read(offset, len(wanted)) != wanted:
                raise Refused("changed-meanwhile", device=device.path, offset=offset)

    def _expect_own_marker(self) -> None:
        raw = self.switch_device.read(self.switch_label.offset, SECTOR)
        found = parse_marker(raw)
        if found is None or found.token != self.run.token:
            raise DeviceError(
                "taken-over", device=self.switch_device.path, offset=self.switch_label.offset
            )

    def _withdraw(self) -> None:
        """Take away what this run wrote and nothing of another run that came in between."""
        try:
            if self._in_use():
                return
            if self._published and self._still(self.standing) and self._owns(self.change.switch):
                self.store.withdraw(self._previous(self.change.switch))
            elif self._published:
                self.store.retract()
            for number in range(len(self.devices)):
                if self._owns(number):
                    forget(self.devices[number], self._previous(number))
        except DeviceError:
            pass  # the first error counts; the next resign or undo clears what is left

    def _owns(self, number: int) -> bool:
        return self.devices[number].read(POINTER_AT, SECTOR) == self._begun(number).pack()

    def _in_use(self) -> bool:
        """Another run to the same SR uuid has the same journal, and hid the LUN or is done."""
        raw = self.switch_device.read(self.switch_label.offset, SECTOR)
        marker = parse_marker(raw)
        return raw == self.switch_label.new or (
            marker is not None and marker.digest == self.run.digest
        )

    def _refresh(self) -> None:
        for device in self.devices:
            refresh(device)


def _old(edit: Edit) -> bytes:
    return edit.old


def _new(edit: Edit) -> bytes:
    return edit.new


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
