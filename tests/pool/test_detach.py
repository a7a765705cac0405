"""An attached clone leaves the pool: nothing of it stays, nothing else is touched."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pool.failing import WAYS
from pool.originals import Scene, add_vm, login, scene
from pool.site import VBD_RECORD, PoolSite
from relun.core.errors import RelunError
from relun.pool.attach import AttachOptions, attach
from relun.pool.connection import NULL, Connection
from relun.pool.detach import Detached, DetachOptions, detach
from relun.pool.errors import PoolUnfinished
from relun.pool.events import Event
from relun.pool.marks import ON_SR, RESTORED
from relun.pool.restore import RestoreOptions, restore_vm
from remote.servers import await_true

UNKNOWN = "11111111-2222-4333-8444-555555555555"
REMOVE = DetachOptions(remove_vms=True)


@pytest.fixture
def there(make_pool_site: Callable[..., PoolSite]) -> Scene:
    """An original with a VM on it, its clone attached beside it, on two hosts."""
    site = make_pool_site(hosts=2)
    with login(site) as connection:
        return scene(site, connection, "single")


@pytest.fixture
def connection(there: Scene) -> Iterator[Connection]:
    """A session with the pool."""
    with login(there.site) as made:
        yield made


def without_clone(there: Scene, snapshot: dict[str, Any]) -> dict[str, Any]:
    """Return a database without what belongs to the clone."""
    sr = there.clone.reference
    vms = {ref: vm for ref, vm in snapshot["VM"].items() if ON_SR in vm["other_config"]}
    gone = {sr, *vms}
    gone |= {vm[part] for vm in vms.values() for part in ("metrics", "guest_metrics")}
    found = {
        kind: {
            ref: record
            for ref, record in table.items()
            if not gone & {ref, record.get("SR"), record.get("VM")}
        }
        for kind, table in snapshot.items()
    }
    return {kind: table for kind, table in found.items() if table}


def refusal(
    connection: Connection,
    sr: str,
    options: DetachOptions = DetachOptions(),  # noqa: B008 - a value
) -> RelunError:
    """Return the error that a detach ends in."""
    with pytest.raises(RelunError) as caught:
        detach(connection, sr, options)
    assert not caught.value.changed
    return caught.value


@pytest.mark.parametrize("by", ["uuid", "name"])
def test_nothing_of_it_stays(there: Scene, connection: Connection, by: str) -> None:
    """By uuid or by name; the LUN keeps its new ids; twice does no harm."""
    site = there.site
    there.record("SR", there.clone.reference)["name_label"] = "last night"
    expected = without_clone(there, site.snapshot())
    content = there.clone_lun.file.read_bytes()
    events: list[Event] = []
    sr = there.clone.sr_uuid if by == "uuid" else "last night"
    done = detach(connection, sr, listener=events.append)
    assert done == Detached(
        there.clone.sr_uuid, "last night", (there.clone_lun.scsi_id,), (there.clone_lun.iqn,)
    )
    assert site.snapshot() == expected
    assert there.clone_lun.file.read_bytes() == content
    steps = [(event.step, event.subject) for event in events if event.state == "done"]
    assert steps == [
        ("PBD.unplug", "host2"),
        ("PBD.unplug", "host1"),
        ("SR.forget", there.clone.sr_uuid),
    ]
    if by == "uuid":
        assert detach(connection, sr) == Detached(sr, "", already=True)
    else:
        assert refusal(connection, sr).code == "pool-sr-missing"
    again = attach(connection, there.clone_lun.typed)
    assert again.sr_uuid == there.clone.sr_uuid


def test_which_sr(there: Scene, connection: Connection) -> None:
    """One that relun did not attach, several of one name."""
    before = there.site.snapshot()
    original = there.record("SR", there.sr)["uuid"]
    assert refusal(connection, original).code == "pool-not-ours"
    there.record("SR", there.clone.reference)["name_label"] = "iSCSI"
    error = refusal(connection, "iSCSI")
    assert (error.code, len(error.fields["uuids"])) == ("pool-several", 2)
    there.record("SR", there.clone.reference)["name_label"] = there.clone.name
    assert detach(connection, UNKNOWN).already
    assert there.site.snapshot() == before
    db = there.site.pool.db
    with db.lock:
        for vbd in db.find("VBD", VM=there.vm):
            db.remove("VBD", vbd)
    assert detach(connection, original, DetachOptions(force=True)).sr_uuid == original


def test_vms_on_it(there: Scene, connection: Connection) -> None:
    """Restored ones go when asked for; others never, unless halted and forced."""
    site = there.site
    restored = restore_vm(
        connection, "files", there.clone.sr_uuid, RestoreOptions(name="copy", start=True)
    )
    assert restored.started
    error = refusal(connection, there.clone.sr_uuid)
    assert (error.code, error.fields["vms"]) == ("pool-vms", ["copy"])
    other = add_vm(site, "borrower", [there.clone.vdis[0].reference])
    error = refusal(connection, there.clone.sr_uuid, REMOVE)
    assert (error.code, error.fields["vms"]) == ("pool-vms", ["borrower"])
    forced = DetachOptions(remove_vms=True, force=True)
    (vbd,) = [
        each
        for each in site.pool.db.find("VBD", VM=other)
        if there.record("VBD", each)["VDI"] == there.clone.vdis[0].reference
    ]
    there.record("VBD", vbd)["currently_attached"] = True
    assert refusal(connection, there.clone.sr_uuid, forced).code == "pool-vms"
    there.record("VBD", vbd)["currently_attached"] = False
    assert there.record("VM", restored.reference)["power_state"] == "Running"
    done = detach(connection, there.clone.sr_uuid, forced)
    assert done.vms == ("copy",)
    assert restored.reference not in site.snapshot()["VM"]
    assert other in site.snapshot()["VM"]


@pytest.mark.parametrize("left", [False, True], ids=["in part", "wholly"])
def test_a_vm_that_somebody_keeps(there: Scene, connection: Connection, left: bool) -> None:
    """A restored VM whose disks were moved off the clone, or copied with its marks, stays."""
    site = there.site
    restored = restore_vm(connection, "files", there.clone.sr_uuid, RestoreOptions(start=True))
    elsewhere = site.disks(there.sr)[0]
    if left:
        for vbd in site.pool.db.find("VBD", VM=restored.reference, type="Disk"):
            there.record("VBD", vbd)["VDI"] = elsewhere
    else:
        own = {"VM": restored.reference, "VDI": elsewhere, "userdevice": "7"}
        site.client().xenapi.VBD.create({**VBD_RECORD, **own})
    if left:
        assert detach(connection, there.clone.sr_uuid, REMOVE).vms == ()
    else:
        error = refusal(connection, there.clone.sr_uuid, REMOVE)
        assert (error.code, error.fields["vms"]) == ("pool-vms", [restored.name])
        assert restore_vm(connection, "files", there.clone.sr_uuid).already
    assert there.record("VM", restored.reference)["power_state"] == "Running"


def test_a_snapshot_of_a_restored_vm(there: Scene, connection: Connection) -> None:
    """It has the VM's marks: it goes as well, and nothing is shut down, for nothing runs in it."""
    restored = restore_vm(connection, "files", there.clone.sr_uuid)
    marks = dict(there.record("VM", restored.reference)["other_config"])
    vdi = there.clone.vdis[0].reference
    checkpoint = there.site.vm("checkpoint", [vdi], networks=(), other_config=marks)
    record = there.record("VM", checkpoint)
    record.update(is_a_template=True, is_a_snapshot=True, power_state="Suspended")
    noted = len(there.site.calls)
    done = detach(connection, there.clone.sr_uuid, REMOVE)
    assert set(done.vms) == {restored.name, "checkpoint"}
    assert checkpoint not in there.site.snapshot()["VM"]
    assert "VM.hard_shutdown" not in [call.name for call in there.site.calls[noted:]]


def test_a_vm_that_was_half_restored(there: Scene, connection: Connection) -> None:
    """It is marked from its first moment, and goes as well."""
    restored = restore_vm(connection, "files", there.clone.sr_uuid)
    del there.record("VM", restored.reference)["other_config"][RESTORED]
    assert detach(connection, there.clone.sr_uuid, REMOVE).vms == (restored.name,)


@pytest.mark.parametrize("way", WAYS)
def test_every_call_that_fails(there: Scene, connection: Connection, way: str) -> None:
    """The error says what stands and nothing else; the same command goes on from there."""
    site = there.site
    vm = running(there, connection)
    expected = without_clone(there, site.snapshot())
    number, halves = 0, 0
    while True:
        number += 1
        before, noted = site.snapshot(), len(site.calls)
        fail = site.fail if way.startswith("error") else site.drop
        fault = fail(at=number, after=way.endswith("after"))
        try:
            detach(connection, there.clone.sr_uuid, REMOVE)
        except PoolUnfinished as error:
            halves += 1
            assert error.code == "pool-half-detached"
            assert list(error.standing) == really_standing(there), (number, way)
            assert site.snapshot() != before
        except RelunError as error:
            assert error.code == "pool-call"
            assert site.snapshot() == before, (number, way)
        else:
            assert site.snapshot() == expected, (number, way)
            break
        finally:
            site.mend()
            assert site.snapshot()["pool"] == before["pool"]
        assert fault.hits
        assert len(site.calls) > noted
        if not really_standing(there) and site.snapshot() == expected:
            break  # done, though its answer was lost
        if site.snapshot() != before:  # from the start again, so that every call has its turn
            bring_back(there, connection, vm)
    assert number > 10
    assert detach(connection, there.clone.sr_uuid).already


def running(there: Scene, connection: Connection, name: str = "") -> str:
    """Restore the VM and wait until its guest is up, which changes records; return its name."""
    options = RestoreOptions(name=name, start=True)
    restored = restore_vm(connection, "files", there.clone.sr_uuid, options)
    record = there.record("VM", restored.reference)
    await_true(lambda: record["guest_metrics"] != NULL, "the guest does not come up")
    return restored.name


def bring_back(there: Scene, connection: Connection, vm: str) -> None:
    """Attach and restore again what a detach left half."""
    detach(connection, there.clone.sr_uuid, REMOVE)
    done = attach(connection, there.clone_lun.typed, AttachOptions(name=there.clone.name))
    assert done.sr_uuid == there.clone.sr_uuid
    running(there, connection, vm)


def really_standing(there: Scene) -> list[str]:
    """Return the lines for what of the clone is in the pool."""
    found = there.site.snapshot()
    lines = []
    for sr, record in found["SR"].items():
        if record["uuid"] == there.clone.sr_uuid:
            lines.append(f'SR {record["uuid"]} "{record["name_label"]}" in the pool')
            for pbd in found["PBD"].values():
                if pbd["SR"] == sr:
                    how = "plugged" if pbd["currently_attached"] else "a PBD"
                    lines.append(f"{how} on {found['host'][pbd['host']]['name_label']}")
            for vm in found["VM"].values():
                if vm["other_config"].get(ON_SR) == record["uuid"]:
                    lines.append(f"VM {vm['name_label']}")
    return sorted(lines)


def test_a_host_that_is_down(make_pool_site: Callable[..., PoolSite]) -> None:
    """It keeps the SR from leaving no other host, and is named; as often as it is tried."""
    site = make_pool_site(hosts=3)
    with login(site) as connection:
        there = scene(site, connection, "single")
        site.power_off(site.pool.hosts[1])
        for _time in range(2):
            before = site.snapshot()
            with pytest.raises(PoolUnfinished) as caught:
                detach(connection, there.clone.sr_uuid)
            error = caught.value
            assert error.code == "pool-half-detached"
            cause = error.fields["cause"]
            assert (cause.code, cause.fields["hosts"]) == ("pool-host-down", ["host2"])
            assert list(error.standing) == really_standing(there)
            assert [line for line in error.standing if "host" in line] == [
                "a PBD on host1",
                "a PBD on host3",
                "plugged on host2",
            ]
        assert site.snapshot() == before  # the second time
        metrics = there.record("host", site.pool.hosts[1].reference)["metrics"]
        there.record("host_metrics", metrics)["live"] = True
        assert not detach(connection, there.clone.sr_uuid).already
        assert really_standing(there) == []


def test_again_while_it_stands_half(there: Scene, connection: Connection) -> None:
    """Nothing more is done, but the SR is no less half-way: whatever ends it says so."""
    there.site.fail("PBD.unplug", at=2, times=0)
    for _time in range(2):
        with pytest.raises(PoolUnfinished) as caught:
            detach(connection, there.clone.sr_uuid)
        assert caught.value.fields["cause"].code == "pool-call"
        assert list(caught.value.standing) == really_standing(there)
        there.site.mend()
        there.site.fail("PBD.unplug", times=0)
    vdi = there.clone.vdis[0].reference
    add_vm(there.site, "borrower", [vdi])
    with pytest.raises(PoolUnfinished) as caught:
        detach(connection, there.clone.sr_uuid)
    assert caught.value.fields["cause"].code == "pool-vms"
    assert list(caught.value.standing) == really_standing(there)


def test_while_it_is_attached(there: Scene, connection: Connection) -> None:
    """Whoever is at work on the LUN is not disturbed."""
    reached, goes_on = threading.Event(), threading.Event()

    def wait(call: Any) -> None:
        if call.name == "SR.scan":
            reached.set()
            goes_on.wait(20)

    there.site.pool.faults.watch(wait)

    def again() -> None:
        with login(there.site) as mine:
            attach(mine, there.clone_lun.typed)

    thread = threading.Thread(target=again)
    thread.start()
    assert reached.wait(20)
    before = there.site.snapshot()
    assert refusal(connection, there.clone.sr_uuid).code == "pool-busy"
    assert there.site.snapshot() == before
    goes_on.set()
    thread.join()


def test_a_signal(there: Scene, connection: Connection) -> None:
    """The step that runs ends, and what stands is named."""
    ended: list[str] = []

    def listen(event: Event) -> None:
        ended.extend([event.step] if event.state == "done" else [])

    with pytest.raises(PoolUnfinished) as caught:
        detach(connection, there.clone.sr_uuid, listener=listen, cancelled=lambda: len(ended) == 1)
    assert caught.value.fields["cause"].code == "pool-stopped"
    assert list(caught.value.standing) == really_standing(there)
    assert "a PBD on host2" in caught.value.standing
