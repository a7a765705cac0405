"""A DR test: clones attached, VMs restored, started in order and waited for, all taken away again.

What goes wrong with one clone or VM is noted, and the test goes on with the others. All that the
test made is removed at the end, whatever happened.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import NamedTuple

from relun.core.errors import RelunError
from relun.core.options import Options
from relun.pool import events, machine
from relun.pool.attach import AttachOptions, Target, attach
from relun.pool.clock import timestamp
from relun.pool.connection import ApiFailure, Connection, Record
from relun.pool.dr_cleaning import Cleaning
from relun.pool.dr_facts import own_version, pool_facts
from relun.pool.dr_plan import ClonePlan, Plan, VmPlan
from relun.pool.dr_report import CloneReport, DrReport, VmReport
from relun.pool.errors import PoolRefused
from relun.pool.events import BEGUN, Event, Listener
from relun.pool.marks import TESTED, Attached
from relun.pool.metadata_file import from_file
from relun.pool.restore import Restored, RestoreOptions, restore_vm
from relun.pool.steps import Cancelled, Steps, never
from relun.pool.turn import hold
from relun.pool.vm_record import from_pool
from relun.pool.waiting import wait_for
from relun.pool.whole import as_ours
from relun.remote.login import Login


class _Clone(NamedTuple):
    """An attached clone. ``ours``: it goes at the end, for a test has attached it."""

    attached: Attached
    ours: bool


def test_dr(
    connection: Connection,
    plan: Plan,
    logins: Mapping[str, Login] = MappingProxyType({}),
    take_over: bool = False,
    listener: Listener = events.nobody,
    cancelled: Cancelled = never,
) -> DrReport:
    """Carry out a plan and return what was found. ``logins``: for its clones, by their targets.

    What a test that was broken off left is used, and removed at the end. ``take_over``: another
    test of these clones that seems under way was broken off. Raise PoolRefused (pool-busy) when
    nothing was begun.
    """
    steps = Steps(plan.title, listener)
    try:
        (pool,) = connection.call("pool.get_all")
        with ExitStack() as stack:
            for clone in plan.clones:
                key, what = f"relun-dr-{clone.target}", f"a DR test of {clone.target}"
                stack.enter_context(hold(connection, pool, key, what, steps, take_over))
            return _Test(connection, plan, logins, take_over, listener, cancelled).run()
    except ApiFailure as failure:  # only before the first step: each one has its own report
        raise as_ours(failure) from failure


class _Test:
    def __init__(
        self,
        connection: Connection,
        plan: Plan,
        logins: Mapping[str, Login],
        take_over: bool,
        listener: Listener,
        cancelled: Cancelled,
    ) -> None:
        self._connection = connection
        self._plan = plan
        self._logins = logins
        self._take_over = take_over
        self._tell = listener
        self._cancelled = cancelled
        self._clones: list[_Clone] = []
        self._restored: dict[str, Restored] = {}
        self._clone_reports: list[CloneReport] = []
        self._vm_reports = {vm.vm: _not_begun(vm) for vm in plan.vms}
        self._steps: list[Event] = []
        self._standing: list[str] = []
        self._cleaning = Cleaning(connection, self._listener)

    def run(self) -> DrReport:
        facts = pool_facts(self._connection)
        before = self._connection.records("SR")
        began, self._began = timestamp(), time.monotonic()
        try:
            for clone in self._plan.clones:
                self._clone_reports.append(self._attach(clone, before))
            for vm in self._plan.vms:
                self._each(vm, self._restore)
            for vm in self._plan.vms:
                self._each(vm, self._start)
        finally:
            self._take_away()
        return DrReport(
            self._plan.title,
            own_version(),
            facts,
            began,
            timestamp(),
            self._since(),
            tuple(self._clone_reports),
            tuple(self._vm_reports.values()),
            tuple(self._cleaning.done),
            tuple(self._steps),
            (*self._standing, *self._cleaning.standing),
            tuple(self._kept()),
            self._cancelled(),
        )

    # --- clones

    def _attach(self, clone: ClonePlan, srs_before: Mapping[str, Record]) -> CloneReport:
        began = time.monotonic()
        report = CloneReport(clone.target)
        login = self._logins.get(clone.target, Login())
        try:
            attached = attach(
                self._connection,
                Target(clone.target, login),
                _options(clone, self._take_over),
                self._listener,
                self._cancelled,
            )
            stood = srs_before.get(attached.reference)
            ours = stood is None or TESTED in stood["other_config"]
            self._clones.append(_Clone(attached, ours))
            report = _attached_report(clone, attached, not ours)
            if stood is None:
                self._mark(attached)
        except (RelunError, ApiFailure) as error:
            problem = as_ours(error)
            report = report._replace(problem=problem)
            self._note_standing(problem)
        return report._replace(seconds=time.monotonic() - began)

    def _mark(self, attached: Attached) -> None:
        """Say that it goes at the end of a test, should this one be broken off."""
        with events.step(self._listener, attached.name, "SR.add_to_other_config", TESTED):
            self._connection.call("SR.add_to_other_config", attached.reference, TESTED, timestamp())

    # --- VMs

    def _each(self, vm: VmPlan, act: Callable[[VmPlan, VmReport], VmReport]) -> None:
        """Do one thing with a VM, if nothing went wrong with it so far."""
        report = self._vm_reports[vm.vm]
        if report.problem is not None:
            return
        try:
            report = act(vm, report)
        except (RelunError, ApiFailure) as error:
            problem = as_ours(error)
            # What ``act`` had found until then is in the reports already.
            report = self._vm_reports[vm.vm]._replace(problem=problem)
            self._note_standing(problem)
        self._vm_reports[vm.vm] = report

    def _restore(self, vm: VmPlan, report: VmReport) -> VmReport:
        began = time.monotonic()
        plan = self._plan
        options = RestoreOptions(
            name=vm.name,
            metadata=vm.metadata,
            partial=vm.partial,
            connect_nics=plan.connect_nics,
            network=plan.network,
            take_over=self._take_over,
        )
        sr = self._sr_of(vm)
        restored = self._restored_vm(vm, sr, options)
        self._restored[vm.vm] = restored
        return report._replace(
            original_uuid=restored.original_uuid,
            name=restored.name,
            uuid=restored.uuid,
            sr_uuid=sr,
            disks=len(restored.disks),
            notes=restored.notes,
            restore_seconds=time.monotonic() - began,
        )

    def _restored_vm(self, vm: VmPlan, sr: str, options: RestoreOptions) -> Restored:
        """Restore a VM; what a test that was broken off left of it goes first."""
        ours = {clone.attached.sr_uuid: clone.ours for clone in self._clones}
        arguments = (self._connection, vm.vm, sr, options, self._listener, self._cancelled)
        restored = restore_vm(*arguments)
        if not restored.already:
            return restored
        if not ours[sr]:
            raise PoolRefused("pool-dr-there", vm=restored.name, uuid=restored.uuid)
        with events.step(self._listener, restored.name, "VM.destroy", "of an earlier test"):
            machine.remove(self._connection, restored.reference)
        return restore_vm(*arguments)

    def _sr_of(self, vm: VmPlan) -> str:
        """The attached clone that has the VM's disks."""
        record = (
            from_file(vm.metadata, vm.vm) if vm.metadata else from_pool(self._connection, vm.vm)
        )
        wanted = [disk.sr_uuid for disk in record.disks]
        for clone in self._clones:
            if clone.attached.old_sr_uuid in wanted:
                return clone.attached.sr_uuid
        names = ", ".join(clone.attached.name for clone in self._clones)
        raise PoolRefused("pool-disks-none", vm=record.name, sr=names)

    def _start(self, vm: VmPlan, report: VmReport) -> VmReport:
        restored = self._restored[vm.vm]
        steps = Steps(restored.name, self._listener, self._cancelled)
        began = time.monotonic()
        with steps.step("VM.start", restored.name):
            self._connection.call("VM.start", restored.reference, False, False)
        started = time.monotonic()
        report = report._replace(start_seconds=started - began)
        if vm.wait is None:
            return report._replace(up_after=self._since())
        try:
            with steps.step("wait", vm.wait.text):
                up = wait_for(
                    self._connection,
                    restored.reference,
                    restored.name,
                    vm.wait,
                    self._cancelled,
                )
        finally:
            report = report._replace(wait_seconds=time.monotonic() - started)
            self._vm_reports[vm.vm] = report
        return report._replace(up_after=self._since(), address=up.address, agent=up.agent)

    # --- the end

    def _take_away(self) -> None:
        """Remove what the test made; a signal does not keep it from that."""
        if self._plan.remove_vms:
            for restored in reversed(self._restored.values()):
                self._cleaning.remove(restored)
        for clone in reversed(self._clones):
            if clone.ours and self._plan.detach:
                self._cleaning.detach(clone.attached, self._take_over)
            elif clone.ours:
                self._cleaning.keep(clone.attached)

    def _kept(self) -> list[str]:
        """What stays because the plan says so, or because it was there before."""
        kept = []
        if not self._plan.remove_vms:
            kept += [f"VM {each.name} {each.uuid}" for each in self._restored.values()]
        for clone in self._clones:
            if not (self._plan.detach and clone.ours):
                kept.append(f"SR {clone.attached.name} {clone.attached.sr_uuid}")
        return kept

    # --- parts

    def _listener(self, event: Event) -> None:
        if event.state != BEGUN:
            self._steps.append(event)
        self._tell(event)

    def _note_standing(self, problem: RelunError) -> None:
        self._standing += getattr(problem, "standing", ())

    def _since(self) -> float:
        return time.monotonic() - self._began


def _not_begun(vm: VmPlan) -> VmReport:
    return VmReport(vm.vm, vm.wait.text if vm.wait else "")


def _options(clone: ClonePlan, take_over: bool) -> AttachOptions:
    return AttachOptions(
        resign=Options(sr_uuid=clone.sr_uuid, drop_snapshots=clone.drop_snapshots),
        name=clone.name,
        hosts=clone.hosts,
        known_only=not clone.unproven,
        take_over=take_over,
    )


def _attached_report(clone: ClonePlan, attached: Attached, before: bool) -> CloneReport:
    return CloneReport(
        clone.target,
        attached.scsi_id,
        attached.old_sr_uuid,
        attached.sr_uuid,
        attached.name,
        attached.hosts,
        len(attached.vdis),
        before=before,
    )
