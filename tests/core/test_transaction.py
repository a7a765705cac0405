"""Before the marker: LVM or another host writes between two steps, and nothing of theirs goes."""

from typing import Any, Callable, Tuple

import pytest

from relun.core import progress, verbs
from relun.core.errors import DeviceError, Interrupted, Refused
from relun.core.journal.marker import Pointer, Region, parse_marker
from relun.core.options import Options
from relun.core.plan import Plan
from relun.core.repository import DONE, IN_PROGRESS
from relun.core.transaction import Transaction, new_run
from support.builder import Sr
from support.clone import GAP, NEW_SR, TREE, made, resign, retext
from support.memory import SECTOR, MemoryDevice

OTHER_TAG = b"another!"


def prepared(folder: Any) -> Tuple[MemoryDevice, Plan, Transaction]:
    """Return a clone, the plan for it, and the transaction that is about to begin."""
    (device,) = made(Sr(TREE, "one"), folder)[1]
    plan = verbs.plan([device], Options(sr_uuid=NEW_SR))
    run = new_run(plan.space.region, plan.space.digest)
    return device, plan, Transaction([device], plan.change, run, plan.change.labels[0].old)


def at_flush(device: MemoryDevice, number: int, action: Callable[[], Any]) -> None:
    """Let somebody else act during flush ``number`` from now on."""
    flush, first = device._flush, device.flush_calls

    def meddle() -> None:
        if device.flush_calls == first + number:
            device._flush = flush  # type: ignore[method-assign]
            action()
        flush()

    device._flush = meddle  # type: ignore[method-assign]


def lvm_writes(device: MemoryDevice) -> None:
    """LVM changes the VG: its seqno goes on."""
    retext(device, lambda text: text.replace(b"seqno = ", b"seqno = 1", 1))


def begin(transaction: Transaction, plan: Plan) -> None:
    transaction.begin(plan.space.content, lambda: False)


def test_nothing_is_written_where_lvm_was_first(tmpdir: Any) -> None:
    """Between plan and journal: refused before the first write."""
    device, plan, transaction = prepared(tmpdir)
    lvm_writes(device)
    before = device.state()
    with pytest.raises(Refused) as caught:
        begin(transaction, plan)
    assert caught.value.code == "changed-meanwhile"
    assert (device.state(), device.traffic.writes) == (before, 0)


def test_no_page_is_written_over_another_hosts(tmpdir: Any) -> None:
    """It put its pointer over this one's, and its pages where this one's would have gone."""
    device, plan, transaction = prepared(tmpdir)
    region = plan.space.region
    theirs = Pointer(Region(region.offset, region.size, True, OTHER_TAG), True)
    pages = b"RLNJ".ljust(region.size, b"\xee")

    def other() -> None:
        device.put(GAP, theirs.pack())
        device.put(region.offset, pages)

    at_flush(device, 0, other)
    with pytest.raises(DeviceError):  # read back, the pointer is not what was written
        begin(transaction, plan)
    assert device.get(GAP, SECTOR) == theirs.pack()
    assert device.get(region.offset, region.size) == pages


def test_no_page_is_written_once_lvm_was_there(tmpdir: Any) -> None:
    """Its next text may lie where they would have gone: all that goes is the pointer."""
    device, plan, transaction = prepared(tmpdir)
    region = plan.space.region
    text = b"a text of LVM's".ljust(region.size, b".")

    def lvm() -> None:
        lvm_writes(device)
        device.put(region.offset, text)

    at_flush(device, 0, lvm)
    with pytest.raises(Refused) as caught:
        begin(transaction, plan)
    assert caught.value.code == "changed-meanwhile"
    assert device.get(GAP, SECTOR) == bytes(SECTOR)
    assert device.get(region.offset, region.size) == text


def test_what_lvm_wrote_beside_the_journal_stays(tmpdir: Any) -> None:
    """Before the marker all is looked at once more: the plan is no longer for what is there."""
    device, plan, transaction = prepared(tmpdir)
    at_flush(device, 1, lambda: lvm_writes(device))
    with pytest.raises(Refused) as caught:
        begin(transaction, plan)
    assert caught.value.code == "changed-meanwhile"
    after = device.state()
    device.sectors = {}
    lvm_writes(device)
    assert after == device.state()
    assert parse_marker(device.get(SECTOR, SECTOR)) is None


def test_lvm_wrote_the_label_before_the_marker(tmpdir: Any) -> None:
    """Then there is no marker, and what this run wrote is gone: pointer and pages."""
    (device,) = made(Sr(TREE, "one"), tmpdir)[1]
    label = device.get(SECTOR, SECTOR)
    theirs = label[:-1] + bytes([label[-1] ^ 1])

    def lvm() -> bool:  # asked last before the marker
        device.put(SECTOR, theirs)
        return False

    with pytest.raises(Refused) as caught:
        verbs.resign([device], Options(sr_uuid=NEW_SR), lvm)
    assert caught.value.code == "changed-meanwhile"
    assert device.state() == {1: theirs}


def test_marker_of_another_run_stays_though_the_journal_is_gone(tmpdir: Any) -> None:
    """This run's marker was there and no more: what is right now that other run knows."""
    device, plan, transaction = prepared(tmpdir)
    region = plan.space.region
    begin(transaction, plan)
    read = device._read
    theirs = []

    def meddle(offset: int, length: int) -> bytes:
        marker = parse_marker(read(SECTOR, SECTOR)) if offset == region.offset else None
        if marker:
            device._read = read  # type: ignore[method-assign]
            theirs.append(marker._replace(token=b"somebody").pack())
            device.put(SECTOR, theirs[0])
            device.put(region.offset, bytes(region.size))
        return read(offset, length)

    device._read = meddle  # type: ignore[method-assign]
    with pytest.raises(Interrupted) as caught:
        transaction.forward()
    assert caught.value.fields["cause"].code == "taken-over"
    assert [device.get(SECTOR, SECTOR)] == theirs


def test_journal_that_this_run_did_not_write_stays(tmpdir: Any) -> None:
    """Another host's run to the same SR uuid makes the same one. This run's pointer failed."""
    device, plan, transaction = prepared(tmpdir)
    space = plan.space

    def other() -> None:
        device.put(space.region.offset, space.content)
        device.failing_flushes = {device.flush_calls: OSError(5, "gone for a moment")}

    at_flush(device, 0, other)
    with pytest.raises(DeviceError):
        begin(transaction, plan)
    assert device.get(space.region.offset, space.region.size) == space.content


@pytest.mark.parametrize("page", [b"", b"RLNJ".ljust(1024, b"\xee")], ids=["pointer", "page"])
def test_own_pages_go_when_another_hosts_pointer_stands(page: bytes, tmpdir: Any) -> None:
    """And nothing but these: it may have a page of its own there already."""
    device, plan, transaction = prepared(tmpdir)
    region = plan.space.region
    theirs = Pointer(Region(region.offset, region.size, True, OTHER_TAG), True).pack()

    def other() -> None:
        device.put(GAP, theirs)
        device.put(region.offset, page)

    at_flush(device, 1, other)
    with pytest.raises((DeviceError, Refused)):
        begin(transaction, plan)
    assert device.get(GAP, SECTOR) == theirs
    assert device.get(region.offset, region.size) == page.ljust(region.size, b"\0")


def test_journal_that_went_before_the_marker(tmpdir: Any) -> None:
    """Nothing was applied: the label returns, and what this run wrote goes."""
    device = MemoryDevice(made(Sr(TREE, "one"), tmpdir)[0].path)
    region = verbs.plan([device], Options(sr_uuid=NEW_SR)).space.region

    def spoil() -> bool:
        device.put(region.offset, bytes(1024))
        return False

    with pytest.raises(Refused) as caught:
        verbs.resign([device], Options(sr_uuid=NEW_SR), spoil)
    assert caught.value.code == "changed-meanwhile"
    assert device.state() == {}


def test_journal_that_went_with_what_it_tells_of(tmpdir: Any) -> None:
    """No label would be right: the LUN stays hidden, and the old label is in the marker."""
    (device,) = made(Sr(TREE, "one"), tmpdir)[1]
    label = device.get(SECTOR, SECTOR)
    plan = resign([device]).plan
    assert plan is not None
    transaction = progress.finished(verbs.inspect([device]))
    device.put(plan.space.region.offset, bytes(plan.space.region.size))
    device.put(plan.change.edits[0].offset, b"something of neither run".ljust(SECTOR, b"."))
    with pytest.raises(Interrupted) as caught:
        transaction.back()
    assert caught.value.fields["cause"].code == "taken-over"
    marker = parse_marker(device.get(SECTOR, SECTOR))
    assert marker is not None and marker.old_label == label


@pytest.mark.parametrize("flushes", [3, 1 << 30], ids=["hidden", "done"])
def test_run_to_the_same_uuid_that_was_faster(flushes: int, tmpdir: Any) -> None:
    """Its journal is the same as this run's, and so is not taken away: it needs it."""
    built, (device,) = made(Sr(TREE, "one"), tmpdir)
    other = MemoryDevice(built.path)
    other.sectors = device.sectors  # the same LUN

    def overtake() -> bool:
        other.lives = 2 + flushes  # two to take away this run's unfinished journal
        try:
            resign([other])
        except Interrupted:
            pass
        return False

    with pytest.raises(Refused) as caught:
        verbs.resign([device], Options(sr_uuid=NEW_SR), overtake)
    assert caught.value.code == "changed-meanwhile"
    assert verbs.inspect([device]).state == (IN_PROGRESS if flushes == 3 else DONE)
    verbs.recover([device])
    assert verbs.inspect([device]).sr_uuid == NEW_SR
    assert verbs.undo([device]).action == "undone"
    assert device.state() == {}


def test_other_host_has_recovered_it_meanwhile(tmpdir: Any) -> None:
    """Its new label stands where the marker was: no marker is put over it."""
    (device,) = made(Sr(TREE, "one"), tmpdir)[1]
    device.failing_flushes = {3: OSError(5, "gone")}
    with pytest.raises(Interrupted):
        resign([device])
    device.failing_flushes = {}
    transaction = progress.resumed(verbs.inspect([device]))
    verbs.recover([device])
    after = device.state()
    with pytest.raises(Interrupted) as caught:
        transaction.forward()
    assert caught.value.fields["cause"].code == "changed-meanwhile"
    assert device.state() == after
