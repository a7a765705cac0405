"""Damaged structures with their checksums made right again: only FormatError may come of them."""

import random
import struct
from typing import Any, Callable, Set

import pytest

from relun.core.errors import FormatError
from relun.core.lvm2.checksum import lvm_crc
from relun.core.lvm2.label import parse_label
from relun.core.lvm2.mda import parse_mda_header
from relun.core.lvm2.vg import parse_vg
from relun.core.mgt import parse_mgt
from relun.core.qcow2 import parse_qcow2
from relun.core.smjournal import parse_payload
from relun.core.vhd import HEADER_AT, HEADER_SIZE, Footer, checksum, parse_header
from support import golden

ROUNDS = 500
VALUES = (0, 1, 0x20, 0x30, 0x7F, 0x80, 0xFF)


def label(raw: bytes) -> Any:
    return parse_label(raw[:16] + struct.pack("<I", lvm_crc(raw[20:])) + raw[20:], 1)


def mda(raw: bytes) -> Any:
    header = parse_mda_header(struct.pack("<I", lvm_crc(raw[4:])) + raw[4:], 4096, 11530240)
    return header.place(5000), header.pieces(512, 5000), header.empty, header.ignored


def vg(raw: bytes) -> Any:
    group = parse_vg(raw)
    for lv in group.lvs.values():
        list(group.runs(lv, 0, min(lv.size, 1 << 30)))
    return group.seqno


def vhd(raw: bytes) -> Any:
    header = parse_header(raw[:36] + struct.pack(">I", checksum(raw, 36)) + raw[40:])
    for locator in header.locators():
        locator.decode(bytes(512))
    return header.parent_name


def footer(raw: bytes) -> Any:
    read = Footer(raw)
    return read.valid, read.hidden, read.type, read.virtual_size, read.with_uuid(bytes(16)).valid


def mgt(raw: bytes) -> Any:
    read = parse_mgt(raw)
    for record in read.records:
        if record.parsable:
            assert record.replaced(uuid=record.uuid) == record
    return read.sr_uuid, read.sr_name, read.allocation


def sources() -> Any:
    """Return (name, parser, real bytes) of every format."""
    head = golden.read(golden.image("single"), 0, 8192)
    child = next(
        name
        for name, facts in sorted(golden.manifest("chain")["vdis"].items())
        if "parent_lv" in facts
    )
    qcow2 = next(
        name
        for name, facts in sorted(golden.manifest("qcow2")["vdis"].items())
        if facts.get("backing")
    )
    journal = next(
        name for name in golden.manifest("journals")["other_lvs"] if name.startswith("clone_")
    )
    return [
        ("label", label, head[512:1024]),
        ("mda", mda, head[4096:4608]),
        ("vg", vg, golden.metadata_text("single").rstrip(b"\0")),
        ("vhd header", vhd, golden.read_lv("chain", child, HEADER_AT, HEADER_SIZE)),
        ("vhd footer", footer, golden.read_lv("chain", child, 0, 512)),
        ("qcow2", parse_qcow2, golden.read_lv("qcow2", qcow2, 0, 1024)),
        ("mgt", mgt, golden.read_lv("single", "MGT", 0, 4096)),
        ("payload", parse_payload, golden.read_lv("journals", journal, 0, 512)),
    ]


@pytest.mark.parametrize("name, parse, data", sources(), ids=[entry[0] for entry in sources()])
def test_damage(name: str, parse: Callable[[bytes], Any], data: bytes) -> None:
    chooser = random.Random(name)
    outcomes: Set[str] = set()
    used = len(data.rstrip(b" \0"))  # most of the damage goes to where something is
    for _ in range(ROUNDS):
        damaged = bytearray(data)
        for _ in range(chooser.randint(1, 3)):
            at = chooser.randrange(min(used + 8, len(data)))
            damaged[at] = chooser.choice(VALUES)
        try:
            parse(bytes(damaged))
            outcomes.add("read")
        except FormatError as error:
            outcomes.add(error.code)
    assert "read" in outcomes
    assert len(outcomes) > 1 or name == "vhd footer"
