"""Where two image files differ, read through their holes. Independent of relun."""

import os
from collections.abc import Iterable, Iterator

_CHUNK = 1 << 20
_SECTOR = 512

Ranges = list[tuple[int, int]]  # (offset, length), sorted


def differences(one: str, other: str) -> Ranges:
    """Return the runs of bytes, exact to the byte, in which two files of one size differ."""
    assert os.path.getsize(one) == os.path.getsize(other), f"{one} and {other} differ in size"
    found: Ranges = []
    with open(one, "rb", buffering=0) as a, open(other, "rb", buffering=0) as b:
        for offset, length in _either(a.fileno(), b.fileno()):
            left = os.pread(a.fileno(), length, offset)
            right = os.pread(b.fileno(), length, offset)
            if left != right:
                found += _runs(offset, left, right)
    return found


def outside(ranges: Ranges, allowed: Iterable[tuple[int, int]]) -> Ranges:
    """Return what of ``ranges`` lies in none of the allowed ones."""
    left: Ranges = []
    fences = merged(allowed)
    for offset, length in ranges:
        end = offset + length
        for start, size in fences:
            if start + size <= offset or start >= end:
                continue
            if start > offset:
                left.append((offset, start - offset))
            offset = min(end, start + size)
        if offset < end:
            left.append((offset, end - offset))
    return left


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return the ranges sorted, touching ones joined."""
    joined: Ranges = []
    for offset, length in sorted(ranges):
        if joined and offset <= sum(joined[-1]):
            start, size = joined[-1]
            joined[-1] = (start, max(size, offset + length - start))
        else:
            joined.append((offset, length))
    return joined


def data_ranges(path: str) -> Ranges:
    """Return the parts of a file that are not holes."""
    with open(path, "rb") as file:
        return list(_data(file.fileno()))


def _either(one: int, other: int) -> Iterator[tuple[int, int]]:
    for offset, length in merged([*_data(one), *_data(other)]):
        for at in range(offset, offset + length, _CHUNK):
            yield at, min(_CHUNK, offset + length - at)


def _data(fd: int) -> Iterator[tuple[int, int]]:
    offset, end = 0, os.fstat(fd).st_size
    while offset < end:
        try:
            offset = os.lseek(fd, offset, os.SEEK_DATA)
        except OSError:  # only a hole up to the end
            return
        stop = os.lseek(fd, offset, os.SEEK_HOLE)
        yield offset, stop - offset
        offset = stop


def _runs(base: int, one: bytes, other: bytes) -> Ranges:
    found: Ranges = []
    for at in range(0, len(one), _SECTOR):
        left, right = one[at : at + _SECTOR], other[at : at + _SECTOR]
        if left == right:
            continue
        for index, (a, b) in enumerate(zip(left, right)):
            if a != b:
                found.append((base + at + index, 1))
    return merged(found)
