"""What breaks off and what follows: recover, undo, leftovers, and who came in between."""

import zlib
from typing import Any, Callable, List, Tuple

import pytest

from relun.core import verbs
from relun.core.edit import joined
from relun.core.errors import DeviceError, Interrupted, Refused, RelunError
from relun.core.journal import payload as payload_module
from relun.core.journal.marker import (
    CLEAR,
    UNDO,
    Pointer,
    Region,
    parse_marker,
    parse_pointer,
)
from relun.core.options import Options
from relun.core.repository import DONE, HIDDEN, IN_PROGRESS, ORIGINAL
from relun.core.rewrite.lvm import free_ring
from support.builder import Pv, Ring, Sr, make_uuid
from support.clone import (
    GAP,
    NEW_SR,
    TREE,
    Devices,
    codes,
    made,
    resign,
    retext,
    sample,
    states,
)
from support.memory import SECTOR, MemoryDevice

ERROR = OSError(5, "the array is gone")
FULL_RING = Sr(TREE, "ring", pvs=(Pv(mda_size=64 * 1024),), ring=Ring(filled=True, history=2))


def no_zeros_behind(device: MemoryDevice, extents: int = 2) -> None:
    """Leave no zeros behind the last extent, so that the journal has to lie over old texts."""
    size = extents * (4 << 20)
    tail = device.get(device.size - size, size)
    assert not any(tail)
    device.put(device.size - size, b"\xaa" * size)


def one(folder: Any) -> MemoryDevice:
    return made(Sr(TREE, "one"), folder)[1][0]


def pair(folder: Any) -> Devices:
    return made(Sr(TREE, "pair", pvs=(Pv(), Pv())), folder)[1]


def full(folder: Any) -> MemoryDevice:
    return made(FULL_RING, folder)[1][0]


def broken(verb: Callable[[], Any], device: MemoryDevice, flush: int) -> Any:
    """Run a verb whose flush number ``flush`` from now on fails; return the error."""
    device.failing_flushes = {device.flush_calls + flush: ERROR}
    with pytest.raises((Interrupted, DeviceError)) as caught:
        verb()
    device.failing_flushes = {}
    return caught.value


def test_every_flush_of_a_resign_may_fail(tmpdir: Any) -> None:
    """Before the marker it is as if nothing had been; from then on recover and undo both work."""
    done = one(tmpdir)
    flushes = resign([done]).plan and done.flush_calls
    assert flushes
    outcomes: List[str] = []
    for flush in range(flushes):
        for verb, after in ((verbs.recover, done.state()), (verbs.undo, {})):
            device = one(tmpdir)
            error = broken(lambda d=device: resign([d]), device, flush)  # type: ignore[misc]
            found = verbs.inspect([device])
            outcomes.append(found.state)
            assert error.changed == (found.state != ORIGINAL)
            if found.state == ORIGINAL:
                assert isinstance(error, DeviceError)
                assert error.code == "device-io"
                assert device.state() == {}
                continue
            assert isinstance(error, Interrupted)
            verb([device])
            assert device.state() == after
    assert ORIGINAL in outcomes and IN_PROGRESS in outcomes


def test_every_flush_of_an_undo_may_fail(tmpdir: Any) -> None:
    device = one(tmpdir)
    resign([device])
    flushes = device.flush_calls
    verbs.undo([device])
    flushes = device.flush_calls - flushes
    directions = set()
    for flush in range(flushes):
        for verb in (verbs.recover, verbs.undo):
            device = one(tmpdir)
            resign([device])
            error = broken(lambda d=device: verbs.undo([d]), device, flush)  # type: ignore[misc]
            assert isinstance(error, Interrupted)
            marker = parse_marker(device.get(512, SECTOR))
            directions.add(marker.direction if marker else 0)
            assert verb([device]).action in ("undone", "nothing")
            assert device.state() == {}
    assert {UNDO, CLEAR} <= directions


def test_interrupted_resign_says_so(tmpdir: Any) -> None:
    device = one(tmpdir)
    error = broken(lambda: resign([device]), device, 2)
    assert (error.code, error.changed) == ("interrupted", True)
    found = verbs.inspect([device])
    assert (found.kind, found.state, found.sr_uuid) == (HIDDEN, IN_PROGRESS, NEW_SR)
    (finding,) = found.findings
    assert (finding.code, finding.offset) == ("lun-in-progress", 512)
    assert finding.fields == {"direction": "resign", "members": 1}
    outcome = verbs.recover([device])
    assert (outcome.action, outcome.new_sr) == ("recovered", NEW_SR)
    assert device.dropped_caches == 1


def test_write_that_fails_while_hidden(tmpdir: Any) -> None:
    device = one(tmpdir)
    plan = verbs.plan([device], Options(sr_uuid=NEW_SR))
    device.failing_writes = {plan.change.edits[3].offset: ERROR}
    with pytest.raises(Interrupted):
        resign([device])
    with pytest.raises(Interrupted):
        verbs.recover([device])
    device.failing_writes = {}
    assert verbs.undo([device]).action == "undone"
    assert device.state() == {}


def test_marker_that_cannot_be_written_changes_nothing(tmpdir: Any) -> None:
    device = one(tmpdir)
    device.failing_writes = {512: ERROR}
    with pytest.raises(DeviceError) as caught:
        resign([device])
    assert not caught.value.changed
    assert device.state() == {}


def test_marker_that_is_reported_and_lost_changes_nothing(tmpdir: Any) -> None:
    """It is not taken for another run's: what stands there is the label as it was."""
    device = one(tmpdir)
    device.lost_writes = [512]
    with pytest.raises(DeviceError) as caught:
        resign([device])
    assert caught.value.code == "device-lied"
    assert device.state() == {}


def test_marker_whose_flush_fails_is_no_other_runs(tmpdir: Any) -> None:
    """It may be there, so the LUN is in progress; the reason is the device's own."""
    device = one(tmpdir)
    error = broken(lambda: resign([device]), device, 2)
    assert parse_marker(device.get(512, SECTOR)) is not None
    assert error.fields["cause"].code == "device-io"


def lose_marker(device: MemoryDevice) -> None:
    """Let another host's marker stand there as soon as the own one was read back."""
    read = device._read
    looks: List[int] = []

    def meddle(offset: int, length: int) -> bytes:
        marker = parse_marker(read(512, SECTOR)) if offset == 512 else None
        if marker:
            looks.append(len(looks))
        if marker and len(looks) == 2:
            device._read = read  # type: ignore[method-assign]
            device.put(512, marker._replace(token=b"somebody").pack())
        return read(offset, length)

    device.get = read  # type: ignore[method-assign]
    device._read = meddle  # type: ignore[method-assign]


def test_run_that_lost_its_marker_hides_no_further_lun(tmpdir: Any) -> None:
    """Another host's marker stands on the LUN with the journal: the rest is that run's."""
    devices = pair(tmpdir)
    label = devices[1].get(512, SECTOR)
    lose_marker(devices[0])
    with pytest.raises(Interrupted) as caught:
        resign(devices)
    assert caught.value.fields["cause"].code == "taken-over"
    assert devices[1].get(512, SECTOR) == label
    assert verbs.undo(devices).action == "undone"
    assert states(devices) == [{}, {}]


def test_run_that_lost_its_marker_changes_nothing(tmpdir: Any) -> None:
    """Not one edit is made in the other run's time."""
    device = one(tmpdir)
    plan = verbs.plan([device], Options(sr_uuid=NEW_SR))
    lose_marker(device)
    with pytest.raises(Interrupted) as caught:
        resign([device])
    assert caught.value.fields["cause"].code == "taken-over"
    for edit in plan.change.edits:
        assert device.get(edit.offset, len(edit.old)) == edit.old


def test_device_that_is_gone_at_the_marker(tmpdir: Any) -> None:
    """Whether the marker was written cannot be told: the LUN is said to be in progress."""
    device = one(tmpdir)
    flush, read = device._flush, device._read
    count = device.flush_calls

    def gone(*_arguments: Any) -> Any:
        raise ERROR

    def fail() -> None:
        if device.flush_calls == count + 2:
            device._read = gone  # type: ignore[method-assign,assignment]
            raise ERROR
        flush()

    device._flush = fail  # type: ignore[method-assign]
    with pytest.raises(Interrupted):
        resign([device])
    device._read, device._flush = read, flush  # type: ignore[method-assign]
    assert verbs.recover([device]).action == "recovered"


def test_write_that_was_reported_and_lost(tmpdir: Any) -> None:
    """Read back, it is not there: neither the journal nor an edit may be lost in silence."""
    device = one(tmpdir)
    plan = verbs.plan([device], Options(sr_uuid=NEW_SR))
    device.lost_writes = [plan.space.region.offset]
    with pytest.raises(DeviceError) as caught:
        resign([device])
    assert caught.value.code == "device-lied"
    assert device.state() == {}
    device.lost_writes = [plan.change.edits[0].offset]
    with pytest.raises(Interrupted) as interrupted:
        resign([device])
    assert interrupted.value.fields["cause"].code == "device-lied"
    device.lost_writes = []
    verbs.recover([device])
    assert verbs.inspect([device]).state == DONE


def test_end_of_a_joined_write_that_was_lost(tmpdir: Any, monkeypatch: Any) -> None:
    """The error tells the place that does not hold its bytes, not where the write began."""
    device = one(tmpdir)
    edits = verbs.plan([device], Options(sr_uuid=NEW_SR)).change.edits
    offset, data = next(w for w in joined((e.offset, e.new) for e in edits) if len(w[1]) > SECTOR)
    store = device._write

    def lose_the_end(at: int, written: bytes) -> None:
        store(at, written[:SECTOR] if at == offset else written)

    monkeypatch.setattr(device, "_write", lose_the_end)
    with pytest.raises(Interrupted) as interrupted:
        resign([device])
    cause = interrupted.value.fields["cause"]
    assert cause.code == "device-lied"
    assert offset + SECTOR <= cause.fields["offset"] < offset + len(data)


def test_another_run_takes_over(tmpdir: Any) -> None:
    """Two relun at once, on hosts that do not know of each other: the last marker wins."""
    device = one(tmpdir)
    flush = device._flush
    markers: List[Any] = []

    def meddle() -> None:
        marker = parse_marker(device.get(512, SECTOR))
        if marker and markers:  # not the flush of the marker itself, which is read back
            device.put(512, marker._replace(token=b"somebody").pack())
        markers.extend([marker] if marker else [])
        flush()

    device._flush = meddle  # type: ignore[method-assign]
    with pytest.raises(Interrupted) as caught:
        resign([device])
    assert caught.value.fields["cause"].code == "taken-over"
    device._flush = flush  # type: ignore[method-assign]
    verbs.recover([device])


def test_another_run_takes_over_at_once(tmpdir: Any) -> None:
    """Its marker is there before the own one is read back."""
    device = one(tmpdir)
    flush = device._flush

    def meddle() -> None:
        marker = parse_marker(device.get(512, SECTOR))
        if marker:
            device.put(512, marker._replace(token=b"somebody").pack())
        flush()

    device._flush = meddle  # type: ignore[method-assign]
    with pytest.raises(Interrupted) as caught:
        resign([device])
    assert caught.value.fields["cause"].code == "taken-over"
    device._flush = flush  # type: ignore[method-assign]
    verbs.recover([device])
    assert verbs.inspect([device]).state == DONE


def test_caches_that_cannot_be_dropped_are_no_failure(tmpdir: Any) -> None:
    device = one(tmpdir)

    def refuse() -> None:
        raise DeviceError("device-io", device=device.path, what="BLKFLSBUF", reason="no")

    device.refresh_readers = refuse  # type: ignore[method-assign]
    assert resign([device]).action == "resigned"


def test_undo_twice_and_of_nothing(tmpdir: Any) -> None:
    device = one(tmpdir)
    assert verbs.undo([device]).action == "nothing"
    resign([device])
    assert verbs.undo([device]).action == "undone"
    assert verbs.undo([device]).action == "nothing"
    assert device.state() == {}


def test_undo_after_use_is_refused(tmpdir: Any) -> None:
    device = one(tmpdir)
    plan = resign([device]).plan
    assert plan is not None
    before = device.state()
    for edit in plan.edits[:: max(1, len(plan.edits) // 5)]:
        own = device.get(edit.offset, 4)
        device.put(edit.offset, bytes(b ^ 1 for b in own))
        changed = device.state()
        with pytest.raises(Refused) as caught:
            verbs.undo([device])
        assert caught.value.code in ("undo-changed", "members-missing")
        assert device.state() == changed
        device.put(edit.offset, own)
    assert device.state() == before
    verbs.undo([device])


def test_undo_without_its_journal_is_refused(tmpdir: Any) -> None:
    """LVM wrote over it, in the middle, at its start or at its end."""
    device = one(tmpdir)
    plan = resign([device]).plan
    assert plan is not None
    region = plan.space.region
    for page in range(region.size // 1024):
        own = device.get(region.offset + page * 1024, SECTOR)
        device.put(region.offset + page * 1024, b"a text of LVM's".ljust(SECTOR))
        changed = device.state()
        with pytest.raises(Refused) as caught:
            verbs.undo([device])
        assert caught.value.code == "undo-gone"
        assert device.state() == changed
        assert verbs.inspect([device]).state == ORIGINAL  # nothing tells of a resign any more
        device.put(region.offset + page * 1024, own)
    verbs.undo([device])
    assert device.state() == {}


def test_pointer_beyond_the_lun(tmpdir: Any) -> None:
    device = one(tmpdir)
    resign([device])
    pointer = parse_pointer(device.get(GAP, SECTOR))
    assert pointer is not None
    far = pointer._replace(region=pointer.region._replace(offset=device.size))
    device.put(GAP, far.pack())
    with pytest.raises(Refused) as caught:
        verbs.undo([device])
    assert caught.value.code == "undo-gone"


def interrupted(device: MemoryDevice) -> None:
    """Leave a resign in the middle of its edits."""
    broken(lambda: resign([device]), device, 3)
    assert verbs.inspect([device]).state == IN_PROGRESS


def test_journal_damaged_while_in_progress(tmpdir: Any) -> None:
    """Then nothing can be finished by relun, and it says so; the marker still holds the label."""
    device = one(tmpdir)
    interrupted(device)
    marker = parse_marker(device.get(512, SECTOR))
    assert marker is not None
    device.put(marker.region.offset, bytes(1024))
    before = device.state()
    for verb in (verbs.recover, verbs.undo):
        with pytest.raises(Interrupted) as caught:
            verb([device])
        assert caught.value.code == "journal-damaged"
        assert device.state() == before
    assert verbs.inspect([device]).sr_uuid == ""


def test_another_zlib_makes_other_bytes(tmpdir: Any, monkeypatch: Any) -> None:
    """An undo on another host than the resign's, broken off and finished."""

    class Other:
        decompressobj, error = staticmethod(zlib.decompressobj), zlib.error

        @staticmethod
        def compress(data: bytes, _level: int) -> bytes:
            return zlib.compress(data, 1)

    device = one(tmpdir)
    monkeypatch.setattr(payload_module, "zlib", Other)
    resign([device])
    monkeypatch.undo()
    broken(lambda: verbs.undo([device]), device, 1)
    assert verbs.recover([device]).action == "undone"
    assert device.state() == {}


def leftover(device: MemoryDevice, flushes: int) -> None:
    """Leave what a crash after some flushes leaves of a journal: nothing is tidied up."""
    device.lives = device.flush_calls + flushes
    with pytest.raises(DeviceError) as caught:
        resign([device])
    assert not caught.value.changed
    device.lives = 1 << 30
    assert parse_pointer(device.get(GAP, SECTOR)) is not None


@pytest.mark.parametrize("flush", [1, 2])
def test_leftover_journal_is_taken_away(flush: int, tmpdir: Any) -> None:
    for verb, action in ((verbs.undo, "cleared"), (verbs.seal, "cleared")):
        device = one(tmpdir)
        leftover(device, flush)
        found = verbs.inspect([device])
        assert (found.state, found.findings) == (ORIGINAL, ())
        assert verb([device]).action == action
        assert device.state() == {}
    device = one(tmpdir)
    leftover(device, flush)
    done = one(tmpdir)
    resign([done])
    resign([device])
    assert device.state() == done.state()


@pytest.mark.parametrize("flush", [1, 2, 3, 4])
def test_leftover_journal_over_old_texts(flush: int, tmpdir: Any) -> None:
    """The stash of such a journal is relun's: it bars nobody's way."""
    device = full(tmpdir)
    no_zeros_behind(device)
    start = device.state()
    leftover(device, flush)
    assert any(device.get(GAP + SECTOR, 4096 - GAP - SECTOR)) == (flush in (2, 3))
    plan = verbs.plan([device], Options(sr_uuid=NEW_SR))
    assert not plan.space.region.zeroed
    assert resign([device]).action == "resigned"
    verbs.undo([device])
    assert device.state() == start
    leftover(device, flush)
    assert verbs.undo([device]).action == "cleared"
    assert device.state() == start


@pytest.mark.parametrize("at", [GAP + SECTOR, 4095])
def test_leftover_beside_what_is_nobodys(at: int, tmpdir: Any) -> None:
    """The resign is refused before the leftover is taken away: nothing is changed."""
    device = one(tmpdir)
    leftover(device, 2)
    device.put(at, b"x")
    before = device.state()
    with pytest.raises(Refused, match="journal-gap"):
        resign([device])
    assert device.state() == before


def lvm_writes(device: MemoryDevice) -> None:
    """LVM changes the VG: its seqno goes on."""
    retext(device, lambda text: text.replace(b"seqno = ", b"seqno = 1", 1))


@pytest.mark.parametrize("make", [one, full])
def test_leftover_of_a_journal_that_lvm_may_have_written_over(make: Any, tmpdir: Any) -> None:
    """Then only pointer and stash go; the space is LVM's, whatever lies there."""
    device = make(tmpdir)
    if make is full:
        no_zeros_behind(device)
    leftover(device, 3 if make is full else 2)
    pointer = parse_pointer(device.get(GAP, SECTOR))
    assert pointer is not None and pointer.begun
    lvm_writes(device)
    region = device.get(pointer.region.offset, pointer.region.size)
    assert verbs.undo([device]).action == "cleared"
    assert device.get(GAP, 4096 - GAP) == bytes(4096 - GAP)
    assert device.get(pointer.region.offset, pointer.region.size) == region
    assert resign([device]).action == "resigned"


@pytest.mark.parametrize("what", ["label", "pv-uuid", "no-vg"])
def test_leftover_on_a_lun_that_was_made_anew(what: str, tmpdir: Any) -> None:
    device = one(tmpdir)
    leftover(device, 2)
    pointer = parse_pointer(device.get(GAP, SECTOR))
    assert pointer is not None
    region = device.get(pointer.region.offset, pointer.region.size)
    assert any(region)
    if what == "label":
        device.put(512, bytes(SECTOR))
    elif what == "pv-uuid":
        device.put(GAP, pointer._replace(pv_uuid="x" * 32).pack())
    else:
        device.put(4096, bytes(SECTOR))
    assert verbs.undo([device]).action == "cleared"
    assert device.get(GAP, SECTOR) == bytes(SECTOR)
    assert device.get(pointer.region.offset, pointer.region.size) == region


@pytest.mark.parametrize("sectors", [(0, 0), (1, 0), (0, -1), (-1, 0), (0, 1)])
@pytest.mark.parametrize("part", ["behind", "ring"])
def test_leftover_is_zeroed_where_nothing_of_lvm_lies(
    part: str, sectors: Tuple[int, int], tmpdir: Any
) -> None:
    """A pointer tells where; what it tells is held against the VG before anything is zeroed."""
    pvs = (Pv(size=(64 << 20) + 16 * SECTOR),)
    (device,) = made(Sr(TREE, "one", pvs=pvs), tmpdir)[1]
    repository = verbs.inspect([device])
    (area,) = repository.luns[0].areas
    parts = {"behind": repository.behind_extents(0), "ring": free_ring(area, ())}[part]
    begin, end = parts[-1]
    start, stop = begin + sectors[0] * SECTOR, end + sectors[1] * SECTOR
    if stop > device.size:
        stop = device.size
        start -= SECTOR  # behind its last byte nothing can be told of
    assert repository.luns[0].label is not None and repository.vg is not None
    forged = Pointer(
        Region(start, stop - start, True, b"12345678", True),
        True,
        None,
        repository.luns[0].label.pv_uuid,
        repository.vg.seqno,
    )
    for at in range(max(start, begin), min(stop, end), SECTOR):
        device.put(at, b"x" * SECTOR)
    device.put(GAP, forged.pack())
    before = device.get(start, stop - start)
    assert verbs.undo([device]).action == "cleared"
    assert device.get(GAP, SECTOR) == bytes(SECTOR)
    free = begin <= start and stop <= end
    assert device.get(start, stop - start) == (bytes(stop - start) if free else before)


def test_leftover_pointer_into_an_area_that_lvm_ignores(tmpdir: Any) -> None:
    """No journal goes there, so nothing there is relun's to zero."""
    devices = made(Sr(TREE, "pair", pvs=(Pv(), Pv(ignored=True))), tmpdir)[1]
    repository = verbs.inspect(devices)
    lun = repository.luns[1]
    (area,) = lun.areas
    assert area.header.ignored and area.text
    begin, end = free_ring(area, ())[-1]
    assert lun.label is not None and repository.vg is not None
    region = Region(begin, end - begin, True, b"12345678", True)
    owner = (lun.label.pv_uuid, repository.vg.seqno)
    devices[1].put(begin, b"x" * SECTOR)
    before = devices[1].state()
    devices[1].put(GAP, Pointer(region, True, None, *owner).pack())
    assert verbs.undo(devices).action == "cleared"
    assert devices[1].state() == before


@pytest.mark.parametrize("offset", [512, 525, 4096, 4608])
def test_leftover_pointer_to_what_lvm_uses(offset: int, tmpdir: Any) -> None:
    """The label, the area's header and the text in use stay as they are, and so does the SR."""
    device = one(tmpdir)
    start = device.state()
    repository = verbs.inspect([device])
    assert repository.luns[0].label is not None and repository.vg is not None
    region = Region(offset, 2048, True, b"12345678", True)
    owner = (repository.luns[0].label.pv_uuid, repository.vg.seqno)
    device.put(GAP, Pointer(region, True, None, *owner).pack())
    assert verbs.undo([device]).action == "cleared"
    assert device.state() == start


def test_leftover_above_an_earlier_resign(tmpdir: Any) -> None:
    """Taken away, the earlier resign can still be undone."""
    device = one(tmpdir)
    resign([device], sr_uuid=make_uuid("earlier", "sr"))
    first = device.state()
    leftover(device, 2)
    assert verbs.inspect([device]).state == ORIGINAL
    assert verbs.undo([device]).action == "cleared"
    assert device.state() == first
    assert verbs.undo([device]).action == "undone"
    assert device.state() == {}


def test_error_that_counts_is_the_first(tmpdir: Any) -> None:
    """Neither the journal can be written nor taken away again: the first failure is told."""
    device = one(tmpdir)
    calls = device.flush_calls
    device.failing_flushes = {calls + 1: OSError(28, "first"), calls + 2: OSError(5, "second")}
    with pytest.raises(DeviceError) as caught:
        resign([device])
    assert caught.value.fields["reason"] == "first"
    assert verbs.undo([device]).action == "cleared"
    assert device.state() == {}


@pytest.mark.parametrize("flush", range(9))
def test_several_luns_break_off(flush: int, tmpdir: Any) -> None:
    """Whichever LUN fails at whatever moment: with all of them it can be finished or undone."""
    done = pair(tmpdir)
    resign(done)
    for number in (0, 1):
        devices = pair(tmpdir)
        devices[number].failing_flushes = {flush: ERROR}
        try:
            resign(devices)
        except RelunError:
            pass
        for device in devices:
            device.failing_flushes = {}
        broken_off = states(devices)
        if verbs.inspect(devices).state == ORIGINAL:
            assert broken_off == [{}, {}]
        elif verbs.inspect(devices).state == IN_PROGRESS:
            verbs.recover(devices[::-1])
            assert states(devices) == states(done)
            for device, state in zip(devices, broken_off):
                device.sectors = dict(state)
            verbs.undo(devices)
            assert states(devices) == [{}, {}]
        else:
            assert broken_off == states(done)


def test_members_missing(tmpdir: Any) -> None:
    devices = pair(tmpdir)
    broken(lambda: resign(devices), devices[0], 3)
    first, second = devices
    before = states(devices)
    for given, missing in (([first], 1), ([second], 0)):
        for verb in (verbs.recover, verbs.undo):
            with pytest.raises(Interrupted) as caught:
                verb(given)
            assert caught.value.code == "members-missing"
            plan = verbs.plan(pair(tmpdir), Options(sr_uuid=NEW_SR))
            assert caught.value.fields["missing"] == [plan.change.pv_uuids[missing]]
    assert states(devices) == before
    verbs.recover(devices)
    for alone, wanted in ((first, plan.change.pv_uuids[1]), (second, "the LUN with the journal")):
        with pytest.raises(Refused) as refused:
            verbs.undo([alone])
        assert refused.value.code == "members-missing"
        assert refused.value.fields["missing"] == [wanted]
    assert codes(verbs.inspect(devices).findings) == []


def test_undo_that_only_has_to_clear_needs_all_luns(tmpdir: Any) -> None:
    """Its edits are reverted, its journal may be gone; each LUN's own marker has what is left."""
    devices = pair(tmpdir)
    resign(devices)
    devices[1].failing_writes = {GAP: ERROR}
    for verb in (verbs.undo, verbs.recover, verbs.undo):
        with pytest.raises(Interrupted) as caught:
            verb(devices)
        assert caught.value.code == "interrupted"
    marker = parse_marker(devices[0].get(512, SECTOR))
    assert marker is not None and marker.direction == CLEAR
    devices[1].failing_writes = {}
    before = states(devices)
    with pytest.raises(Interrupted) as caught:
        verbs.recover(devices[:1])
    assert caught.value.code == "members-missing"
    assert caught.value.fields["missing"] == ["1 of 2 LUNs"]
    assert states(devices) == before
    assert verbs.recover(devices[::-1]).action == "undone"
    assert states(devices) == [{}, {}]


@pytest.mark.parametrize("again", [False, True], ids=["undo", "recover"])
def test_undo_that_has_given_the_others_back_needs_one_lun(again: bool, tmpdir: Any) -> None:
    """The marker of the LUN with the journal says that it is the only one left."""
    devices = pair(tmpdir)
    plan = resign(devices).plan
    assert plan is not None
    if again:
        devices[1].failing_writes = {GAP: ERROR}
        with pytest.raises(Interrupted):
            verbs.undo(devices)
        devices[1].failing_writes = {}
    devices[0].failing_writes = {plan.space.region.offset: ERROR}
    with pytest.raises(Interrupted):
        (verbs.recover if again else verbs.undo)(devices)
    assert devices[1].state() == {}
    marker = parse_marker(devices[0].get(512, SECTOR))
    assert marker is not None and (marker.direction, marker.members) == (CLEAR, 1)
    devices[0].failing_writes = {}
    assert verbs.recover(devices[:1]).action == "undone"
    assert states(devices) == [{}, {}]


def test_an_undos_readers_see_the_old_bytes(tmpdir: Any) -> None:
    """What a kernel holds of the LUNs is dropped on every one, also when the undo broke off."""
    devices = pair(tmpdir)
    plan = resign(devices).plan
    assert plan is not None
    assert [device.dropped_caches for device in devices] == [1, 1]
    verbs.undo(devices)
    assert [device.dropped_caches for device in devices] == [2, 2]
    resign(devices)
    devices[1].failing_writes = {GAP: ERROR}
    with pytest.raises(Interrupted):
        verbs.undo(devices)
    devices[1].failing_writes = {}
    assert [device.dropped_caches for device in devices] == [3, 3]
    verbs.recover(devices)
    assert [device.dropped_caches for device in devices] == [4, 4]


def test_lun_whose_pointer_is_gone(tmpdir: Any) -> None:
    """It does not hide the journal of another one, and it is told which LUN is the trouble."""
    devices = made(Sr(TREE, "last", pvs=(Pv(mdas=0), Pv())), tmpdir)[1]
    plan = resign(devices).plan
    assert plan is not None and plan.change.switch == 1
    pointer = parse_pointer(devices[0].get(GAP, SECTOR))
    assert pointer is not None and not pointer.region.here
    lost = pointer.region._replace(tag=b"no more.", here=True)  # another's, which LVM wrote over
    for sector in (bytes(SECTOR), pointer._replace(region=lost).pack()):
        devices[0].put(GAP, sector)
        with pytest.raises(Refused) as caught:
            verbs.undo(devices)
        assert caught.value.code == "members-missing"
        assert caught.value.fields["missing"] == [plan.change.pv_uuids[0]]
    devices[0].put(GAP, pointer.pack())
    assert verbs.undo(devices).action == "undone"
    assert states(devices) == [{}, {}]


def test_member_that_is_hidden_already_is_known_by_its_marker(tmpdir: Any) -> None:
    devices = pair(tmpdir)
    broken(lambda: resign(devices), devices[1], 1)
    assert [bool(parse_marker(d.get(512, SECTOR))) for d in devices] == [True, True]
    verbs.undo(devices)
    assert states(devices) == [{}, {}]


def test_sample_interrupted_and_recovered() -> None:
    done = sample("chain")
    resign([done])
    device = sample("chain")
    interrupted(device)
    verbs.recover([device])
    assert device.state() == done.state()
