"""Where the journal goes: zeros behind the extents, zeros in the ring, or over old texts."""

import hashlib
from typing import Any

import pytest

from relun.core import space as space_module
from relun.core import verbs
from relun.core.errors import Refused
from relun.core.journal import pages
from relun.core.journal.payload import pack_change
from relun.core.options import Options
from relun.core.space import Space
from support.builder import Pv, Raw, Ring, Sr, Vhd
from support.clone import MDA, NEW_SR, TREE, Devices, made, resign, states, text_of
from support.memory import MemoryDevice

SMALL = 128 * 1024
EXACT = (11 << 20) + (40 << 20)  # a whole number of extents, nothing behind the last
PLAIN = Pv(size=EXACT)
NEW_RING = Ring()


def place(devices: Devices) -> Space:
    """Return the journal's place, after a resign there and back."""
    before = states(devices)
    plan = resign(devices).plan
    assert plan is not None
    verbs.undo(devices)
    assert states(devices) == before
    return plan.space


def one(folder: Any, pv: Pv = PLAIN, ring: Ring = NEW_RING) -> MemoryDevice:
    return made(Sr(TREE, "space", pvs=(pv,), ring=ring), folder)[1][0]


def exact(mda_size: int) -> Pv:
    """Return a PV with a small area, and with nothing behind the last extent either."""
    return Pv(size=(1 << 20) + (40 << 20), mda_size=mda_size)


def noise(size: int) -> bytes:
    return hashlib.shake_128(b"space").digest(size)


def test_behind_the_last_extent(tmpdir: Any) -> None:
    device = one(tmpdir, Pv(size=EXACT + (1 << 20)))
    region = place([device]).region
    assert region.zeroed
    assert region.offset >= EXACT and region.offset + region.size == device.size


def test_at_the_end_of_the_ring(tmpdir: Any) -> None:
    """That is what LVM's next texts reach last."""
    region = place([one(tmpdir)]).region
    assert region.zeroed and region.offset + region.size == 11 << 20


def test_behind_the_extents_somebody_elses_bytes_lie(tmpdir: Any) -> None:
    device = one(tmpdir, Pv(size=EXACT + 16384))
    device.put(EXACT, noise(16384))
    assert place([device]).region.offset < 11 << 20


@pytest.mark.parametrize("tail", [512, 1000, 300 * 1024])
def test_further_back_where_the_end_is_used(tail: int, tmpdir: Any) -> None:
    device = one(tmpdir)
    end = 11 << 20
    device.put(end - tail, b"x" * tail)
    region = place([device]).region
    assert region.zeroed and region.offset % 512 == 0
    assert region.offset + region.size <= end - tail
    assert end - tail - (region.offset + region.size) < 512


def test_zeros_further_back_than_is_searched(tmpdir: Any) -> None:
    """The ring's last 1.1 MiB hold old texts: those are gone over."""
    device = one(tmpdir)
    old = text_of(device)
    size = (1 << 20) + 100 * 1024
    device.put((11 << 20) - size, (old * (size // len(old) + 1))[:size])
    assert not place([device]).region.zeroed


def test_over_old_texts(tmpdir: Any) -> None:
    device = one(tmpdir, exact(SMALL), Ring(filled=True, history=3))
    space = place([device])
    assert not space.region.zeroed
    assert space.region.offset >= MDA + 512
    assert space.region.offset + space.region.size <= MDA + SMALL


@pytest.mark.parametrize("offset", [512, 20480, 20480 + 100, SMALL - 700, 40 * 1024 + 1])
def test_wherever_the_text_is(offset: int, tmpdir: Any) -> None:
    """Neither the old text nor the new one is touched, aligned or not, wrapped or not."""
    for filled in (False, True):
        ring = Ring(filled=filled, offset=offset)
        device = one(tmpdir, exact(SMALL), ring)
        plan = verbs.plan([device], Options(sr_uuid=NEW_SR))
        area = verbs.inspect([device]).luns[0].areas[0]
        used = [(MDA + at, MDA + end) for at, end in area.header.used()]
        used += [(e.offset, e.end) for e in plan.change.edits]
        region = plan.space.region
        assert region.zeroed != filled
        assert not any(a < region.offset + region.size and region.offset < b for a, b in used)
        place([device])


def test_old_bytes_that_hardly_compress_take_more_room(tmpdir: Any) -> None:
    device = one(tmpdir, exact(512 * 1024), Ring(filled=True))
    hard = (noise(900) + bytes(124)) * 448
    device.put(MDA + 64 * 1024, hard)
    tight = place([device]).region
    assert not tight.zeroed and tight.size > 20 * 1024


@pytest.mark.parametrize("offset", [512, 16384 + 77])
def test_old_bytes_that_do_not_compress_at_all(offset: int, tmpdir: Any) -> None:
    ring = Ring(filled=True, offset=offset)
    device = one(tmpdir, exact(SMALL), ring)
    area = verbs.inspect([device]).luns[0].areas[0]
    plan = verbs.plan([device], Options(sr_uuid=NEW_SR))
    keep = [(MDA + at, MDA + end) for at, end in area.header.used()]
    keep += [(edit.offset, edit.end) for edit in plan.change.edits]
    for at in range(MDA + 512, MDA + SMALL, 256):
        if not any(a < at + 256 and at < b for a, b in keep):
            device.put(at, noise(256 * 1024)[at : at + 256])
    before = device.state()
    with pytest.raises(Refused) as caught:
        resign([device])
    assert caught.value.code == "journal-space"
    assert device.state() == before


def test_on_the_first_lun_with_a_ring(tmpdir: Any) -> None:
    volumes = (Vhd("disk", segments=2), Raw("raw", segments=2))
    pvs = (Pv(mdas=0), Pv(ignored=True), Pv())
    devices = made(Sr(volumes, "pvs", pvs=pvs), tmpdir)[1]
    before = states(devices)
    plan = resign(devices).plan
    assert plan is not None and plan.change.switch == 2
    verbs.undo(devices)
    assert states(devices) == before


def test_gap_of_every_lun_must_be_free(tmpdir: Any) -> None:
    devices = made(Sr(TREE, "pair", pvs=(Pv(), Pv())), tmpdir)[1]
    devices[1].put(3000, b"x")
    before = states(devices)
    with pytest.raises(Refused) as caught:
        resign(devices)
    assert (caught.value.code, caught.value.fields["device"]) == ("journal-gap", devices[1].path)
    assert states(devices) == before


def test_journal_larger_than_any_may_be(tmpdir: Any, monkeypatch: Any) -> None:
    device = one(tmpdir)
    monkeypatch.setattr(space_module, "LARGEST_REGION", 1024)
    with pytest.raises(Refused) as caught:
        resign([device])
    assert caught.value.code == "journal-space"
    assert device.state() == {}


def test_the_end_is_looked_at_first(tmpdir: Any) -> None:
    """Most rings end with zeros: then nothing more of them is read."""
    device = one(tmpdir)
    plan = verbs.plan([device], Options(sr_uuid=NEW_SR))
    whole = device.traffic.bytes_read
    assert plan.space.region.zeroed
    assert whole < 512 * 1024


@pytest.mark.parametrize(("more", "fits"), [(510, False), (511, True)])
def test_zeros_that_begin_within_a_sector(more: int, fits: bool, tmpdir: Any) -> None:
    """The journal begins with the next sector, and all of it has to fit before what follows."""
    device = one(tmpdir)
    size = verbs.plan([device], Options(sr_uuid=NEW_SR)).space.region.size
    end = 11 << 20
    device.put(end - (256 << 10), b"x" * (256 << 10))
    start = end - (128 << 10) + 1
    device.put(start, bytes(size + more))
    region = place([device]).region
    assert region.zeroed
    assert (region.offset == start + 511) == fits
    assert not any(device.get(region.offset, region.size))


def test_how_much_room_is_tried_over_old_bytes(tmpdir: Any) -> None:
    """As a rule they compress to a third: twice the journal's size and 8 pages are enough."""
    device = one(tmpdir, exact(512 * 1024), Ring(filled=True))
    found = place([device])
    needed = pages.pages_needed(len(pack_change(found.change)))
    assert needed > 1
    assert found.region.offset == MDA + 512 * 1024 - (2 * needed + 8) * pages.PAGE


def test_one_page_is_room_enough_for_what_fits_in_it(tmpdir: Any) -> None:
    """Over old bytes as well, whose stream is in the page then."""
    device = one(tmpdir)
    at = MDA + (1 << 20)
    device.put(at, b"old text, " * 102 + b"end.")
    lun = verbs.inspect([device]).luns[0]
    for payload, fits in ((b"p" * 500, True), (b"p" * 990, False)):
        found = space_module._over_old_bytes(lun, (at, at + pages.PAGE), payload, b"the  tag")
        assert (found is not None) == fits
        if found:
            assert (found[0].offset, found[0].size) == (at, pages.PAGE)
            assert pages.read_payload(found[1], b"the  tag") == payload


def test_largest_journal_there_may_be(tmpdir: Any, monkeypatch: Any) -> None:
    """The limit itself is allowed."""
    device = one(tmpdir)
    size = verbs.plan([device], Options(sr_uuid=NEW_SR)).space.region.size
    monkeypatch.setattr(space_module, "LARGEST_REGION", size)
    region = place([device]).region
    assert (region.size, region.zeroed) == (size, True)
