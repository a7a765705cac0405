"""DR tests on a pool: all comes up, some does not, cleaning up fails; always one report."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pool import metadata
from pool.failing import WAYS
from pool.originals import login
from pool.site import PoolLun, PoolSite
from relun.pool import dr_run, machine
from relun.pool.attach import attach
from relun.pool.dr_plan import ClonePlan, Plan, VmPlan
from relun.pool.dr_report import DrReport
from relun.pool.errors import PoolRefused
from relun.pool.events import Event
from relun.pool.lun import target_of
from relun.pool.marks import TESTED
from relun.pool.restore import restore_vm
from relun.pool.waiting import WaitFor, wait_for
from remote.servers import Tgt


class Office(NamedTuple):
    """A pool of one host with two VMs on an SR, and a clone of its LUN."""

    site: PoolSite
    sr: str
    clone: PoolLun

    def plan(self, *vms: VmPlan, **more: Any) -> Plan:
        """A plan for the clone, for both VMs unless others are given."""
        named = vms or (VmPlan("dc"), VmPlan("files"))
        return Plan("office", (ClonePlan(self.clone.address),), named, **more)


def office(site: PoolSite) -> Office:
    lun = site.lun("chain")
    sr = site.attach(lun, "iSCSI")
    disks = site.disks(sr)
    assert len(disks) > 2
    site.vm("dc", disks[:1])
    site.vm("files", disks[1:-1])
    site.network("isolated", nics=False)
    site.guest("dc", agent=0.0)
    site.guest("files", agent=0.1, address="127.0.0.1")
    master = site.pool.db.get("host", site.master.reference)
    master["software_version"] = {"product_version": "8.4.0", "hostname": "builder"}
    return Office(site, sr, site.clone(lun))


@pytest.fixture
def there(make_pool_site: Callable[..., PoolSite]) -> Office:
    return office(make_pool_site(hosts=1))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, tgt: Tgt) -> Iterator[Office]:
    """An office for tests that leave all as it was."""
    site = PoolSite(tmp_path_factory.mktemp("office"), tgt, hosts=1)
    with site:
        yield office(site)


@pytest.fixture
def clean(stage: Office) -> Iterator[Office]:
    """The office; it must be as it was at the end of the test."""
    before = stage.site.snapshot()
    yield stage
    stage.site.mend()
    assert stage.site.snapshot() == before
    assert stage.site.sessions == []


@pytest.fixture
def port() -> Iterator[int]:
    """A TCP port at which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def carry_out(there: Office, plan: Plan, **more: Any) -> DrReport:
    with login(there.site) as connection:
        return dr_run.test_dr(connection, plan, **more)


def test_everything_comes_up(clean: Office, port: int) -> None:
    seen: list[Event] = []
    noted = len(clean.site.calls)
    vms = (VmPlan("dc"), VmPlan("files", WaitFor(port)), VmPlan("iso", None))
    with_iso = clean.site.vm("iso", clean.site.disks(clean.sr)[-1:], ())
    try:
        plan = clean.plan(*vms, network="isolated")
        report = carry_out(clean, plan, listener=seen.append)
    finally:
        clean.site.client().xenapi.VM.destroy(with_iso)
    assert report.passed
    assert report.clean
    assert not report.stopped
    assert (report.kept, report.standing) == ((), ())
    (clone,) = report.clones
    assert clone.target == clean.clone.address
    assert clone.scsi_id == clean.clone.scsi_id
    assert clone.old_sr == clean.site.pool.db.get("SR", clean.sr)["uuid"]
    assert clone.new_sr not in ("", clone.old_sr)
    assert clone.vdis == len(clean.site.pool.db.find("VDI", SR=clean.sr, managed=True))
    assert clone.hosts == ("host1",)
    dc, files, iso = report.vms
    assert (dc.agent, dc.address) == ("8.4.0.1", "192.0.2.77")
    assert (files.agent, files.address) == ("8.4.0.1", "127.0.0.1")
    assert iso.wait_seconds is None
    for vm in report.vms:
        assert vm.up_after is not None
        assert vm.uuid not in ("", vm.original_uuid)
        assert vm.sr_uuid == clone.new_sr
        assert vm.problem is None
    assert dc.up_after < files.up_after < iso.up_after < report.seconds  # type: ignore[operator]
    assert report.recovery_seconds == iso.up_after
    calls = clean.site.calls[noted:]
    started = [call.arguments[0] for call in calls if call.name == "VM.start"]
    made = [call.arguments[0]["name_label"] for call in calls if call.name == "VM.create"]
    assert [name.split()[0] for name in made] == ["dc", "files", "iso"]
    assert len(started) == 3
    nics = [call.arguments[0] for call in calls if call.name == "VIF.create"]
    (isolated,) = clean.site.pool.db.find("network", name_label="isolated")
    assert {nic["network"] for nic in nics} == {isolated}
    assert {nic["locking_mode"] for nic in nics} == {"network_default"}
    told = [event for event in seen if event.state != "begun"]
    assert report.steps == tuple(told)
    assert {"SR.introduce", "VM.create", "VM.start", "wait", "SR.forget"} <= {
        event.step for event in told
    }
    assert [done.what for done in report.clean_up] == ["VM.destroy"] * 3 + ["detach"]
    assert report.pool.master == "host1"
    assert report.pool.versions == {"product_version": "8.4.0"}


def test_a_guest_that_never_comes_up(clean: Office) -> None:
    """It is told, and the test goes on with the others."""
    clean.site.guest("dc", agent=None)
    try:
        report = carry_out(clean, clean.plan(VmPlan("dc", WaitFor(timeout=0.3)), VmPlan("files")))
    finally:
        clean.site.guest("dc", agent=0.0)
    dc, files = report.vms
    assert (report.passed, report.clean, report.recovery_seconds) == (False, True, None)
    assert dc.problem is not None
    assert dc.problem.code == "pool-not-up"
    assert dc.problem.fields["reason"] == "its agent has not reported"
    assert dc.up_after is None
    assert dc.wait_seconds is not None
    assert 0.3 <= dc.wait_seconds < 10
    assert files.up_after is not None


@pytest.mark.parametrize(
    ("guest", "wait", "reason"),
    [
        ({"agent": None}, WaitFor(9, timeout=0.2), "no address is known"),
        ({"agent": 0.0, "address": "127.0.0.1"}, WaitFor(9, timeout=0.2), "refused"),
        ({"agent": None}, WaitFor(9, "127.0.0.1", 0.2), "127.0.0.1, port 9: Connection refused"),
    ],
)
def test_a_port_that_never_answers(
    clean: Office, guest: dict[str, Any], wait: WaitFor, reason: str
) -> None:
    clean.site.guest("files", **guest)
    try:
        plan = clean.plan(VmPlan("files", wait), connect_nics=True)
        (files,) = carry_out(clean, plan).vms
    finally:
        clean.site.guest("files", agent=0.1, address="127.0.0.1")
    assert files.problem is not None
    assert reason in files.problem.fields["reason"]


def test_a_vm_that_goes_down_is_not_waited_for(clean: Office) -> None:
    clean.site.guest("files", agent=None)
    down = threading.Event()

    def listener(event: Event) -> None:
        if event.step == "wait" and event.state == "begun":
            db = clean.site.pool.db
            (vm,) = db.find("VM", power_state="Running")
            clean.site.client().xenapi.VM.hard_shutdown(vm)
            down.set()

    try:
        plan = clean.plan(VmPlan("files", WaitFor(timeout=600.0)))
        (files,) = carry_out(clean, plan, listener=listener).vms
    finally:
        clean.site.guest("files", agent=0.1, address="127.0.0.1")
    assert down.is_set()
    assert files.problem is not None
    assert files.problem.fields["reason"] == "the VM is halted"


def test_a_vm_that_cannot_be_restored_or_started(clean: Office) -> None:
    clean.site.fail("VM.start", code=("NO_HOSTS_AVAILABLE",))
    report = carry_out(clean, clean.plan(VmPlan("nobody"), VmPlan("dc"), VmPlan("files")))
    codes = [vm.problem.code if vm.problem else "" for vm in report.vms]
    assert codes == ["pool-vm-missing", "pool-call", ""]
    assert report.vms[1].restore_seconds is not None
    assert report.vms[1].start_seconds is None
    assert (report.passed, report.clean) == (False, True)


def test_a_clone_that_is_not_there(clean: Office) -> None:
    """What is on the others is tested."""
    missing = clean.clone.address.rsplit("/", 1)[0] + "/77"
    plan = clean.plan(VmPlan("dc"))
    report = carry_out(clean, plan._replace(clones=(ClonePlan(missing), *plan.clones)))
    assert [clone.problem is None for clone in report.clones] == [False, True]
    assert report.vms[0].up_after is not None
    assert not report.passed
    report = carry_out(clean, plan._replace(clones=(ClonePlan(missing),)))
    assert report.vms[0].problem is not None
    assert report.vms[0].problem.code == "pool-disks-none"


def test_a_signal_ends_it_and_all_is_taken_away(clean: Office) -> None:
    seen: list[Event] = []
    clean.site.guest("dc", agent=None)
    try:
        report = carry_out(
            clean,
            clean.plan(),
            listener=seen.append,
            cancelled=lambda: any(event.step == "wait" for event in seen),
        )
    finally:
        clean.site.guest("dc", agent=0.0)
    assert report.stopped
    assert not report.passed
    assert report.clean
    codes = [vm.problem.code if vm.problem else "" for vm in report.vms]
    assert codes == ["pool-stopped", "pool-stopped"]


def test_two_tests_of_one_clone(clean: Office) -> None:
    """The second is refused before it begins anything."""
    refused: list[PoolRefused] = []

    def listener(event: Event) -> None:
        if event.step == "VM.create" and event.state == "begun" and not refused:
            before = clean.site.snapshot()
            with pytest.raises(PoolRefused) as caught:
                carry_out(clean, clean.plan())
            refused.append(caught.value)
            assert clean.site.snapshot() == before

    assert carry_out(clean, clean.plan(), listener=listener).passed
    assert [error.code for error in refused] == ["pool-busy"]


def test_what_cannot_be_taken_away_is_told_and_goes_the_next_time(there: Office) -> None:
    before = there.site.snapshot()
    there.site.fail("SR.forget", times=0)
    there.site.fail("VM.destroy", times=0)
    report = carry_out(there, there.plan(VmPlan("dc")))
    there.site.mend()
    assert report.passed
    assert not report.clean
    (vm,) = report.vms
    (clone,) = report.clones
    assert report.standing == (f"VM {vm.name} {vm.uuid}", f"SR {clone.name} {clone.new_sr}")
    assert [done.problem is not None for done in report.clean_up] == [True, True]
    assert there.site.snapshot() != before
    again = carry_out(there, there.plan(VmPlan("dc")))
    assert (again.passed, again.clean) == (True, True)
    assert again.vms[0].uuid != vm.uuid  # the one from before was removed first
    assert again.clones[0].new_sr == clone.new_sr
    assert there.site.snapshot() == before


def test_an_error_of_our_own_leaves_no_more_behind(
    clean: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is noted as what it is, and the rest is taken away."""
    real = machine.remove
    asked: list[str] = []

    def remove(*arguments: Any) -> None:
        asked.append(arguments[1])
        if len(asked) == 1:
            raise ZeroDivisionError("wanted by the test")
        real(*arguments)

    monkeypatch.setattr(machine, "remove", remove)
    report = carry_out(clean, clean.plan())
    monkeypatch.undo()
    dc, files = report.vms
    first, second, third = report.clean_up
    assert first.problem is not None
    assert first.problem.code == "pool-bug"
    assert "ZeroDivisionError" in first.problem.fields["reason"]
    assert second.problem is None
    assert third.problem is not None  # the VM that stayed has disks on it
    assert third.problem.code == "pool-vms"
    (clone,) = report.clones
    assert report.standing == (
        f"VM {files.name} {files.uuid}",
        f"SR {clone.name} {clone.new_sr}",
    )
    assert dc.uuid not in [vm["uuid"] for vm in clean.site.snapshot()["VM"].values()]
    assert carry_out(clean, clean.plan()).clean


def test_what_stood_before_stays(there: Office) -> None:
    with login(there.site) as connection:
        attached = attach(connection, target_of(there.clone.typed))
        before = there.site.snapshot()
        report = dr_run.test_dr(connection, there.plan(VmPlan("dc")))
        assert (report.passed, report.clean) == (True, True)
        assert report.clones[0].before
        assert report.kept == (f"SR {attached.name} {attached.sr_uuid}",)
        assert there.site.snapshot() == before
        restored = restore_vm(connection, "dc", attached.sr_uuid)
        before = there.site.snapshot()
        report = dr_run.test_dr(connection, there.plan())
        dc, files = report.vms
        assert dc.problem is not None
        assert dc.problem.code == "pool-dr-there"
        assert dc.problem.fields["uuid"] == restored.uuid
        assert files.up_after is not None
        assert there.site.snapshot() == before


def test_what_a_plan_keeps(there: Office) -> None:
    report = carry_out(there, there.plan(VmPlan("dc"), remove_vms=False, detach=False))
    (vm,), (clone,) = report.vms, report.clones
    assert report.kept == (f"VM {vm.name} {vm.uuid}", f"SR {clone.name} {clone.new_sr}")
    assert (report.passed, report.clean) == (True, True)
    db = there.site.pool.db
    assert TESTED not in db.get("SR", db.by_uuid("SR", clone.new_sr))["other_config"]
    assert db.get("VM", db.by_uuid("VM", vm.uuid))["power_state"] == "Running"


def test_each_call_failing_ends_in_a_true_report(clean: Office) -> None:
    """Whatever fails: nothing is left, or the report says so and the next test takes it away."""
    plan = clean.plan(VmPlan("dc"))
    noted = len(clean.site.calls)
    assert carry_out(clean, plan).passed
    names = list(dict.fromkeys(call.name for call in clean.site.calls[noted:]))
    assert len(names) > 20
    for number, name in enumerate(name for name in names if not name.startswith("session.")):
        before = clean.site.snapshot()
        kind, _space, when = WAYS[number % len(WAYS)].partition(" ")
        fail = clean.site.fail if kind == "error" else clean.site.drop
        fault = fail(name, after=when == "after")
        report = None
        try:
            report = carry_out(clean, plan)
        except PoolRefused:  # before the first step
            assert clean.site.snapshot() == before, name
        clean.site.mend()
        assert fault.hits == 1, name
        if report is None:
            continue
        if report.clean:
            assert clean.site.snapshot() == before, name
        else:
            assert report.standing, name
            again = carry_out(clean, plan)
            assert (again.passed, again.clean) == (True, True), name
        assert all(vm.problem is None or vm.up_after is None for vm in report.vms), name


def test_waiting_lasts_as_long_as_it_should(there: Office) -> None:
    """By a clock of the test's own: looks become rarer, the last one is at the very end."""
    now = [0.0]
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    there.site.guest("files", agent=None)
    (vm,) = there.site.pool.db.find("VM", name_label="files")
    with login(there.site) as connection:
        connection.call("VM.start", vm, False, False)
        with pytest.raises(PoolRefused) as caught:
            wait = WaitFor(timeout=10.0)
            wait_for(connection, vm, "files", wait, pause=pause, clock=lambda: now[0])
    assert caught.value.code == "pool-not-up"
    assert now[0] == pytest.approx(10.0)
    assert pauses[0] == pytest.approx(0.1)
    assert max(pauses) == 1.0


def test_a_pool_that_is_away_for_a_moment(clean: Office) -> None:
    """A toolstack that restarts while a guest comes up does not fail the test."""

    def listener(event: Event) -> None:
        if event.step == "wait" and event.state == "begun":
            clean.site.drop("VM.get_record")
            clean.site.fail("VM_guest_metrics.get_record", code=("HANDLE_INVALID", "x", "y"))

    noted = len(clean.site.calls)
    report = carry_out(clean, clean.plan(VmPlan("dc")), listener=listener)
    assert report.passed
    assert [call.name for call in clean.site.calls[noted:]].count("VM.get_record") >= 2


def test_a_metadata_file_in_a_plan(clean: Office, tmp_path: Path) -> None:
    file = tmp_path / "dc.xva"
    (vm,) = clean.site.pool.db.find("VM", name_label="dc")
    kinds = ("VM", "VBD", "VDI", "SR", "VIF", "network")
    with login(clean.site) as connection:
        metadata.export({kind: connection.records(kind) for kind in kinds}, [vm], file)
    report = carry_out(clean, clean.plan(VmPlan("dc", metadata=str(file), name="from a file")))
    assert report.passed
    assert report.vms[0].name == "from a file"
