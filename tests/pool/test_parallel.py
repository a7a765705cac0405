"""Many clones at once: each by itself."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest

from pool.originals import login
from pool.site import PoolLun, PoolSite
from relun.core.errors import RelunError
from relun.pool.events import Event
from relun.pool.lun import Target, target_of
from relun.pool.parallel import Result, attach_all

COUNT = 12


@pytest.fixture
def there(make_pool_site: Callable[..., PoolSite]) -> tuple[PoolSite, list[PoolLun]]:
    """A pool of one host, an original and many clones at one target and at targets of their own."""
    site = make_pool_site(hosts=1)
    original = site.lun("single")
    site.attach(original)
    first = site.clone(original)
    shared = [site.clone(original, first.iqn) for _number in range(COUNT // 2 - 1)]
    own = [site.clone(original) for _number in range(COUNT - COUNT // 2)]
    return site, [first, *shared, *own]


def test_one_that_fails_stops_no_other(there: tuple[PoolSite, list[PoolLun]]) -> None:
    """In the order given, each with its own error; what a bad one did is taken back."""
    site, clones = there
    bad = clones[3]
    entry = next(lun for lun in site.fabric["hba"] if lun["SCSIid"] == bad.scsi_id)
    entry["hidden"] = [str(site.master.runner.dom0.root)]
    site._write()
    events: list[Event] = []
    ended: list[Result] = []
    with login(site) as connection:
        results = attach_all(
            connection,
            [target_of(clone.typed) for clone in clones],
            listener=events.append,
            ended=ended.append,
        )
    assert site.sessions == []
    assert [result.target.address for result in results] == [clone.address for clone in clones]
    assert Counter(map(id, ended)) == Counter(map(id, results))
    for clone, result in zip(clones, results):
        if clone is bad:
            assert result.attached is None
            assert result.error is not None
            assert not result.error.changed
            assert clone.unchanged()
        else:
            assert result.attached is not None, result.error
            assert result.attached.scsi_id == clone.scsi_id
            assert len(result.attached.vdis) == 1
    uuids = {result.attached.sr_uuid for result in results if result.attached}
    assert len(uuids) == COUNT - 1
    assert {event.work for event in events} == {clone.address for clone in clones}
    assert not site.snapshot()["pool"].popitem()[1]["other_config"]
    # They ran beside each other: somebody began before another one had ended.
    looks = [event.state for event in events if event.step == "look"]
    assert looks != ["begun", "done"] * COUNT


def test_at_most_so_many(there: tuple[PoolSite, list[PoolLun]]) -> None:
    """No more than asked for are under way."""
    site, clones = there
    lock, under_way, most = threading.Lock(), set[str](), 0

    def listen(event: Event) -> None:
        nonlocal most
        with lock:
            under_way.add(event.work)
            most = max(most, len(under_way))

    def ended(result: Result) -> None:
        with lock:
            under_way.discard(result.target.address)

    with login(site) as connection:
        targets = [target_of(clone.typed) for clone in clones[:6]]
        results = attach_all(connection, targets, listener=listen, at_once=2, ended=ended)
    assert most == 2
    assert all(result.attached for result in results)


def test_a_target_given_twice(there: tuple[PoolSite, list[PoolLun]]) -> None:
    """One attaches it; the other is refused, or finds it attached."""
    site, clones = there
    with login(site) as connection:
        results = attach_all(connection, [target_of(clones[0].typed)] * 2)
    errors = [result.error.code for result in results if result.error]
    new = [result for result in results if result.attached and not result.attached.already]
    assert len(new) == 1
    assert errors in ([], ["pool-busy"])


def test_stopped(there: tuple[PoolSite, list[PoolLun]]) -> None:
    """Those that have not begun are left alone, the others taken back or finished."""
    site, clones = there
    before = site.snapshot()
    stop = threading.Event()

    def listen(event: Event) -> None:
        if (event.step, event.state) == ("PBD.create", "done"):
            stop.set()

    with login(site) as connection:
        targets = [target_of(clone.typed) for clone in clones]
        results = attach_all(connection, targets, listener=listen, cancelled=stop.is_set, at_once=2)
    assert [result.error.code for result in results if result.error] == ["pool-stopped"] * COUNT
    assert site.snapshot() == before
    assert all(clone.unchanged() for clone in clones)


def test_errors_of_all_kinds(there: tuple[PoolSite, list[PoolLun]]) -> None:
    """An address that is none, nobody there, an error of relun's own."""
    site, clones = there

    def broken(event: Event) -> None:
        if event.work == clones[0].address:
            raise ValueError("of the listener's")

    targets = [
        target_of(clones[0].typed),
        Target("iscsi://x"),
        Target("iscsi://127.0.0.1:1/iqn.a/1"),
    ]
    with login(site) as connection:
        results = attach_all(connection, targets, listener=broken)
    errors = [result.error for result in results]
    assert all(isinstance(error, RelunError) for error in errors)
    assert [error.code for error in errors if error] == [
        "pool-bug",
        "address-portal",
        "remote-connect",
    ]
