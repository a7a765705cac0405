"""What of a metadata ring is free, and in which order it is offered."""

import struct
from typing import List, Tuple

import pytest

from relun.core.edit import Edit
from relun.core.lvm2.mda import MdaHeader, RawLocation
from relun.core.physical import Area
from relun.core.rewrite.lvm import free_ring

START, SIZE = 4096, 16384
END = START + SIZE


def area(offset: int, size: int) -> Area:
    """Return an area with a text of ``size`` bytes at ring ``offset``."""
    none = RawLocation(*struct.unpack("<QQII", bytes(24)))
    header = MdaHeader(b"", START, SIZE, none._replace(offset=offset, size=size), none)
    return Area(header, b"text")


def text_edit(offset: int, size: int) -> Edit:
    return Edit(0, START + offset, bytes(size), bytes(size), "VG metadata text")


@pytest.mark.parametrize(
    "old, edits, free",
    [
        # the old text, then the new one: first what lies behind, then the gap before them
        ((1024, 1000), [(2048, 1024)], [(512, 1024), (3072, SIZE)]),
        # the old text ends within a sector, which is not free
        ((512, 700), [], [(1536, SIZE)]),
        ((512, 1024), [], [(1536, SIZE)]),
        # the new text lies at the ring's start, the old one further on
        ((4096, 512), [(512, 512)], [(4608, SIZE), (1024, 4096)]),
        # the new text wraps
        ((8192, 512), [(15872, 512), (512, 512)], [(8704, 15872), (1024, 8192)]),
        # the old text wraps
        ((16000, 1000), [(2048, 512)], [(1536, 2048), (2560, 15872 + 128)]),
        # not of the ring, and so not the newest text: the header, which is written last
        ((1024, 1000), [(2048, 1024), (0, 512)], [(512, 1024), (3072, SIZE)]),
        # nor what lies behind the area
        ((1024, 1000), [(2048, 1024), (SIZE, 512)], [(512, 1024), (3072, SIZE)]),
        ((512, 512), [(0, 512), (SIZE, 512)], [(1024, SIZE)]),
        # nothing is free between what touches
        ((512, 512), [(1024, SIZE - 1024)], []),
    ],
)
def test_free_parts(
    old: Tuple[int, int], edits: List[Tuple[int, int]], free: List[Tuple[int, int]]
) -> None:
    found = free_ring(area(*old), [text_edit(*edit) for edit in edits])
    assert found == [(START + at, START + end) for at, end in free]


def test_three_parts_on_one_side() -> None:
    """Of several parts the later one is offered first, on each side of the newest text."""
    edits = [text_edit(1024, 512), text_edit(2048, 512), text_edit(8192, 512)]
    found = [(a - START, b - START) for a, b in free_ring(area(12288, 512), edits)]
    assert found == [
        (2560, 8192),
        (1536, 2048),
        (512, 1024),
        (12800, SIZE),
        (8704, 12288),
    ]
