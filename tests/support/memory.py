"""LUNs in memory: an image file that is never written to, and the sectors that differ from it.

A clone for a test costs nothing, and whether it still is what it was is asked of a dictionary that
is empty then. Runs on CPython 3.6 too.
"""

import mmap
import os
from typing import Any, Dict, Iterator, List, Tuple

from relun.core.device import Device

SECTOR = 512


class MemoryDevice(Device):
    """A LUN over the image at ``path``, which fails or lies where a test tells it to."""

    def __init__(self, path: Any, called: str = "") -> None:
        with open(str(path), "rb") as file:
            self._base = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._holes = list(_data(file.fileno(), len(self._base)))
        super().__init__(called or str(path), len(self._base))
        self.sectors: Dict[int, bytes] = {}
        self.dropped_caches = 0
        self.failing_writes: Dict[int, OSError] = {}  # by offset
        self.failing_flushes: Dict[int, OSError] = {}  # by number, from 0
        self.flush_calls = 0  # failed ones too
        self.lives = 1 << 30  # flush calls until it is gone: nothing is written then
        self.lost_writes: List[int] = []  # offsets whose writes are reported and not stored

    def put(self, offset: int, data: bytes) -> None:
        """Change bytes as somebody else would: not counted as relun's traffic."""
        end = offset + len(data)
        first, last = offset // SECTOR * SECTOR, -(-end // SECTOR) * SECTOR
        whole = self._read(first, offset - first) + data + self._read(end, last - end)
        for at in range(0, len(whole), SECTOR):
            sector, number = whole[at : at + SECTOR], (first + at) // SECTOR
            if self._base[first + at : first + at + SECTOR] == sector:
                self.sectors.pop(number, None)
            else:
                self.sectors[number] = sector

    def get(self, offset: int, length: int) -> bytes:
        """Return bytes without counting them as traffic."""
        return self._read(offset, length)

    def state(self) -> Dict[int, bytes]:
        """Return what tells this LUN's bytes from any other state over the same image."""
        return dict(self.sectors)

    def data_ranges(self, start: int, end: int) -> List[Tuple[int, int]]:
        """Return the image's data ranges, and the sectors that were changed."""
        parts = [(max(a, start), min(b, end)) for a, b in self._holes if a < end and b > start]
        changed = [(n * SECTOR, n * SECTOR + SECTOR) for n in sorted(self.sectors)]
        return parts + [(a, b) for a, b in changed if start <= a and b <= end]

    def whole(self) -> Iterator[Tuple[int, bytes]]:
        """Yield (offset, bytes) of all that may hold anything but zeros, changes included."""
        position = 0
        for start, end in sorted(self.data_ranges(0, self.size)):
            start = max(start, position)
            if start < end:
                yield start, self._read(start, end - start)
                position = end

    def refresh_readers(self) -> None:
        """Count."""
        self.dropped_caches += 1

    def _read(self, offset: int, length: int) -> bytes:
        data = self._base[offset : offset + length]
        first, last = offset // SECTOR, (offset + length - 1) // SECTOR
        if len(self.sectors) < last - first:
            touched = [n for n in self.sectors if first <= n <= last]
        else:
            touched = [n for n in range(first, last + 1) if n in self.sectors]
        if not touched or not length:
            return data
        patched = bytearray(data)
        for number in touched:
            at = number * SECTOR - offset
            part = self.sectors[number][max(0, -at) : length - at]
            patched[max(0, at) : max(0, at) + len(part)] = part
        return bytes(patched)

    def _write(self, offset: int, data: bytes) -> None:
        if self.flush_calls >= self.lives:
            raise OSError(5, "the device is gone")
        if offset in self.failing_writes:
            raise self.failing_writes[offset]
        if offset not in self.lost_writes:
            self.put(offset, bytes(data))

    def _flush(self) -> None:
        number, self.flush_calls = self.flush_calls, self.flush_calls + 1
        if number >= self.lives:
            raise OSError(5, "the device is gone")
        if number in self.failing_flushes:
            raise self.failing_flushes[number]


def _data(fd: int, size: int) -> Iterator[Tuple[int, int]]:
    position = 0
    while position < size:
        try:
            start = os.lseek(fd, position, os.SEEK_DATA)
        except OSError:  # nothing but holes up to the end
            return
        position = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, position
