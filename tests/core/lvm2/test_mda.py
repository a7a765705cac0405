"""Metadata areas: headers as LVM2 wrote them, and where a new text may go in the ring."""

import struct
from typing import Optional

import pytest

from relun.core.errors import FormatError
from relun.core.lvm2.checksum import lvm_crc
from relun.core.lvm2.mda import MdaHeader, check_text, parse_mda_header
from support import golden

MAGIC = bytes.fromhex("204C564D3220785B35412572304E2A3E")
START = 4096


def build(
    size: int, offset: int, text_size: int, flags: int = 0, start: int = START, tail: bytes = b""
) -> bytes:
    """Return an mda header with one raw location."""
    body = MAGIC + struct.pack("<IQQ", 1, start, size)
    body += struct.pack("<QQII", offset, text_size, 0, flags) + tail
    body = body.ljust(508, b"\0")
    return struct.pack("<I", lvm_crc(body)) + body


def header(size: int, offset: int, text_size: int, flags: int = 0) -> MdaHeader:
    """Return a parsed header."""
    return parse_mda_header(build(size, offset, text_size, flags), START, size)


@pytest.mark.parametrize("name", golden.names())
def test_header_points_to_the_text(name: str) -> None:
    for index, area in enumerate(golden.manifest(name)["metadata_areas"]):
        raw = golden.read(golden.image(name), area["start"], 512)
        mda = parse_mda_header(raw, area["start"], area["size"])
        assert mda.committed.offset == area["text_offset"]
        assert mda.committed.size == area["text_size"]
        assert mda.committed.checksum == int(area["text_crc"], 16)
        assert not mda.ignored and not mda.empty
        pieces = mda.pieces(mda.committed.offset, mda.committed.size)
        assert len(pieces) == (2 if area["text_wraps"] else 1)
        text = b"".join(
            golden.read(golden.image(name), area["start"] + at, length) for at, length in pieces
        )
        assert check_text(mda, text) == golden.metadata_text(name, index)


def test_header_for_the_same_text_is_the_one_lvm_wrote() -> None:
    raw = golden.read(golden.image("single"), START, 512)
    mda = parse_mda_header(raw, START, 11530240)
    assert mda.with_committed(mda.committed.offset, golden.metadata_text("single")) == raw


def test_new_location_drops_a_precommitted_one_and_keeps_the_flags() -> None:
    raw = build(1 << 20, 512, 100, 1, tail=struct.pack("<QQII", 4096, 200, 7, 0))
    mda = parse_mda_header(raw, START, 1 << 20)
    assert mda.ignored
    assert mda.precommitted == (4096, 200, 7, 0)
    changed = parse_mda_header(mda.with_committed(1024, b"vg {}\0"), START, 1 << 20)
    assert changed.committed == (1024, 6, lvm_crc(b"vg {}\0"), 1)
    assert changed.precommitted == (0, 0, 0, 0)


@pytest.mark.parametrize("offset, size", [(0, 0), (512, 0), (0, 100)])
def test_empty_area_takes_a_text_behind_its_header(offset: int, size: int) -> None:
    mda = header(8192, offset, size)
    assert mda.empty
    assert mda.place(100) == 512


@pytest.mark.parametrize(
    "size, offset, text_size, new_size, expected",
    [
        (1 << 20, 512, 1000, 1000, 1536),  # behind the old text, on the next sector
        (1 << 20, 512, 1024, 1000, 1536),  # the old text ends on a sector
        (1 << 20, 700, 1000, 1000, 2048),  # an unaligned old text
        (8192, 6144, 1500, 1500, 512),  # not enough before the end: from the start
        (8192, 1024, 3000, 4000, 4096),  # fits exactly up to the end
        (8192, 1024, 3000, 4097, 4096),  # one byte more wraps: its end precedes the old text
        (8192, 1024, 3000, 4700, None),  # the wrapped end would run into the old text
        (8192, 512, 3000, 4609, None),  # nothing before the old text
        (8192, 512, 7680, 1, None),  # full
        (8192, 512, 100, 7681, None),  # longer than the ring
        (8192, 7000, 3000, 2000, 2560),  # the old text wraps
        (8192, 7000, 3000, 5000, None),
        (8192, 4096, 3500, 3000, 512),  # would start in the last sector
        (8192, 1024, 6600, 600, None),  # likewise, and the start is taken
        (8192, 4096, 4096, 3584, 512),  # the old text ends with the ring
        (8192, 4096, 4096, 3585, None),
    ],
)
def test_place(
    size: int, offset: int, text_size: int, new_size: int, expected: Optional[int]
) -> None:
    assert header(size, offset, text_size).place(new_size) == expected


def test_placed_text_never_touches_the_committed_one() -> None:
    size = 4096
    ring = size - 512
    placed = 0
    for offset in range(512, size, 128):
        for old_size in range(128, ring + 1, 384):
            mda = header(size, offset, old_size)
            old = {512 + (offset - 512 + i) % ring for i in range(old_size)}
            for new_size in range(64, ring + 1, 320):
                place = mda.place(new_size)
                if place is None:
                    continue
                placed += 1
                assert place % 512 == 0 and 512 <= place < size - 512
                new = {512 + (place - 512 + i) % ring for i in range(new_size)}
                assert not new & old
                assert sum(length for _at, length in mda.pieces(place, new_size)) == new_size
    assert placed > 100


@pytest.mark.parametrize("name", ["single", "wrapped", "twomda"])
def test_real_rings_have_room(name: str) -> None:
    for area in golden.manifest(name)["metadata_areas"]:
        raw = golden.read(golden.image(name), area["start"], 512)
        mda = parse_mda_header(raw, area["start"], area["size"])
        assert mda.place(area["text_size"] + 600) is not None


@pytest.mark.parametrize(
    "code, raw",
    [
        ("mda-malformed", build(8192, 512, 100)[:-1]),
        ("mda-malformed", b"\0" * 4 + b"x" * 16 + build(8192, 512, 100)[20:]),
        ("mda-malformed", build(8192, 512, 100, start=8192)),
        ("mda-malformed", build(4096, 512, 100)),
        ("mda-checksum", build(8192, 512, 100)[:-1] + b"x"),
        ("mda-text-bounds", build(8192, 511, 100)),
        ("mda-text-bounds", build(8192, 8192, 100)),
        ("mda-text-bounds", build(8192, 512, 7681)),
    ],
    ids=["short", "magic", "start", "size", "crc", "offset low", "offset high", "text size"],
)
def test_damaged_header(code: str, raw: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        parse_mda_header(raw, START, 8192)
    assert (caught.value.code, caught.value.offset) == (code, START)


def test_text_with_another_checksum() -> None:
    with pytest.raises(FormatError) as caught:
        check_text(header(8192, 512, 4), b"text")
    assert (caught.value.code, caught.value.offset) == ("mda-text-checksum", START + 512)


def precommitted(size: int, offset: int, text_size: int) -> MdaHeader:
    """Return the header of an area without a committed text and with a precommitted one."""
    tail = struct.pack("<QQII", offset, text_size, 0, 0)
    return parse_mda_header(build(size, 0, 0, 0, START, tail), START, size)


@pytest.mark.parametrize(
    "offset, text_size, used",
    [
        (512, 100, ((512, 612),)),
        (511, 100, ()),
        (4095, 1, ((4095, 4096),)),
        (4096, 1, ()),
        (1024, 4096 - 512, ((1024, 4096), (512, 1024))),
        (1024, 4096 - 511, ()),
        (4096 + 512, 100, ()),
    ],
)
def test_place_that_makes_no_sense_is_none(
    offset: int, text_size: int, used: "tuple[tuple[int, int], ...]"
) -> None:
    """What is used by a text that LVM has written and not committed yet."""
    assert precommitted(4096, offset, text_size).used() == used


@pytest.mark.parametrize(
    "size, offset, text_size, new_size, expected",
    [
        (4096, 0, 0, 4096 - 512, 512),  # all there is
        (4096, 0, 0, 4096 - 511, None),
        (4096, 0, 0, 5000, None),
        (8192, 1024, 512, 8192 - 1536, 1536),  # exactly up to the end, not wrapped
        (8192, 2048, 512, 8192 - 2560 + 1, 2560),  # one byte wraps, and nothing fits before
        (8192, 4096, 512, 3584, 4608),  # up to the end, though the start has room as well
        (8192, 4096, 512, 3585, 4608),  # too long for the start
        (8192, 4608, 512, 3073, 512),  # it would wrap, and the start has room
    ],
)
def test_place_at_the_ends(
    size: int, offset: int, text_size: int, new_size: int, expected: Optional[int]
) -> None:
    assert header(size, offset, text_size).place(new_size) == expected
