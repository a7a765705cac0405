"""LUNs in memory: a base image that is never written, and the sectors that differ from it.

So a state of a whole LUN costs a small dictionary, is copied in microseconds, and two states are
the same bytes when their dictionaries are equal.
"""

import errno
import mmap
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from relun.core.device import Device

SECTOR = 512


class Image:
    """The base of a LUN: a file, mapped read-only."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        with open(path, "rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        self.size = len(self._map)

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes of the base."""
        return self._map[offset : offset + length]


class Lun:
    """One LUN's bytes: ``sectors`` holds, by number, those that differ from the base."""

    __slots__ = ("image", "sectors")

    def __init__(self, image: Image, sectors: dict[int, bytes] | None = None) -> None:
        self.image = image
        self.sectors = {} if sectors is None else sectors

    def copy(self) -> "Lun":
        """Return a LUN of its own with the same bytes."""
        return Lun(self.image, self.sectors.copy())

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes; fewer at the end of the LUN."""
        if length == SECTOR and offset % SECTOR == 0:
            found = self.sectors.get(offset // SECTOR)
            return self.image.read(offset, length) if found is None else found
        data = self.image.read(offset, length)
        first, last = offset // SECTOR, (offset + length - 1) // SECTOR
        changed = self.sectors
        if last - first < len(changed):
            numbers = [n for n in range(first, last + 1) if n in changed]
        else:
            numbers = [n for n in changed if first <= n <= last]
        if not numbers:
            return data
        patched = bytearray(data)
        for number in numbers:
            at = number * SECTOR - offset
            if at >= 0:
                part = changed[number][: length - at]
                patched[at : at + len(part)] = part
            else:
                part = changed[number][-at : length - at]
                patched[: len(part)] = part
        return bytes(patched)

    def write(self, offset: int, data: bytes) -> None:
        """Write bytes at any offset."""
        end = offset + len(data)
        first, last = offset // SECTOR * SECTOR, -(-end // SECTOR) * SECTOR
        if (first, last) != (offset, end):
            data = self.read(first, offset - first) + data + self.read(end, last - end)
        for at in range(0, len(data), SECTOR):
            self.put((first + at) // SECTOR, data[at : at + SECTOR])

    def put(self, number: int, sector: bytes) -> None:
        """Write one sector."""
        if self.image.read(number * SECTOR, SECTOR) == sector:
            self.sectors.pop(number, None)
        else:
            self.sectors[number] = sector


State = tuple[Lun, ...]


class Event(NamedTuple):
    """A write to LUN ``device``, or with ``data`` None a flush of it."""

    device: int
    offset: int
    data: bytes | None


class MemoryDevice(Device):
    """A LUN in memory. ``before`` is told of each I/O to come, ``log`` gets what was written."""

    def __init__(
        self,
        lun: Lun,
        block_size: int = SECTOR,
        log: list[Event] | None = None,
        number: int = 0,
        before: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__("lun{}".format(number), lun.image.size, block_size)
        self.lun = lun
        self.log = log
        self.number = number
        self.before = before

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes; without the count of traffic, which takes as long as the rest."""
        if self.before or offset < 0 or offset + length > self.size:
            return super().read(offset, length)
        return self.lun.read(offset, length)

    def write(self, offset: int, data: bytes) -> None:
        """Write bytes; without the count of traffic as well."""
        if self.before or offset < 0 or offset + len(data) > self.size:
            super().write(offset, data)
        else:
            self._write(offset, data)

    def _read(self, offset: int, length: int) -> bytes:
        if self.before:
            self.before("read")
        return self.lun.read(offset, length)

    def _write(self, offset: int, data: bytes) -> None:
        """Write like a BlockDevice: whole blocks, the rest of them read just before."""
        first = offset // self.block_size * self.block_size
        last = -(-(offset + len(data)) // self.block_size) * self.block_size
        if (first, last) != (offset, offset + len(data)):
            whole = bytearray(self._read(first, last - first))  # an I/O of its own
            if len(whole) != last - first:
                raise OSError(errno.EIO, "short read")
            whole[offset - first : offset - first + len(data)] = data
            offset, data = first, bytes(whole)
        if self.before:
            self.before("write")
        self.put(offset, data)

    def put(self, offset: int, data: bytes) -> None:
        """Store whole blocks."""
        self.lun.write(offset, data)
        if self.log is not None:
            self.log.append(Event(self.number, offset, bytes(data)))

    def _flush(self) -> None:
        if self.before:
            self.before("flush")
        if self.log is not None:
            self.log.append(Event(self.number, 0, None))


def devices(
    state: Sequence[Lun], block_size: int = SECTOR, log: list[Event] | None = None
) -> list[MemoryDevice]:
    """Return devices over these very LUNs."""
    return [MemoryDevice(lun, block_size, log, number) for number, lun in enumerate(state)]


def copied(state: State) -> State:
    """Return the same bytes as LUNs of their own."""
    return tuple(lun.copy() for lun in state)


def same(some: State, other: State) -> bool:
    """Tell whether two states over the same images are equal byte for byte."""
    return all(a.sectors == b.sectors for a, b in zip(some, other, strict=True))


def differing(some: State, other: State) -> list[tuple[int, int]]:
    """Return (LUN number, sector number) of the sectors that differ."""
    found = []
    for number, (a, b) in enumerate(zip(some, other, strict=True)):
        for sector in sorted(a.sectors.keys() | b.sectors.keys()):
            if a.sectors.get(sector) != b.sectors.get(sector):
                found.append((number, sector))
    return found
