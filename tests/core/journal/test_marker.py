"""Marker and pointer: readable by a person, and nothing else is taken for one."""

import struct
import zlib
from typing import List

import pytest

from relun.core.journal import marker as marker_module
from relun.core.journal.marker import (
    CLEAR,
    POINTER_AT,
    RESIGN,
    UNDO,
    Marker,
    Pointer,
    Region,
    fits_marker,
    parse_marker,
    parse_pointer,
)
from support import golden
from support.builder.ids import lvm_id

REGION = Region(11530240, 9216, True, b"the  tag")
OTHER = Region(5 << 40, 1 << 20, False, b"another!")
LABEL = golden.read(golden.image("single"), 512, 512)


def marker(direction: int = RESIGN, label: bytes = LABEL) -> Marker:
    fields = (b"8 random", bytes(range(20)), REGION, OTHER, lvm_id("m", "pv"), label)
    return Marker(direction, 1, 0, 2, *fields)


def sealed(sector: bytes) -> bytes:
    """Return a sector with its CRC right."""
    return sector[:508] + struct.pack("<I", zlib.crc32(sector[:508]))


@pytest.mark.parametrize("direction", [RESIGN, UNDO, CLEAR])
def test_marker_comes_back(direction: int) -> None:
    raw = marker(direction).pack()
    assert len(raw) == 512
    assert parse_marker(raw) == marker(direction)


def test_marker_without_previous() -> None:
    plain = marker()._replace(previous=None, member=0)
    assert parse_marker(plain.pack()) == plain
    assert plain.is_switch and not marker().is_switch


def test_marker_is_text_for_a_person_and_no_label_for_lvm() -> None:
    raw = marker().pack()
    text = raw.split(b"\0")[0].decode("ascii")
    assert text.startswith("RELUN IN PROGRESS") and "relun recover" in text
    assert "byte 11530240, 9216 bytes" in text
    assert b"LABELONE" not in raw and b"LVM2 001" not in raw


def test_label_can_be_had_by_hand() -> None:
    """As the format's description says: a zlib stream at byte 300, its length before it."""
    raw = marker().pack()
    (size,) = struct.unpack_from("<H", raw, 298)
    assert zlib.decompress(raw[300 : 300 + size]) == LABEL


def test_pointer_comes_back() -> None:
    for pointer in (Pointer(REGION), Pointer(OTHER, True, REGION, lvm_id("p", "pv"), 7)):
        assert len(pointer.pack()) == 512
        assert parse_pointer(pointer.pack()) == pointer
    assert Pointer(REGION).pack().startswith(b"RELUN JOURNAL AT byte 11530240, 9216 bytes.")


@pytest.mark.parametrize("zeroed", [False, True])
@pytest.mark.parametrize("here", [False, True])
def test_flags_of_a_region_are_told_apart(zeroed: bool, here: bool) -> None:
    """1: zeros lay there; 2: it exists; 4: it is on this LUN."""
    pointer = Pointer(Region(4096, 1024, zeroed, b"the  tag", here))
    raw = pointer.pack()
    assert raw[192 + 20] == 2 + zeroed + 4 * here
    assert parse_pointer(raw) == pointer


def test_what_only_a_begun_pointer_needs_is_zero_afterwards() -> None:
    """begun, the earlier journal, PV uuid and seqno: all of it."""
    assert Pointer(REGION).pack()[192 + 21 : 508] == bytes(508 - 192 - 21)


def test_uuid_that_ends_with_any_letter() -> None:
    """Padding is NULs, and nothing else is taken for it."""
    uuid = lvm_id("m", "pv")[:-2] + "XX"
    pointer = Pointer(REGION, True, None, uuid, 7)
    assert parse_pointer(pointer.pack()) == pointer
    whole = marker()._replace(switch_pv=uuid)
    assert parse_marker(whole.pack()) == whole
    shorter = marker()._replace(switch_pv="X")
    assert parse_marker(shorter.pack()) == shorter


@pytest.mark.parametrize("size, believed", [(16 << 20, True), ((16 << 20) + 1, False)])
def test_largest_region_that_is_believed(size: int, believed: bool) -> None:
    pointer = Pointer(REGION._replace(size=size))
    assert parse_pointer(pointer.pack()) == (pointer if believed else None)


def flips(raw: bytes) -> List[bytes]:
    return [raw[:at] + bytes([raw[at] ^ 0x10]) + raw[at + 1 :] for at in range(512)]


def test_one_wrong_bit_is_enough() -> None:
    assert [parse_marker(raw) for raw in flips(marker().pack())] == [None] * 512
    assert [parse_pointer(raw) for raw in flips(Pointer(REGION).pack())] == [None] * 512


@pytest.mark.parametrize("raw", [bytes(512), LABEL, b"\xff" * 512])
def test_anything_else(raw: bytes) -> None:
    assert parse_marker(raw) is None
    assert parse_pointer(raw) is None


@pytest.mark.parametrize(
    "at, field",
    [
        (192, b"\0"),  # no direction
        (192, b"\4"),
        (224 + 20, b"\0"),  # no region
        (298, b"\0\0"),  # no label
        (300, b"\xff\xff"),  # no zlib stream
    ],
)
def test_forged_marker_with_its_crc_right(at: int, field: bytes) -> None:
    raw = marker().pack()
    assert parse_marker(sealed(raw[:at] + field + raw[at + len(field) :])) is None


def test_label_that_unpacks_to_more_than_a_sector_is_cut() -> None:
    raw = marker(label=bytes(100000)).pack()
    found = parse_marker(raw)
    assert found is not None and found.old_label == bytes(512)


def test_forged_pointer_with_its_crc_right() -> None:
    raw = Pointer(REGION).pack()
    assert parse_pointer(sealed(raw[:212] + b"\0" + raw[213:])) is None


def test_label_that_does_not_fit() -> None:
    noise = b"".join(struct.pack("<I", zlib.crc32(bytes([n]))) for n in range(128))
    assert fits_marker(LABEL) and not fits_marker(noise)
    with pytest.raises(ValueError, match="do not fit"):
        marker(label=noise).pack()


def test_largest_label_that_fits_is_packed() -> None:
    """What fits_marker promises, pack keeps, to the byte."""
    noise = b"".join(struct.pack("<I", zlib.crc32(bytes([n]))) for n in range(128))
    fitting = [size for size in range(513) if fits_marker(noise[:size].ljust(512, b"\0"))]
    assert fitting == list(range(len(fitting)))
    for size in (fitting[-1], fitting[-1] + 1):
        label = noise[:size].ljust(512, b"\0")
        if fits_marker(label):
            assert parse_marker(marker(label=label).pack()) == marker(label=label)
        else:
            with pytest.raises(ValueError, match="do not fit"):
                marker(label=label).pack()


def test_pointer_lies_behind_the_sectors_that_lvm_scans() -> None:
    assert POINTER_AT == 4 * 512


def test_numbers_that_other_versions_rely_on() -> None:
    """Where the stash lies, how large a region may be, what the directions are called."""
    assert (marker_module.POINTER_AT, marker_module.STASH_AT) == (2048, 2560)
    assert marker_module.LARGEST_REGION == 16 * 1024 * 1024
    assert sorted(marker_module.DIRECTIONS.values()) == ["resign", "undo", "undo"]
    assert marker_module.Region(0, 1024, True, b"12345678").here
