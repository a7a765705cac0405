"""The VG's next text and where it goes: every area that has one, in pieces where the ring ends."""

import re
import struct
from typing import Any

import pytest

from relun.core import verbs
from relun.core.identity import Identity
from relun.core.lvm2.checksum import lvm_crc
from relun.core.lvm2.vg import parse_vg
from relun.core.rewrite.lvm import new_text
from support.builder import Pv, Ring, Sr
from support.clone import MDA, NEW_SR, TREE, made, rehead, resign, states
from support.memory import MemoryDevice

AREA = 64 * 1024


def stored_text(device: MemoryDevice, size: int, start: int = MDA) -> bytes:
    """Return the committed text of an area of ``size`` bytes, read round the ring's end."""
    offset, length, crc = struct.unpack("<QQI", device.get(start + 40, 20))
    ring = device.get(start + 512, size - 512) * 2
    text = ring[offset - 512 : offset - 512 + length]
    assert crc == lvm_crc(text)
    return text


@pytest.mark.parametrize("sectors", [2, 3])
def test_text_that_wraps(sectors: int, tmpdir: Any) -> None:
    """So many sectors are left behind the old text, and too few before it for all of the new."""
    (probe,) = made(Sr(TREE, "wrap", pvs=(Pv(mda_size=AREA),)), tmpdir, "probe")[1]
    rounded = -(-len(stored_text(probe, AREA)) // 512) * 512
    size = 2 * rounded + sectors * 512
    ring = Ring(offset=rounded, filled=True)
    behind = (1 << 20) + (40 << 20) + (1 << 20)  # room for the journal behind the last extent
    sr = Sr(TREE, "wrap", pvs=(Pv(mda_size=size, size=behind),), ring=ring)
    (device,) = made(sr, tmpdir)[1]
    old = stored_text(device, size)
    resign([device])
    text = stored_text(device, size)
    where, length = struct.unpack("<QQ", device.get(MDA + 40, 16))
    assert (where, where + length > size) == (2 * rounded, True)
    assert text.startswith(b"VG_XenStorage-" + NEW_SR.encode("ascii") + b" {")
    assert text.endswith(b"\0") and text.count(b"\0") == 1
    uuids = rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|id = \S+|seqno = \d+"
    assert re.sub(uuids, b"", text) == re.sub(uuids, b"", old)


def test_area_without_a_text_stays_empty(tmpdir: Any) -> None:
    """LVM may have one beside an area with a text; only that one is brought up to date."""
    pvs = (Pv(mdas=2, mda_size=1 << 20),)
    (device,) = made(Sr(TREE, "empty", pvs=pvs), tmpdir)[1]
    rehead(device, lambda raw: raw[:40] + bytes(472))
    before = states([device])
    second = device.size - (1 << 20)
    resign([device])
    assert device.get(MDA + 40, 24) == bytes(24)
    assert NEW_SR.encode("ascii") in stored_text(device, 1 << 20, second)[:60]
    assert verbs.inspect([device]).sr_uuid == NEW_SR
    verbs.undo([device])
    assert states([device]) == before


def retold(text: bytes) -> bytes:
    """Return the next text of a VG with this one."""
    group = parse_vg(text)
    sr = group.name[-36:]
    return new_text(group, Identity(sr, NEW_SR, {}), set(), "VG_XenStorage-" + NEW_SR)


def test_one_nul_ends_a_text_whether_the_old_one_had_it_or_not(tmpdir: Any) -> None:
    text = made(Sr(TREE, "nul"), tmpdir)[0].text
    assert text.endswith(b"\n\0")
    new = retold(text)
    assert new.endswith(b"\n\0") and new.count(b"\0") == 1
    assert retold(text[:-1]) == new


def test_description_is_emptied_or_stays_away(tmpdir: Any) -> None:
    """LVM writes its command line there, with names and paths; other versions write nothing."""
    sr = Sr(TREE, "told", command="Created *after* executing 'vgcreate VG /dev/sdb'")
    text = made(sr, tmpdir)[0].text
    assert b"/dev/sdb" in text
    assert b'\ndescription = ""\n' in retold(text)
    without = re.sub(rb"\ndescription = .*\n", b"\n", text)
    assert b"description" not in without
    assert b"description" not in retold(without)
    assert re.sub(rb"\ndescription = .*\n", b"\n", retold(text)) == retold(without)


def test_device_hint_stays_unless_another_is_asked_for(tmpdir: Any) -> None:
    text = made(Sr(TREE, "hinted"), tmpdir)[0].text
    (hint,) = re.findall(rb'device = ".*"', text)
    assert hint in retold(text)
