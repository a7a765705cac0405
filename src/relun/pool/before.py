"""A resigned LUN seen as the clone that it was: which id was which."""

from collections.abc import Sequence

from relun.core.device import Device
from relun.core.edit import Change, Edit
from relun.core.mgt import Mgt
from relun.core.repository import Repository, applied_change, load


def old_ids(repository: Repository) -> dict[str, str]:
    """Return new -> old uuid of the SR and its VDIs; empty when relun's journal is no more.

    A VDI keeps its place in MGT, so the record that stood there tells its old uuid.
    """
    change = applied_change(repository.luns)
    if change is None:
        return {}
    devices = [_Before(lun.device, number, change) for number, lun in enumerate(repository.luns)]
    old, new = _records(load(devices)), _records(repository)
    found = {uuid: old[place] for place, uuid in new.items() if place in old}
    return {change.new_sr: change.old_sr, **found}


def _records(repository: Repository) -> dict[int, str]:
    content = repository.mgt.content if repository.mgt else None
    if not isinstance(content, Mgt):
        return {}
    return {record.offset: record.uuid for record in content.records if record.live}


class _Before(Device):
    """A LUN read with the bytes that stood there before a change."""

    pipelined = True

    def __init__(self, device: Device, number: int, change: Change) -> None:
        super().__init__(device.path, device.size, device.block_size)
        self._device = device
        edits = (*change.edits, *change.labels)
        self._edits = [edit for edit in edits if edit.device == number]

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the bytes of many ranges."""
        found = self._device.read_many(ranges)
        return [self._patched(offset, data) for (offset, _length), data in zip(ranges, found)]

    def _read(self, offset: int, length: int) -> bytes:
        return self._patched(offset, self._device.read(offset, length))

    def _patched(self, offset: int, data: bytes) -> bytes:
        patched = bytearray(data)
        for edit in self._edits:
            _lay_over(patched, offset, edit)
        return bytes(patched)


def _lay_over(data: bytearray, offset: int, edit: Edit) -> None:
    start, end = max(edit.offset, offset), min(edit.end, offset + len(data))
    if start < end:
        data[start - offset : end - offset] = edit.old[start - edit.offset : end - edit.offset]
