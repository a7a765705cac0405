"""Hostile LUNs made by hand: each is refused, in little time and memory, with nothing written."""

import hashlib
import os
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from fuzz_regressions import making
from fuzz_regressions.making import SECTOR, change_label, change_text, change_vhd, codes, lun_of
from hostile import repair
from hostile.luns import NEW_SR
from relun.core import verbs
from relun.core.errors import FormatError, Refused, RelunError
from relun.core.journal import marker, pages, payload
from relun.core.options import Options
from support.builder import MIB, Pv, Raw, Sr, Vhd
from support.sparse import SparseDevice

PAIR = Sr((Vhd("a"), Vhd("b", "a")))
OPTIONS = Options(sr_uuid=NEW_SR)
HUGE = 1 << 44


def planned(lun: SparseDevice) -> Any:
    return verbs.plan([lun], OPTIONS)


def assert_refused(lun: SparseDevice, *expected: str) -> None:
    """The LUN is refused for these reasons (any of them), and inspected without an error."""
    lun.writable = False
    repository = making.within_limits(verbs.inspect, [lun])
    with pytest.raises(Refused) as refusal:
        making.within_limits(planned, lun)
    found = codes(refusal.value.findings) | codes(repository.findings) | {refusal.value.code}
    assert found & set(expected), found


def number(lun: SparseDevice, key: bytes, value: bytes) -> None:
    """Give the first ``key = …`` of the text another value."""
    text = making.text_of(lun)
    start = text.index(key + b" = ")
    end = text.index(b"\n", start)
    making.put_text(lun, text[:start] + key + b" = " + value + text[end:])


def test_the_lun_they_are_made_of_is_sound() -> None:
    lun, _ = lun_of(PAIR)
    assert len(planned(lun).edits) > 5


@pytest.mark.parametrize("line", ["id = ", "seqno = ", "pe_start = ", "extent_size = "])
def test_line_missing(line: str) -> None:
    lun, _ = lun_of(PAIR)
    text = making.text_of(lun)
    start = text.index(line.encode())
    making.put_text(lun, text[:start] + text[text.index(b"\n", start) + 1 :])
    assert_refused(lun, "text-value")


@pytest.mark.parametrize(
    "value",
    [b"4294967295", b"18446744073709551615", b"9" * 20, b"9" * 5000, b"-1", b"\xb2", b"1e3", b'""'],
)
def test_seqno_that_cannot_be_raised(value: bytes) -> None:
    lun, _ = lun_of(PAIR)
    number(lun, b"seqno", value)
    assert_refused(lun, "text-value")


@pytest.mark.parametrize("value", [b"0", b"1", b"7", b"8", b"22000", b"9223372036854775808"])
def test_extents_on_label_gap_metadata_or_behind_the_end(value: bytes) -> None:
    lun, _ = lun_of(PAIR)
    number(lun, b"pe_start", value)
    assert_refused(lun, "text-value", "pv-truncated")


def test_extents_on_the_metadata_area_are_not_sealed_either() -> None:
    lun, _ = lun_of(Sr((), mgt=False))
    number(lun, b"pe_start", b"8")
    lun.writable = False
    with pytest.raises(Refused):
        verbs.seal([lun])


def test_two_volumes_on_the_same_extents() -> None:
    lun, _ = lun_of(PAIR)
    parts = making.text_of(lun).split(b'"pv0", ')
    same = [b"0\n" + part.split(b"\n", 1)[1] for part in parts[1:]]
    making.put_text(lun, b'"pv0", '.join([parts[0], *same]))
    assert_refused(lun, "text-value")


@pytest.mark.parametrize(
    "stripes",
    [
        b'stripe_count = 2\nstripe_size = 32768\nstripes = ["pv0", 10, "pv0", 12]',
        b'stripe_count = 2\nstripe_size = 0\nstripes = ["pv0", 10, "pv0", 12]',
        b'stripe_count = 1\nstripes = ["pv0"]',
        b'stripe_count = 1\nstripes = ["pv9", 0]',
        b'stripe_count = 1\nstripes = ["pv0", 4294967295]',
    ],
    ids=["huge", "none", "odd", "unknown", "far"],
)
def test_stripes(stripes: bytes) -> None:
    lun, _ = lun_of(Sr((Raw("a", size=16 * MIB), Raw("b")), pvs=(Pv(spare=20),)))
    text = making.text_of(lun)
    start = text.index(b"stripe_count = 1", text.index(b"LV-"))
    making.put_text(lun, text[:start] + stripes + text[text.index(b"]", start) + 1 :])
    assert_refused(lun, "text-value")


def test_thousands_of_segments_of_four_billion_extents() -> None:
    lun, _ = lun_of(PAIR)
    segments = b"".join(
        b'segment%d {\nstart_extent = %d\nextent_count = 4294967295\ntype = "striped"\n'
        b'stripe_count = 1\nstripes = ["pv0", 0]\n}\n' % (n, n * 4294967295)
        for n in range(5000)
    )
    change_text(lun, b"segment1 {", segments + b"segment9999 {")
    assert_refused(lun, "text-value")


@pytest.mark.parametrize(
    ("field", "data"),
    [
        (16, None),  # the offset of another locator
        (16, struct.pack(">Q", 0)),
        (16, struct.pack(">Q", (1 << 64) - 512)),
        (0, struct.pack(">4sII", b"W2ku", 65536, 65535)),
        (0, struct.pack(">4sII", b"????", 512, 10)),
    ],
    ids=["on another", "on the footer", "far", "odd", "unknown"],
)
def test_locator(field: int, data: bytes | None) -> None:
    lun, built = lun_of(PAIR)
    [(_pv, start, _size)] = built.lvs[built.names["b"]].runs
    header = lun.read(start + SECTOR, 1024)
    change_vhd(lun, start + SECTOR, 576 + 24 + field, data or header[576 + 16 : 576 + 24])
    assert_refused(lun, "vhd-locator", "lv-range", "parent-name")


def test_locators_that_share_bytes_and_are_well_formed() -> None:
    lun, built = lun_of(Sr((Vhd("a"), Vhd("b", "a", locators=("W2ku", "W2ru")))))
    [(_pv, start, _size)] = built.lvs[built.names["b"]].runs
    first = lun.read(start + SECTOR + 576 + 16, 8)
    change_vhd(lun, start + SECTOR, 576 + 24 + 16, first)
    assert_refused(lun, "vhd-locator")


def test_vhd_header_on_the_footer() -> None:
    lun, built = lun_of(PAIR)
    [(_pv, start, _size)] = built.lvs[built.names["a"]].runs
    footer = lun.read(start, SECTOR)
    header = repair.vhd(lun.read(start + SECTOR, 1024), 36)
    # The header needs 1024 bytes at 400: its cookie lies in the footer's unused end.
    both = bytearray(footer[:16] + struct.pack(">Q", 400) + footer[24:400] + header)
    both[:SECTOR] = repair.vhd(bytes(both[:SECTOR]), 64)
    both[400:] = repair.vhd(bytes(both[400:1424]), 36)
    lun.write(start, bytes(both))
    assert_refused(lun, "vhd-header", "vhd-footers")


class Endless(SparseDevice):
    """A LUN that shows "<" wherever MGT goes on."""

    start = 0

    def _read(self, offset: int, length: int) -> bytes:
        data = super()._read(offset, length)
        if offset + length <= self.start:
            return data
        keep = max(0, self.start - offset)
        return data[:keep] + b"<" * (length - keep)


def mgt_of_terabytes(used: int) -> tuple[SparseDevice, int]:
    """Return a LUN with an MGT of 12 TiB that says it uses ``used`` bytes, and where it lies."""
    lun, built = lun_of(Sr((Raw("a"),)))
    [(_pv, start, _size)] = built.lvs["MGT"].runs
    head = lun.read(start, 4096)
    lun.size = HUGE
    text = making.text_of(lun)
    at = text.index(b"MGT {")
    mgt = text[at:].replace(b"extent_count = 1", b"extent_count = 3145728", 1)
    mgt = mgt.replace(b'"pv0", 0', b'"pv0", 100', 1)
    making.put_text(lun, text[:at] + mgt)
    number(lun, b"pe_count", b"4000000")
    start = 11 * MIB + 100 * 4 * MIB
    lun.write(start, b"XSSM:%-10d:1:2" % used + head[19:])
    return lun, start


def test_mgt_of_ten_gigabytes() -> None:
    lun, _start = mgt_of_terabytes(9999999488)
    assert_refused(lun, "mgt-short")


def test_mgt_whose_stale_records_never_end() -> None:
    lun, start = mgt_of_terabytes(4096)
    endless = Endless(lun.size, lun.pages, path=lun.path)
    endless.start = start + 4096
    assert_refused(endless, "mgt-short")


def mgt_with(second: bytes) -> SparseDevice:
    """Return a LUN whose first MGT record has another second sector."""
    lun, built = lun_of(Sr((Vhd("a"),)))
    [(_pv, start, _size)] = built.lvs["MGT"].runs
    uuid = built.uuids["a"].encode()
    lun.write(start + 5 * SECTOR, second.replace(b"{}", uuid).ljust(SECTOR)[:SECTOR])
    return lun


def test_record_without_room() -> None:
    filler = b"<type>" + b"x" * 600
    lun = mgt_with(b"<uuid></uuid><deleted></deleted></vdi>" + filler)
    options = OPTIONS._replace(force_mgt=True)
    with pytest.raises(Refused) as refusal:
        verbs.resign([lun], options)
    assert refusal.value.code == "mgt-room"


def test_record_with_an_id_twice() -> None:
    lun = mgt_with(b"<uuid>{}</uuid><uuid>{}</uuid><snapshot_of>{}</snapshot_of></vdi>")
    change = planned(lun).change
    [edit] = [edit for edit in change.edits if b"<uuid>" in edit.old and b"</vdi>" in edit.old]
    old = edit.old.partition(b"<uuid>")[2][:36]
    assert edit.old.count(old) == 3
    assert old not in edit.new


def test_label_that_no_marker_could_hold() -> None:
    lun, _ = lun_of(PAIR)
    change_label(lun, 256, os.urandom(256))
    assert_refused(lun, "label-room")


def test_metadata_areas_on_each_other() -> None:
    lun, _ = lun_of(PAIR)
    size = 1 << 20
    change_label(lun, 120, struct.pack("<QQQQII", 8192, size, 0, 0, 2, 1))
    text = making.text_of(lun)
    header = bytearray(lun.read(4096, SECTOR))
    struct.pack_into("<QQQQI", header, 24, 8192, size, 8192, len(text), repair.lvm_crc(text))
    lun.write(8192, repair.mda(bytes(header)))
    lun.write(16384, text)
    assert_refused(lun, "mda-bounds")


# --- relun's own journal, forged


def resigned() -> tuple[SparseDevice, Any]:
    lun, _ = lun_of(PAIR)
    verbs.resign([lun], OPTIONS)
    pointer = marker.parse_pointer(lun.read(marker.POINTER_AT, SECTOR))
    assert pointer is not None
    return lun, pointer


def forged(body: bytes) -> SparseDevice:
    """Return a resigned LUN whose journal is another one."""
    lun, pointer = resigned()
    stream = b"relun1" + zlib.compress(body, 9)
    tag = hashlib.sha1(stream).digest()[:8]
    size = pages.pages_needed(len(stream)) * pages.PAGE
    content = pages.build_pages(stream, bytes(size), tag)
    assert content is not None
    at = lun.size
    lun.size += size
    lun.write(at, content)
    region = marker.Region(at, size, True, tag)
    lun.write(marker.POINTER_AT, pointer._replace(region=region).pack())
    return lun


def body_of_change() -> bytes:
    lun, _ = lun_of(PAIR)
    return zlib.decompress(payload.pack_change(planned(lun).change)[6:])


def settled(lun: SparseDevice, verb: Callable[[Any], Any]) -> None:
    try:
        making.within_limits(verb, [lun])
    except RelunError:
        pass


@pytest.mark.parametrize("begun", [False, True])
def test_pointer_to_four_gigabytes(begun: bool) -> None:
    lun, pointer = resigned()
    lun.size = HUGE
    region = pointer.region._replace(size=(1 << 32) - 512, offset=1 << 40)
    lun.write(marker.POINTER_AT, pointer._replace(region=region, begun=begun).pack())
    making.within_limits(verbs.inspect, [lun])
    for verb in (verbs.undo, verbs.recover, verbs.seal):
        settled(lun.copy(), verb)


_EDIT = struct.Struct("<IQ")
_BODIES: dict[str, Callable[[], bytes]] = {
    "zeros": lambda: bytes(250 << 20),
    "edits": lambda: body_of_change() + bytes(24) * (5 << 20),
    "device": lambda: body_of_change().replace(_EDIT.pack(0, 4096), _EDIT.pack(99, 4096)),
    "label": lambda: body_of_change().replace(_EDIT.pack(0, 512), _EDIT.pack(0, 1 << 40)),
    "length": lambda: body_of_change() + _EDIT.pack(0, 0) + b"\0\0\0\0\1\0\0\0x\0\0\0\0",
}


@pytest.mark.parametrize("kind", _BODIES)
def test_forged_change(kind: str) -> None:
    lun = forged(_BODIES[kind]())
    before = dict(lun.pages)
    repository = making.within_limits(verbs.inspect, [lun])
    assert repository.state == "original", "the forged journal was believed"
    with pytest.raises(Refused):
        making.within_limits(verbs.undo, [lun])
    assert lun.pages == before


def test_change_too_large_to_be_read_again_is_not_written() -> None:
    lun, _ = lun_of(PAIR)
    change = planned(lun).change
    assert payload.fits_payload(change)
    edit = change.edits[0]
    assert not payload.fits_payload(change._replace(edits=(edit,) * 50000))
    large = edit._replace(old=bytes(30 << 20), new=bytes(30 << 20))
    assert not payload.fits_payload(change._replace(edits=(large,)))
    with pytest.raises(FormatError):
        payload.unpack_change(payload.pack_change(change._replace(edits=(large,))))
