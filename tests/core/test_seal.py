"""Seal: what nobody points to any more is zeroed, what a header points to stays."""

import os
import struct
from typing import Any

import pytest

from relun.core import seal as seal_module
from relun.core import verbs
from relun.core.errors import DeviceError, Refused
from relun.core.journal.marker import parse_pointer
from relun.core.lvm2.checksum import lvm_crc
from support import builder
from support.builder import Pv, Ring, Sr, plain_group
from support.clone import (
    GAP,
    MDA,
    NEW_SR,
    TREE,
    Devices,
    clones,
    codes,
    made,
    rehead,
    resign,
    retext,
    sample,
    states,
    text_of,
)
from support.memory import MemoryDevice

RING = Sr(TREE, "ring", pvs=(Pv(mda_size=256 * 1024),), ring=Ring(history=4, offset=20480))


def ring(device: MemoryDevice, size: int = 256 * 1024) -> bytes:
    """Return an area behind its header, the text in use blotted out."""
    offset, length = struct.unpack("<QQ", device.get(MDA + 40, 16))
    data = bytearray(device.get(MDA, size))
    for at in range(offset, offset + length):
        data[at if at < size else at - size + 512] = 0
    return bytes(data[512:])


def test_history_journal_and_pointer_go(tmpdir: Any) -> None:
    devices = made(RING, tmpdir)[1]
    resign(devices)
    text = text_of(devices[0])
    assert any(ring(devices[0])) and any(devices[0].get(GAP, 512))
    outcome = verbs.seal(devices)
    assert (outcome.action, outcome.new_sr) == ("sealed", NEW_SR)
    assert not any(ring(devices[0])) and not any(devices[0].get(GAP, 4096 - GAP))
    assert text_of(devices[0]) == text
    assert b"RLNJ" not in b"".join(data for _at, data in devices[0].whole())
    assert verbs.undo(devices).action == "nothing"
    assert verbs.inspect(devices).findings == ()


def test_never_resigned(tmpdir: Any) -> None:
    """An original keeps LVM's history: there is no old identity on it."""
    devices = made(RING, tmpdir)[1]
    before = states(devices)
    assert any(ring(devices[0]))
    assert verbs.seal(devices).action == "nothing"
    assert states(devices) == before


def test_sealed_twice_is_sealed_once(tmpdir: Any) -> None:
    devices = made(RING, tmpdir)[1]
    resign(devices)
    verbs.seal(devices)
    before, writes = states(devices), devices[0].traffic.writes
    verbs.seal(devices)
    assert states(devices) == before
    assert devices[0].traffic.writes == writes


def test_wrapped_text_stays() -> None:
    device = sample("wrapped")
    resign([device])
    verbs.seal([device])
    clone = verbs.inspect([device])
    assert (clone.sr_uuid, clone.findings) == (NEW_SR, verbs.inspect([sample("wrapped")]).findings)


def test_precommitted_text_stays(tmpdir: Any) -> None:
    """LVM died between precommit and commit, after the resign: it may still want that text."""
    devices = made(RING, tmpdir)[1]
    resign(devices)
    (device,) = devices
    new = b"VG_of_lvm {}\0"
    device.put(MDA + 100 * 1024, new)
    location = struct.pack("<QQI", 100 * 1024, len(new), lvm_crc(new))
    rehead(device, lambda raw: raw[:64] + location + raw[84:])
    verbs.seal(devices)
    assert device.get(MDA + 100 * 1024, len(new)) == new
    assert codes(verbs.inspect(devices).findings) == ["mda-precommitted"]


def test_both_areas_and_all_luns(tmpdir: Any) -> None:
    pvs = (Pv(mdas=2, mda_size=256 * 1024), Pv(mda_size=256 * 1024, ignored=True))
    devices = made(RING._replace(pvs=pvs), tmpdir)[1]
    resign(devices)
    verbs.seal(devices)
    for device in devices:
        assert not any(ring(device))
        assert not any(device.get(GAP, 512))


def test_what_lies_in_the_gap_is_nobodys_to_zero(tmpdir: Any) -> None:
    """Where no pointer of relun's stands, the gap is somebody else's."""
    devices = made(RING, tmpdir)[1]
    devices[0].put(GAP + 600, b"a boot loader")
    verbs.seal(devices)
    assert devices[0].get(GAP + 600, 13) == b"a boot loader"


def test_pages_of_a_journal_behind_the_extents_only(tmpdir: Any) -> None:
    """What else lies there, a backup of a partition table perhaps, stays."""
    sr = RING._replace(pvs=(Pv(mda_size=256 * 1024, size=(64 << 20) + 8192),))
    (device,) = made(sr, tmpdir)[1]
    device.put(device.size - 512, b"RLNJ")  # no room for a page of relun's
    device.put(device.size - 1024 + 8, b"RLNJ")  # not at the start of a sector
    resign([device])
    verbs.seal([device])
    assert device.get(device.size - 512, 4) == device.get(device.size - 1016, 4) == b"RLNJ"
    rest = b"".join(data for _at, data in device.whole())
    assert rest.count(b"RLNJ") == 2


def test_journals_of_earlier_resigns_go_too(tmpdir: Any) -> None:
    """No pointer tells of them any more; an id of the first original is in them."""
    pvs = (Pv(size=(65 << 20)),)
    built, (device,) = made(Sr(TREE, "thrice", pvs=pvs), tmpdir)
    for number in range(3):
        resign([device], sr_uuid=builder.make_uuid("run", str(number)))
    verbs.seal([device])
    whole = b"".join(data for _at, data in device.whole())
    assert b"RLNJ" not in whole and built.sr_uuid.encode("ascii") not in whole


def test_lun_that_was_grown_since(tmpdir: Any) -> None:
    """What is new behind the extents is vast, and not all looked through."""
    pvs = (Pv(size=(65 << 20)),)
    built, (device,) = made(Sr(TREE, "grown", pvs=pvs), tmpdir)
    resign([device])
    resign([device], sr_uuid=builder.make_uuid("run", "second"))
    os.truncate(built.path, 1 << 40)
    (grown,) = clones(built)
    grown.sectors = device.state()
    before = grown.traffic.bytes_read
    verbs.seal([grown])
    assert grown.traffic.bytes_read - before < 1 << 30
    assert b"RLNJ" not in b"".join(data for _at, data in grown.whole())


def test_write_that_was_reported_and_lost(tmpdir: Any) -> None:
    (device,) = made(RING, tmpdir)[1]
    resign([device])
    device.lost_writes = [MDA + 512]
    with pytest.raises(DeviceError) as caught:
        verbs.seal([device])
    assert caught.value.code == "device-lied"
    device.lost_writes = []
    assert device.get(GAP, 5) == b"RELUN"  # still known to be unfinished
    assert any(ring(device))
    verbs.seal([device])
    assert not any(ring(device))


def test_pointer_to_nowhere_goes(tmpdir: Any) -> None:
    (device,) = made(RING, tmpdir)[1]
    resign([device])
    pointer = parse_pointer(device.get(GAP, 512))
    assert pointer is not None
    device.put(GAP, pointer._replace(region=pointer.region._replace(offset=1 << 50)).pack())
    verbs.seal([device])
    assert not any(device.get(GAP, 512))


def test_journal_over_old_texts_goes_too(tmpdir: Any) -> None:
    sr = RING._replace(pvs=(Pv(mda_size=64 * 1024),), ring=Ring(filled=True, history=2))
    (device,) = made(sr, tmpdir)[1]
    device.put(device.size - (8 << 20), b"\xaa" * (8 << 20))
    plan = resign([device]).plan
    assert plan is not None and not plan.space.region.zeroed
    verbs.seal([device])
    assert not any(ring(device, 64 * 1024))


def test_broken_off_it_says_that_it_is_unfinished(tmpdir: Any) -> None:
    """The pointer goes last."""
    (device,) = made(RING, tmpdir)[1]
    resign([device])
    device.failing_flushes = {device.flush_calls: OSError(5, "gone")}
    with pytest.raises(DeviceError):
        verbs.seal([device])
    assert device.get(GAP, 5) == b"RELUN"
    device.failing_flushes = {}
    verbs.seal([device])
    assert not any(device.get(GAP, 512))


def damaged_area(folder: Any) -> Devices:
    devices = made(Sr(TREE, "two", pvs=(Pv(mdas=2, mda_size=1 << 20),)), folder)[1]
    resign(devices)
    devices[0].put(MDA + 100, b"\1")
    return devices


def one_of_two(folder: Any) -> Devices:
    devices = made(Sr(TREE, "pair", pvs=(Pv(), Pv())), folder)[1]
    resign(devices)
    return devices[:1]


@pytest.mark.parametrize(
    "make, code",
    [
        (damaged_area, "mda-checksum"),
        (one_of_two, "pv-missing"),
        (lambda folder: [MemoryDevice(builder.empty(str(folder.join("e"))))], "lun-empty"),
        (lambda folder: made(plain_group(), folder)[1], "sr-none"),
    ],
)
def test_refused_when_not_all_can_be_read(make: Any, code: str, tmpdir: Any) -> None:
    devices = make(tmpdir)
    before = states(devices)
    with pytest.raises(Refused) as caught:
        verbs.seal(devices)
    assert code in codes(caught.value.findings)
    assert states(devices) == before


def test_forced_resign_can_be_sealed() -> None:
    device = sample("journals")
    resign([device], force_journals=True)
    assert verbs.seal([device]).action == "sealed"


def test_after_lvm_went_on(tmpdir: Any) -> None:
    devices = made(RING, tmpdir)[1]
    resign(devices)
    retext(devices[0], lambda text: text.replace(b"seqno = ", b"seqno = 1", 1))
    verbs.seal(devices)
    assert not any(ring(devices[0]))


def paged() -> bytes:
    """Return 1 KiB that begins with what relun's pages begin with."""
    return b"RLNJ".ljust(1024, b"\xee")


@pytest.mark.parametrize("at", [0, 512, 3072, 3584, 4096, 4608, 8192 + 512, -1024])
def test_pages_at_every_edge_of_what_is_read_at_once(
    at: int, tmpdir: Any, monkeypatch: Any
) -> None:
    """Found once each, at the start, across two reads, and at the very end of the LUN."""
    monkeypatch.setattr(seal_module, "_CHUNK", 4096)
    pvs = (Pv(mda_size=256 * 1024, size=(61 << 20) + 16384),)
    (device,) = made(RING._replace(pvs=pvs), tmpdir)[1]
    ((start, end),) = verbs.inspect([device]).behind_extents(0)
    place = (start if at >= 0 else end) + at
    device.put(place, paged())
    assert seal_module._found_pages(verbs.inspect([device]), 0) == [place]
    seal_module.scrub(verbs.inspect([device]))
    assert not any(device.get(start, end - start))


@pytest.mark.parametrize("size", [1024, 4096 + 1024])
def test_page_that_is_all_there_is_of_the_last_chunk(
    size: int, tmpdir: Any, monkeypatch: Any
) -> None:
    """What lies behind the extents may be one page long, or a page longer than whole chunks."""
    monkeypatch.setattr(seal_module, "_CHUNK", 4096)
    pvs = (Pv(mda_size=256 * 1024, size=(61 << 20) + size),)
    (device,) = made(RING._replace(pvs=pvs), tmpdir)[1]
    ((start, end),) = verbs.inspect([device]).behind_extents(0)
    assert end - start == size
    device.put(end - 1024, paged())
    seal_module.scrub(verbs.inspect([device]))
    assert not any(device.get(end - 1024, 1024))


@pytest.mark.parametrize("size", [512, 4096 - 512, 4096, 4096 + 512])
def test_no_room_for_a_page_in_the_last_chunk(size: int, tmpdir: Any, monkeypatch: Any) -> None:
    """Less than a page is left there, and nothing is read behind the LUN's end."""
    monkeypatch.setattr(seal_module, "_CHUNK", 4096)
    pvs = (Pv(mda_size=256 * 1024, size=(61 << 20) + size),)
    (device,) = made(RING._replace(pvs=pvs), tmpdir)[1]
    device.put(device.size - 512, b"RLNJ".ljust(512, b"\xee"))
    assert seal_module._found_pages(verbs.inspect([device]), 0) == []
    verbs.seal([device])
    assert device.get(device.size - 512, 4) == b"RLNJ"


def test_page_that_stands_within_another(tmpdir: Any) -> None:
    """The second magic is four bytes on in the search, wherever the first one stood."""
    pvs = (Pv(mda_size=256 * 1024, size=(61 << 20) + 16384),)
    (device,) = made(RING._replace(pvs=pvs), tmpdir)[1]
    ((start, end),) = verbs.inspect([device]).behind_extents(0)
    device.put(start + 100, b"RLNJ")
    device.put(start + 512, paged())
    seal_module.scrub(verbs.inspect([device]))
    assert not any(device.get(start + 512, end - start - 512))
    assert device.get(start + 100, 4) == b"RLNJ"


def test_chunks_of_a_vast_range(monkeypatch: Any) -> None:
    """So many at each end, all of it if that is all there is."""
    assert (seal_module._CHUNK, seal_module._EDGE) == (1 << 20, 64)
    monkeypatch.setattr(seal_module, "_CHUNK", 10)
    monkeypatch.setattr(seal_module, "_EDGE", 2)
    assert seal_module._chunks(5, 35) == [5, 15, 25]
    assert seal_module._chunks(5, 45) == [5, 15, 25, 35]
    assert seal_module._chunks(5, 46) == [5, 15, 35, 45]
    assert seal_module._chunks(5, 95) == [5, 15, 75, 85]


def test_journal_of_the_last_resign_goes_first(tmpdir: Any) -> None:
    """All of its pages, wherever they are, magic last: before anything of LVM's is touched."""
    (device,) = made(RING, tmpdir)[1]
    plan = resign([device]).plan
    assert plan is not None and plan.space.region.size > 2048
    region = plan.space.region
    device.lives = device.flush_calls + 1
    with pytest.raises(DeviceError):
        verbs.seal([device])
    device.lives = 1 << 30
    for at in range(region.offset, region.offset + region.size, 1024):
        assert device.get(at, 4) == b"RLNJ" and not any(device.get(at + 512, 512))
    assert any(ring(device))


def test_stale_parts_are_all_but_what_is_pointed_to(tmpdir: Any) -> None:
    """From the header's end to the area's, and nothing empty."""
    (device,) = made(RING, tmpdir)[1]
    area = verbs.inspect([device]).luns[0].areas[0]
    ((at, end),) = area.header.used()
    size = 256 * 1024
    assert (area.header.start, area.header.size) == (MDA, size)
    assert seal_module.stale_parts(area) == [(MDA + 512, MDA + at), (MDA + end, MDA + size)]
    for offset, length, stale in (
        (512, 1000, [(MDA + 1512, MDA + size)]),
        (size - 1000, 1000, [(MDA + 512, MDA + size - 1000)]),
    ):
        moved = area.header.committed._replace(offset=offset, size=length)
        header = area.header._replace(committed=moved)
        assert seal_module.stale_parts(area._replace(header=header)) == stale
