"""SM's journals, as real crashes left them."""

import struct

import pytest

from relun.core.errors import FormatError
from relun.core.smjournal import (
    SECTOR,
    ResizeJournal,
    entry_count,
    parse_payload,
    replace_payload,
)
from support import golden

A = "11111111-2222-3333-4444-555555555555"
B = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"


def payloads() -> "list[tuple[str, str]]":
    """Return LV name and payload of the journals that have one."""
    volumes = golden.manifest("journals")["other_lvs"]
    return sorted(
        (name, facts["first_bytes"]) for name, facts in volumes.items() if facts["first_bytes"]
    )


def test_payloads_of_the_sample() -> None:
    assert [name.split("_")[0] for name, _first in payloads()] == ["clone", "leaf"]
    for lv_name, first in payloads():
        sector = golden.read_lv("journals", lv_name, 0, SECTOR)
        value = parse_payload(sector)
        assert value == first.split(" ")[1]
        other = value.replace("-", "0")
        changed = replace_payload(sector, value, other)
        assert changed == sector.replace(value.encode("ascii"), other.encode("ascii"))


@pytest.mark.parametrize("value", [A, A + "_" + B, A + "_"])
def test_payload_forms(value: str) -> None:
    sector = "{} {}".format(len(value), value).encode("ascii").ljust(SECTOR)
    assert parse_payload(sector) == value
    assert len(replace_payload(sector, value, value[::-1])) == SECTOR


@pytest.mark.parametrize(
    "sector",
    [
        b"",
        bytes(SECTOR),
        b" " * SECTOR,
        b"36",
        b"36 " + A[:-1].encode("ascii"),
        b"35 " + A.encode("ascii"),
        b"-1 " + A.encode("ascii"),
        b"0036 " + A.encode("ascii"),
        b"\xb2 " + A.encode("ascii"),
        b"1 _",
        b"37 _" + A.encode("ascii"),
        b"38 " + A.encode("ascii") + b"_x",
        b"110 " + "_".join((A, B, A)).encode("ascii"),
    ],
)
def test_what_is_no_payload(sector: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        parse_payload(sector)
    assert caught.value.code == "journal-payload"


def journal(data: int, metadata: int) -> ResizeJournal:
    """Return a resize journal's header, put together by struct vhd_journal_header."""
    raw = struct.pack(">8s16sQIIQQ", b"vjournal", bytes(range(16)), 512, data, metadata, 512, 1024)
    return ResizeJournal(raw.ljust(SECTOR, b"\0"))


def test_empty_resize_journal_of_the_sample() -> None:
    resized = golden.manifest("journals")["interrupted"]["resize"]
    header = ResizeJournal(golden.read_lv("journals", "jvhd_" + resized, 0, SECTOR))
    assert not header.present and not header.live


@pytest.mark.parametrize("data, metadata, live", [(0, 0, False), (1, 0, True), (0, 3, True)])
def test_resize_journal_is_live_with_entries(data: int, metadata: int, live: bool) -> None:
    header = journal(data, metadata)
    assert header.present and header.live == live
    assert entry_count(header) == data + metadata


def test_resize_journal_for_another_image() -> None:
    header = journal(1, 1)
    changed = header.with_uuid(b"x" * 16)
    assert (header.uuid, changed.uuid) == (bytes(range(16)), b"x" * 16)
    assert changed.raw == header.raw.replace(bytes(range(16)), b"x" * 16)


@pytest.mark.parametrize("sector", [b"0 ", b"36 " + b"x" * 36, b"38 " + A.encode() + b"_x"])
def test_where_a_payload_is_wrong(sector: bytes) -> None:
    """At the start of its volume."""
    with pytest.raises(FormatError) as caught:
        parse_payload(sector.ljust(512))
    assert (caught.value.offset, SECTOR) == (0, 512)
