"""A LUN in memory: only pages that are not zero take room, whatever its size."""

import os
from typing import Any, Dict, List, Tuple

from relun.core.device import Device

PAGE = 4096
_ZEROS = bytes(PAGE)


class SparseDevice(Device):
    """Reads and writes pages in a dictionary. ``pages`` never holds one that is all zero.

    With ``writable`` False a write is a fault of the caller and fails as such.
    """

    def __init__(
        self,
        size: int,
        pages: Any = (),
        block_size: int = 512,
        writable: bool = True,
        path: str = "lun",
    ) -> None:
        super().__init__(path, size, block_size)
        self.pages: Dict[int, bytes] = dict(pages)
        self.writable = writable

    @classmethod
    def load(cls, path: str) -> "SparseDevice":
        """Return the LUN in an image file."""
        device = cls(os.path.getsize(path), path=os.path.basename(path))
        with open(path, "rb") as file:
            for start, end in _data(file.fileno(), device.size):
                for number in range(start // PAGE, -(-end // PAGE)):
                    page = os.pread(file.fileno(), PAGE, number * PAGE).ljust(PAGE, b"\0")
                    if page != _ZEROS:
                        device.pages[number] = page
        return device

    def copy(self, writable: bool = True) -> "SparseDevice":
        """Return a LUN of its own with the same bytes."""
        return SparseDevice(self.size, self.pages, self.block_size, writable, self.path)

    def data_ranges(self, start: int, end: int) -> List[Tuple[int, int]]:
        """Return (start, end) of the parts of a range that are not zero."""
        ranges = []
        for number in sorted(self.pages):
            low, high = max(start, number * PAGE), min(end, (number + 1) * PAGE)
            if low < high:
                ranges.append((low, high))
        return ranges

    def _read(self, offset: int, length: int) -> bytes:
        first, last = offset // PAGE, -(-(offset + length) // PAGE)
        pages = self.pages
        if last - first == 1:
            page = pages.get(first, _ZEROS)
            return page[offset - first * PAGE : offset - first * PAGE + length]
        if last - first <= len(pages):
            whole = b"".join([pages.get(number, _ZEROS) for number in range(first, last)])
            return whole[offset - first * PAGE : offset - first * PAGE + length]
        patched = bytearray(length)
        for number in pages:
            if first <= number < last:
                at = number * PAGE - offset
                page = pages[number][max(0, -at) : length - at]
                patched[max(0, at) : max(0, at) + len(page)] = page
        return bytes(patched)

    def _write(self, offset: int, data: bytes) -> None:
        assert self.writable, "a write of {} bytes at {}".format(len(data), offset)
        position = 0
        while position < len(data):
            number, inside = divmod(offset + position, PAGE)
            part = data[position : position + PAGE - inside]
            page = self.pages.get(number, _ZEROS)
            page = page[:inside] + part + page[inside + len(part) :]
            if page == _ZEROS:
                self.pages.pop(number, None)
            else:
                self.pages[number] = page
            position += len(part)

    def _flush(self) -> None:
        pass


def _data(fd: int, size: int) -> List[Tuple[int, int]]:
    found = []
    offset = 0
    while offset < size:
        try:
            offset = os.lseek(fd, offset, os.SEEK_DATA)
        except OSError:  # only a hole up to the end
            break
        end = os.lseek(fd, offset, os.SEEK_HOLE)
        found.append((offset, end))
        offset = end
    return found
