"""VHD footers, headers and locators as vhd-util and tapdisk wrote them."""

import struct
import uuid
from typing import Any, Dict, Iterator, Tuple

import pytest

from relun.core.errors import FormatError
from relun.core.vhd import (
    FOOTER_SIZE,
    HEADER_AT,
    HEADER_SIZE,
    TYPE_DIFFERENCING,
    TYPE_DYNAMIC,
    ZERO_UUID,
    Footer,
    Header,
    checksum,
    parse_header,
)
from support import golden

IMAGES = ["chain", "journals", "raw", "single", "twomda", "wrapped"]
NEW = bytes(range(16))
TYPES = {"dynamic": TYPE_DYNAMIC, "differencing": TYPE_DIFFERENCING}


def vhds(name: str) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """Yield LV name and manifest entry of the healthy VHDs of a sample."""
    for lv_name, facts in sorted(golden.manifest(name)["vdis"].items()):
        if facts["kind"] == "vhd" and facts.get("check", {}).get("rc", 0) == 0:
            yield lv_name, facts


def footer_of(name: str, lv_name: str) -> Footer:
    """Return the footer at the start of an LV."""
    return Footer(golden.read_lv(name, lv_name, 0, FOOTER_SIZE))


def sealed(raw: bytes) -> Footer:
    """Return a footer with its checksum made right by the rule of the VHD specification."""
    plain = raw[:64] + bytes(4) + raw[68:]
    total = sum(plain)
    return Footer(raw[:64] + struct.pack(">I", total ^ 0xFFFFFFFF) + raw[68:])


def sample() -> Footer:
    """Return one real footer."""
    return footer_of("single", next(vhds("single"))[0])


def sample_child() -> Header:
    """Return one real header that names a parent."""
    lv_name = next(name for name, facts in vhds("chain") if "parent_lv" in facts)
    return parse_header(golden.read_lv("chain", lv_name, HEADER_AT, HEADER_SIZE))


@pytest.mark.parametrize("name", IMAGES)
def test_footers_are_what_vhd_util_reports(name: str) -> None:
    for lv_name, facts in vhds(name):
        first = footer_of(name, lv_name)
        last = Footer(golden.read_lv(name, lv_name, -FOOTER_SIZE, FOOTER_SIZE))
        assert first.valid and first.raw == last.raw
        assert not first.poisoned
        assert first.uuid == uuid.UUID(facts["footer_uuid"]).bytes
        assert first.type == TYPES[facts["vhd_type"]]
        assert first.virtual_size == facts["virtual_size"]
        assert first.hidden == bool(facts["hidden"])
        assert first.header_offset == HEADER_AT
        assert first.with_uuid(first.uuid) == first


@pytest.mark.parametrize("name", IMAGES)
def test_headers_are_what_vhd_util_reports(name: str) -> None:
    for lv_name, facts in vhds(name):
        header = parse_header(golden.read_lv(name, lv_name, HEADER_AT, HEADER_SIZE))
        assert header.parent_name == facts.get("parent_name", "")
        parent = facts.get("parent_uuid", "00000000-0000-0000-0000-000000000000")
        assert header.parent_uuid == uuid.UUID(parent).bytes
        assert header.bat_offset == 1536
        locators = header.locators()
        assert len(locators) == len(facts.get("locators", ()))
        for locator, expected in zip(locators, facts.get("locators", ())):
            assert locator.slot == expected["slot"]
            assert locator.code == expected["code"].encode("ascii")
            assert (locator.offset, locator.length) == (
                expected["data_offset"],
                expected["data_length"],
            )
            assert locator.space == 512
            data = golden.read_lv(name, lv_name, locator.offset, locator.space)
            assert locator.decode(data) == expected["text"]
            assert locator.encode(expected["text"]) == bytes.fromhex(expected["raw_hex"])


@pytest.mark.parametrize("size, at", [(FOOTER_SIZE, 64), (HEADER_SIZE, 36)])
def test_checksum_of_any_bytes(size: int, at: int) -> None:
    """Ones' complement of the sum of all bytes, without the field itself."""
    noise = bytes(n * n % 251 + 1 for n in range(size))
    for raw in (noise, b"\xff" * size, bytes(size)):
        total = sum(raw[:at]) + sum(raw[at + 4 :])
        assert checksum(raw, at) == total ^ 0xFFFFFFFF


def test_new_footer_uuid_changes_uuid_and_checksum_only() -> None:
    old = sample()
    new = old.with_uuid(NEW)
    assert new.valid and new.uuid == NEW
    assert new == sealed(old.raw[:68] + NEW + old.raw[84:])


def test_new_parent_changes_uuid_name_and_checksum_only() -> None:
    old = sample_child()
    name = old.parent_name[::-1]
    new = parse_header(old.with_parent(NEW, name).raw)
    assert (new.parent_uuid, new.parent_name) == (NEW, name)
    encoded = name.encode("utf-16-be")
    assert new.raw[:36] == old.raw[:36]
    assert new.raw[40:] == NEW + old.raw[56:64] + encoded + old.raw[64 + len(encoded) :]
    assert old.with_parent(old.parent_uuid, old.parent_name) == old


@pytest.mark.parametrize("name", ["", "x", "x" * 300])
def test_parent_name_of_another_length(name: str) -> None:
    with pytest.raises(FormatError) as caught:
        sample_child().with_parent(ZERO_UUID, name)
    assert caught.value.code == "vhd-header"


def test_parent_name_beyond_the_basic_plane() -> None:
    raw = bytearray(sample_child().raw)
    raw[64:576] = ("x" * 256).encode("utf-16-be")
    full = Header(bytes(raw))
    with pytest.raises(FormatError):
        full.with_parent(ZERO_UUID, "\U0001f4be" * 256)


@pytest.mark.parametrize("version, accepted", [(0x1, True), (0x10001, True), (0x10003, False)])
def test_hidden_mark_without_a_new_checksum(version: int, accepted: bool) -> None:
    plain = bytearray(sample().raw)
    plain[32:36] = struct.pack(">I", version)
    hidden = bytearray(sealed(bytes(plain)).raw)
    hidden[85] = 1
    footer = Footer(bytes(hidden))
    assert footer.hidden
    assert footer.valid == accepted
    assert footer.with_uuid(NEW).valid


def test_old_creator_with_another_fault() -> None:
    raw = bytearray(sample().raw)
    raw[32:36] = struct.pack(">I", 0x10001)
    wrong = bytearray(sealed(bytes(raw)).raw)
    wrong[50] ^= 1
    assert not Footer(bytes(wrong)).valid


def test_poisoned_footer() -> None:
    footer = sealed(b"v_poison" + sample().raw[8:])
    assert footer.valid and footer.poisoned


@pytest.mark.parametrize(
    "raw",
    [bytes(512), b"\xc7" * 512, b"", b"conectix"],
    ids=["zeros", "overwritten by a running tapdisk", "empty", "cut"],
)
def test_dead_footer(raw: bytes) -> None:
    assert not Footer(raw).valid


def test_one_changed_byte_kills_footer_and_header() -> None:
    footer = bytearray(sample().raw)
    footer[100] = 1
    assert not Footer(bytes(footer)).valid
    header = bytearray(sample_child().raw)
    header[800] = 1
    with pytest.raises(FormatError) as caught:
        parse_header(bytes(header))
    assert (caught.value.code, caught.value.offset) == ("vhd-header", HEADER_AT)


def test_checksum_counts_its_own_field_as_zero() -> None:
    assert checksum(b"\1\2\377\377\377\377", 2) == 0xFFFFFFFF - 3


def resealed(raw: bytearray) -> bytes:
    """Return a header with its checksum made right."""
    raw[36:40] = struct.pack(">I", checksum(raw, 36))
    return bytes(raw)


def test_header_that_is_none() -> None:
    good = sample_child().raw
    name_no_text = bytearray(good)
    name_no_text[64:66] = b"\xd8\0"
    for raw in (b"", good[:-1], b"cxsparsf" + good[8:], resealed(name_no_text)):
        with pytest.raises(FormatError) as caught:
            parse_header(raw)
        assert caught.value.code == "vhd-header"


def with_locator(code: bytes, space: int, length: int) -> Header:
    """Return a header whose only locator, in slot 7, is this one."""
    raw = bytearray(sample_child().raw)
    raw[576:768] = bytes(7 * 24) + struct.pack(">4sIIIQ", code, space, length, 0, 8192)
    return Header(bytes(raw))


def test_space_in_sectors_as_others_write_it() -> None:
    (locator,) = with_locator(b"W2ru", 2, 1000).locators()
    assert locator == (7, b"W2ru", 1024, 1000, 8192)


@pytest.mark.parametrize(
    "space, length", [(0, 0), (1, 513), (512, 0), (512, 513), (1 << 31, 65537)]
)
def test_impossible_locator(space: int, length: int) -> None:
    with pytest.raises(FormatError) as caught:
        with_locator(b"MacX", space, length).locators()
    assert caught.value.code == "vhd-locator"
    assert caught.value.offset == HEADER_AT + 576 + 7 * 24
    assert caught.value.fields["slot"] == 7


@pytest.mark.parametrize("code, data", [(b"Wxyz", b"path"), (b"MacX", b"\xff\xff\xff\xff")])
def test_locator_that_cannot_be_read(code: bytes, data: bytes) -> None:
    (locator,) = with_locator(code, 512, 4).locators()
    with pytest.raises(FormatError) as caught:
        locator.decode(data)
    assert (caught.value.code, caught.value.offset) == ("vhd-locator", 8192)


def test_dead_vhd_of_an_interrupted_resize_is_what_the_manifest_says() -> None:
    facts = golden.manifest("journals")
    for lv_name in (
        "VHD-" + facts["interrupted"]["resize"],
        "VHD-" + facts["interrupted"]["inflate"],
    ):
        assert footer_of("journals", lv_name).valid


@pytest.mark.parametrize(
    "code, path, data",
    [
        (b"MacX", "file://./é", "file://./é".encode()),
        (b"Mac ", "é", "é".encode()),
        (b"Wi2r", "é", "é".encode()),
        (b"Wi2k", "é", "é".encode()),
        (b"W2ku", "./é", b".\0/\0\xe9\0"),
        (b"W2ru", "./é", b".\0/\0\xe9\0"),
    ],
)
def test_locators_of_each_kind(code: bytes, path: str, data: bytes) -> None:
    (locator,) = with_locator(code, 512, len(data)).locators()
    assert locator.decode(data + b"more") == path
    assert locator.encode(path) == data


@pytest.mark.parametrize("space, length", [(512, 1), (512, 512), (65536, 65536), (1 << 20, 65536)])
def test_smallest_and_largest_locators(space: int, length: int) -> None:
    (locator,) = with_locator(b"MacX", space, length).locators()
    assert (locator.space, locator.length) == (space, length)


def test_eight_locators_and_no_more() -> None:
    """What follows the eighth is reserved."""
    raw = bytearray(with_locator(b"MacX", 512, 10).raw)
    raw[576 + 8 * 24 : 576 + 9 * 24] = b"x" * 24
    assert len(Header(bytes(raw)).locators()) == 1
    raw[576 + 7 * 24 : 576 + 8 * 24] = struct.pack(">4sIIIQ", b"MacX", 512, 10, 0, 4096)
    assert Header(bytes(raw)).locators()[-1].slot == 7


def test_where_a_parent_name_is_wrong() -> None:
    raw = bytearray(sample_child().raw)
    with pytest.raises(FormatError) as caught:
        Header(bytes(raw)).with_parent(NEW, "another length")
    assert (caught.value.code, caught.value.offset) == ("vhd-header", 512 + 64)
    raw[64:66] = b"\xd8\x00"  # half of a pair
    raw[66:68] = b"\0x"
    with pytest.raises(FormatError) as caught:
        parse_header(resealed(raw))
    assert (caught.value.code, caught.value.offset) == ("vhd-header", 512 + 64)


def test_parent_name_that_fills_its_field() -> None:
    """256 characters, no NUL behind them; what follows is the first locator."""
    raw = bytearray(sample_child().raw)
    raw[64:576] = ("n" * 256).encode("utf-16-be")
    header = parse_header(resealed(raw))
    assert header.parent_name == "n" * 256
    assert header.with_parent(NEW, "m" * 256).parent_name == "m" * 256


def test_parent_name_ends_with_the_first_nul() -> None:
    raw = bytearray(sample_child().raw)
    raw[64:576] = "ab\0cd\0e".ljust(256, "\0").encode("utf-16-be")
    assert Header(bytes(raw)).parent_name == "ab"
    assert bytes(16) == ZERO_UUID
