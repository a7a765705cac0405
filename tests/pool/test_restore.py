"""A VM like the original from an attached clone: what it takes over, what not, and failures."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pool import metadata
from pool.failing import WAYS, calls_of, each_call, standing
from pool.originals import Scene, add_vm, as_before, login, scene, staged
from pool.site import PoolSite
from relun.pool.connection import Connection
from relun.pool.detach import DetachOptions, detach
from relun.pool.errors import PoolRefused
from relun.pool.events import Event
from relun.pool.machine import remove
from relun.pool.marks import ON_SR, ORIGINAL_VM, READ_ONLY, RESTORED
from relun.pool.restore import Restored, RestoreOptions, restore_vm
from remote.servers import Tgt
from xapi.schema import NULL

DISKS = 2


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, tgt: Tgt) -> Iterator[Scene]:
    yield from staged(tmp_path_factory.mktemp("stage"), tgt)


@pytest.fixture
def there(stage: Scene) -> Iterator[Scene]:
    yield from as_before(stage)


@pytest.fixture
def connection(there: Scene) -> Iterator[Connection]:
    with login(there.site) as made:
        yield made


def restore(connection: Connection, there: Scene, **options: Any) -> Restored:
    return restore_vm(connection, "files", there.clone.sr_uuid, RestoreOptions(**options))


def originals(there: Scene, snapshot: dict[str, Any]) -> dict[str, Any]:
    """What of a database is the original's: its VM, VBDs, VIFs, VDIs and SR."""
    return {
        "VM": snapshot["VM"][there.vm],
        "SR": snapshot["SR"][there.sr],
        **{
            kind: {ref: each for ref, each in snapshot[kind].items() if each[key] == owner}
            for kind, key, owner in (
                ("VBD", "VM", there.vm),
                ("VIF", "VM", there.vm),
                ("VDI", "SR", there.sr),
                ("PBD", "SR", there.sr),
            )
        },
    }


def test_a_vm_like_the_original(there: Scene, connection: Connection) -> None:
    before = originals(there, there.site.snapshot())
    done = restore(connection, there)
    assert originals(there, there.site.snapshot()) == before
    vm, old = there.record("VM", done.reference), there.record("VM", there.vm)
    for field in (
        "name_description",
        "memory_static_max",
        "memory_dynamic_min",
        "VCPUs_max",
        "VCPUs_params",
        "HVM_boot_params",
        "NVRAM",
        "domain_type",
        "actions_after_reboot",
        "reference_label",
        "recommendations",
        "has_vendor_device",
    ):
        assert vm[field] == old[field]
    assert vm["name_label"].startswith("files (copy of 20")
    assert (vm["uuid"], vm["name_label"]) == (done.uuid, done.name)
    assert vm["power_state"] == "Halted"
    assert not done.started
    assert not done.already
    assert [copy.disk.vdi_uuid for copy in done.disks] == [
        there.record("VDI", vdi)["uuid"] for vdi in list(there.vdis.values())[:DISKS]
    ]


def test_nothing_of_it_acts_on_its_own(there: Scene, connection: Connection) -> None:
    done = restore(connection, there)
    vm = there.record("VM", done.reference)
    assert vm["ha_always_run"] is False
    assert vm["ha_restart_priority"] == ""
    assert vm["tags"] == []
    assert (vm["appliance"], vm["affinity"], vm["snapshot_schedule"]) == (NULL, NULL, NULL)
    assert (vm["order"], vm["start_delay"], vm["shutdown_delay"]) == ("0", "0", "0")
    assert vm["platform"] == {"timeoffset": "0", "viridian": "true"}
    assert vm["xenstore_data"] == {"vm-data/role": "files"}
    config = vm["other_config"]
    assert config.pop("mac_seed") != there.record("VM", there.vm)["other_config"]["mac_seed"]
    assert config.pop(RESTORED).startswith("20")
    assert config == {
        "folder": "/office",
        ORIGINAL_VM: done.original_uuid,
        ON_SR: there.clone.sr_uuid,
    }
    generation = vm["generation_id"].split(":")
    assert generation != ["1", "2"]
    assert all(0 <= int(part) < 1 << 63 for part in generation)
    assert [note.code for note in done.notes] == ["pool-parts-left-out"]
    assert done.notes[0].fields["parts"] == ["PCI device"]


def test_its_disks_drives_and_nics(there: Scene, connection: Connection) -> None:
    done = restore(connection, there)
    names = list(there.vdis)[:DISKS]
    *disks, drive = there.parts("VBD", done.reference)
    *old_disks, _old_drive = there.parts("VBD", there.vm)
    for name, vbd, old in zip(names, disks, old_disks, strict=True):
        assert vbd["VDI"] == there.copy_of(name)
        for field in ("userdevice", "bootable", "mode", "type", "unpluggable", "other_config"):
            assert vbd[field] == old[field]
        assert vbd["qos_algorithm_type"] == "ionice"
    assert (drive["type"], drive["empty"], drive["VDI"]) == ("CD", True, NULL)
    (nic,) = there.parts("VIF", done.reference)
    assert nic["locking_mode"] == "disabled"
    assert nic["network"] == there.network
    assert nic["MAC"] not in ("", "00:16:3e:00:00:01")
    assert nic["ipv4_allowed"] == []
    assert nic["other_config"] == {"ethtool-gso": "off"}


def test_nics_as_asked(there: Scene, connection: Connection) -> None:
    network = there.site.pool.db.add("network", name_label="isolated", other_config={})
    for options, wanted, mac in (
        ({"connect_nics": True}, there.network, ""),
        ({"network": "isolated"}, network, ""),
        ({"connect_nics": True, "keep_mac": True}, there.network, "00:16:3e:00:00:01"),
    ):
        done = restore(connection, there, **options)
        (nic,) = there.parts("VIF", done.reference)
        assert (nic["network"], nic["locking_mode"]) == (wanted, "network_default")
        assert not mac or nic["MAC"] == mac
        remove(connection, done.reference)
    with pytest.raises(PoolRefused) as caught:
        restore(connection, there, network="nowhere")
    assert caught.value.code == "pool-network-missing"


def test_started_and_named(there: Scene, connection: Connection) -> None:
    done = restore(connection, there, start=True, name="<files>")
    assert (done.started, done.name) == (True, "<files>")
    assert there.record("VM", done.reference)["power_state"] == "Running"


def test_again_it_is_there_already(there: Scene, connection: Connection) -> None:
    first = restore(connection, there)
    before = there.site.snapshot()
    again = restore(connection, there, name="another")
    assert (again.reference, again.name, again.already) == (first.reference, first.name, True)
    assert again.disks == first.disks
    assert there.site.snapshot() == before
    assert restore(connection, there, start=True).started


def test_a_snapshot_of_it_is_not_it(there: Scene, connection: Connection) -> None:
    """A snapshot keeps the marks (and is a template, to xapi); it is neither taken nor removed."""
    first = restore(connection, there)
    db = there.site.pool.db
    marked = {**db.get("VM", first.reference), "is_a_snapshot": True, "is_a_template": True}
    snapshot = db.add("VM", **{**marked, "uuid": str(uuid.uuid4())})
    connection.call("VM.destroy", first.reference)
    again = restore(connection, there)
    assert not again.already
    assert again.reference != snapshot
    assert snapshot in db.table("VM")


def test_disks_elsewhere_are_named(there: Scene, connection: Connection) -> None:
    other = there.site.pool.db.add("SR", name_label="local", type="ext", shared=False)
    disk = there.site.pool.db.add(
        "VDI", SR=other, name_label="scratch", type="user", virtual_size="1"
    )
    add_vm(there.site, "mixed", [*list(there.vdis.values())[:1], disk])
    before = there.site.snapshot()
    with pytest.raises(PoolRefused) as caught:
        restore_vm(connection, "mixed", there.clone.name)
    assert caught.value.code == "pool-disks-elsewhere"
    assert caught.value.fields["disks"] == ["scratch (disk 1)"]
    assert there.site.snapshot() == before
    done = restore_vm(connection, "mixed", there.clone.sr_uuid, RestoreOptions(partial=True))
    assert len(done.disks) == 1
    assert "pool-disks-elsewhere" in [note.code for note in done.notes]
    add_vm(there.site, "foreign", [disk])
    with pytest.raises(PoolRefused) as caught:
        restore_vm(connection, "foreign", there.clone.sr_uuid, RestoreOptions(partial=True))
    assert caught.value.code == "pool-disks-none"


def test_a_disk_made_after_the_copy_is_named(there: Scene, connection: Connection) -> None:
    disk = there.site.pool.db.add(
        "VDI", SR=there.sr, name_label="new", type="user", virtual_size="1"
    )
    add_vm(there.site, "grown", [*list(there.vdis.values())[:1], disk])
    with pytest.raises(PoolRefused) as caught:
        restore_vm(connection, "grown", there.clone.sr_uuid)
    assert caught.value.code == "pool-disks-missing"
    assert caught.value.fields["disks"] == ["new (disk 1)"]


def test_read_only_copies_are_no_disks(there: Scene, connection: Connection) -> None:
    there.record("VDI", there.copy_of(next(iter(there.vdis))))["read_only"] = True
    with pytest.raises(PoolRefused) as caught:
        restore(connection, there)
    assert caught.value.code == "pool-disks-read-only"


def test_disks_of_a_read_only_clone(there: Scene, connection: Connection) -> None:
    there.record("SR", there.clone.reference)["other_config"][READ_ONLY] = "true"
    done = restore(connection, there)
    assert [vbd["mode"] for vbd in there.parts("VBD", done.reference)] == ["RO"] * (DISKS + 1)
    assert "pool-disks-locked" in [note.code for note in done.notes]


def test_names_mean_one_thing(there: Scene, connection: Connection) -> None:
    uuid = there.clone.sr_uuid
    db = there.site.pool.db
    for vm, sr, code in (
        ("nobody", uuid, "pool-vm-missing"),
        ("11111111-0000-4000-8000-000000000000", uuid, "pool-vm-missing"),
        ("files", "nothing", "pool-sr-missing"),
        ("files", "11111111-0000-4000-8000-000000000000", "pool-sr-missing"),
        ("files", db.get("SR", there.sr)["uuid"], "pool-sr-unmarked"),
    ):
        with pytest.raises(PoolRefused) as caught:
            restore_vm(connection, vm, sr)
        assert caught.value.code == code
    twin = add_vm(there.site, "files", [])
    with pytest.raises(PoolRefused) as caught:
        restore(connection, there)
    assert caught.value.code == "pool-several"
    db.get("VM", twin)["is_a_snapshot"] = True
    with pytest.raises(PoolRefused) as caught:
        restore_vm(connection, db.get("VM", twin)["uuid"], uuid)
    assert caught.value.code == "pool-vm-kind"
    assert restore(connection, there).original_uuid == db.get("VM", there.vm)["uuid"]


def test_from_a_metadata_file_when_the_vm_is_gone(
    there: Scene, connection: Connection, tmp_path: Path
) -> None:
    file = tmp_path / "files.xva"
    kinds = ("VM", "VBD", "VDI", "SR", "VIF", "network")
    metadata.export({kind: connection.records(kind) for kind in kinds}, [there.vm], file)
    like = restore(connection, there)
    wanted = comparable(there, like.reference)
    remove(connection, like.reference)
    remove(connection, there.vm)
    done = restore(connection, there, metadata=str(file))
    assert comparable(there, done.reference) == wanted
    assert done.original_uuid == like.original_uuid


def test_a_network_that_another_pool_knows_by_name(
    there: Scene, connection: Connection, tmp_path: Path
) -> None:
    file = tmp_path / "files.xva"
    kinds = ("VM", "VBD", "VDI", "SR", "VIF", "network")
    metadata.export({kind: connection.records(kind) for kind in kinds}, [there.vm], file)
    network = there.record("network", there.network)
    network["uuid"] = "11111111-0000-4000-8000-000000000000"
    done = restore(connection, there, metadata=str(file))
    assert [nic["network"] for nic in there.parts("VIF", done.reference)] == [there.network]
    remove(connection, done.reference)
    network["name_label"] = "another"
    done = restore(connection, there, metadata=str(file))
    assert there.parts("VIF", done.reference) == []
    assert "pool-nic-left-out" in [note.code for note in done.notes]
    remove(connection, done.reference)
    with pytest.raises(PoolRefused) as caught:
        restore(connection, there, metadata=str(file), connect_nics=True)
    assert caught.value.code == "pool-network-missing"


def comparable(there: Scene, vm: str) -> object:
    """A VM without what differs from one restored VM to the next."""
    own = ("uuid", "metrics", "generation_id", "other_config", "memory_overhead")
    record = {key: value for key, value in there.record("VM", vm).items() if key not in own}
    kept = ("userdevice", "VDI", "mode", "bootable", "type", "empty", "other_config")
    vbds = [{key: vbd[key] for key in kept} for vbd in there.parts("VBD", vm)]
    nics = [(nic["device"], nic["network"]) for nic in there.parts("VIF", vm)]
    return record, vbds, nics


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("start", [False, True])
def test_each_call_failing_leaves_nothing(
    there: Scene, connection: Connection, way: str, start: bool
) -> None:
    """The pool is as it was, or the VM is whole in spite of it; and it works the next time."""

    def work() -> None:
        restore(connection, there, start=start)

    def clear() -> None:
        for vm in there.site.pool.db.find("VM"):
            record = there.record("VM", vm)
            if ORIGINAL_VM in record["other_config"]:
                remove(connection, vm, record)

    names = calls_of(there.site, work)
    clear()
    assert len(names) > 20
    failed = []
    for name, error, before, after in each_call(there.site, len(names), work, way):
        if error is None:  # what was done all the same
            clear()
            assert there.site.snapshot() == before
            continue
        failed.append(name)
        assert error.code == "pool-call", name
        assert not error.changed
        assert after == before, name
    assert {"VM.create", "VBD.create", "VIF.create", "VM.add_to_other_config"} <= set(failed)
    assert ("VM.start" in failed) == start
    work()


@pytest.mark.parametrize("start", [False, True])
def test_what_cannot_be_taken_back_is_told(
    there: Scene, connection: Connection, start: bool
) -> None:
    site = there.site
    last = "VM.start" if start else "VM.add_to_other_config"
    site.fail(last)
    site.fail("VM.destroy", times=0)
    with pytest.raises(Exception) as caught:
        restore(connection, there, start=start)
    site.mend()
    (vm,) = [
        vm
        for vm in site.pool.db.find("VM")
        if ORIGINAL_VM in there.record("VM", vm)["other_config"]
    ]
    name, uuid = there.record("VM", vm)["name_label"], there.record("VM", there.vm)["uuid"]
    assert standing(caught.value) == (f"VM {name} (like {uuid})",)  # type: ignore[arg-type]
    assert caught.value.fields["cause"].fields["call"] == last  # type: ignore[attr-defined]
    done = restore(connection, there)
    assert done.already == start  # it was whole, only the start had failed
    assert len([vm for vm in site.pool.db.find("VM") if vm != there.vm]) == 1


def test_two_administrators_at_once(there: Scene, connection: Connection) -> None:
    """One makes the VM, the other gets it or is told that somebody is at work."""
    ended: list[object] = []
    met = threading.Barrier(2)

    def one() -> None:
        with login(there.site) as own:
            met.wait()
            try:
                ended.append(restore(own, there))
            except PoolRefused as error:
                ended.append(error.code)

    threads = [threading.Thread(target=one) for _number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    restored = [each for each in ended if isinstance(each, Restored)]
    assert len({each.reference for each in restored}) == 1
    assert [each.already for each in restored].count(False) == 1
    assert [each for each in ended if each not in restored] in ([], ["pool-busy"])
    assert len(there.site.pool.db.find("VM")) == 2
    assert there.site.pool.record["other_config"] == {}


def test_one_that_was_broken_off(there: Scene, connection: Connection) -> None:
    """Its VM is half there and its key stands: once its session is over, the next one goes on."""
    site = there.site
    hung = site.hang("VBD.create", at=2, after=True)

    def doomed() -> None:
        with login(site) as own, pytest.raises(PoolRefused):
            restore(own, there)

    thread = threading.Thread(target=doomed)
    thread.start()
    assert hung.reached.wait(30)
    with pytest.raises(PoolRefused) as caught:
        restore(connection, there)
    assert caught.value.code == "pool-busy"
    half = [vm for vm in site.pool.db.find("VM") if vm != there.vm]
    assert len(half) == 1
    done = restore(connection, there, take_over=True)
    assert half[0] not in site.pool.db.find("VM")
    assert len(there.parts("VBD", done.reference)) == DISKS + 1
    # The one that was thought dead comes back to a VM that is gone.
    hung.released.set()
    thread.join()


def test_a_signal_stops_it_between_two_steps(there: Scene, connection: Connection) -> None:
    before = there.site.snapshot()
    seen: list[Event] = []
    with pytest.raises(PoolRefused) as caught:
        restore_vm(
            connection,
            "files",
            there.clone.sr_uuid,
            RestoreOptions(),
            seen.append,
            lambda: any(event.step == "VBD.create" for event in seen),
        )
    assert caught.value.code == "pool-stopped"
    assert there.site.snapshot() == before
    assert [event.state for event in seen if event.step == "VM.destroy"] == ["undone"]


def test_detach_takes_it_away(pool_site: PoolSite) -> None:
    with login(pool_site) as connection:
        _detached(scene(pool_site, connection), connection)


def _detached(there: Scene, connection: Connection) -> None:
    done = restore(connection, there, start=True)
    original = originals(there, there.site.snapshot())
    gone = detach(connection, there.clone.sr_uuid, DetachOptions(remove_vms=True))
    assert gone.vms == (done.name,)
    assert there.site.pool.db.find("VM") == [there.vm]
    assert originals(there, there.site.snapshot()) == original
