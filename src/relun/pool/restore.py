"""A new VM like an original one, its disks from an attached clone. The original stays as it is."""

from typing import NamedTuple

from relun.core.finding import Finding
from relun.pool import events, machine
from relun.pool.clock import timestamp
from relun.pool.connection import ApiFailure, Connection, Record
from relun.pool.copies import Copies, Copy, copies
from relun.pool.events import Listener
from relun.pool.lookup import find_clone, is_ordinary
from relun.pool.marks import ON_SR, ORIGINAL_VM, RESTORED
from relun.pool.metadata_file import from_file
from relun.pool.nics import NicOptions, Nics, nics
from relun.pool.steps import Cancelled, Steps, never
from relun.pool.turn import hold
from relun.pool.vm_record import VmRecord, from_pool
from relun.pool.whole import all_or_nothing, as_ours


class RestoreOptions(NamedTuple):
    """``metadata``: a file of ``xe vm-export metadata=true`` in place of the VM in the pool.

    ``partial``: leave out disks that the clone does not have. ``network``: uuid or name of a
    network that all NICs are connected to. ``connect_nics``: to the networks of the original.
    ``take_over``: another restore of this VM that seems under way was broken off.
    """

    name: str = ""
    metadata: str = ""
    partial: bool = False
    connect_nics: bool = False
    network: str = ""
    keep_mac: bool = False
    start: bool = False
    take_over: bool = False


class Restored(NamedTuple):
    """The new VM. ``already``: it was there before. ``notes``: in what it differs."""

    reference: str
    uuid: str
    name: str
    original_uuid: str
    sr_uuid: str
    disks: tuple[Copy, ...]
    notes: tuple[Finding, ...]
    started: bool
    already: bool


def restore_vm(
    connection: Connection,
    vm: str,
    sr: str,
    options: RestoreOptions = RestoreOptions(),  # noqa: B008 - a value
    listener: Listener = events.nobody,
    cancelled: Cancelled = never,
) -> Restored:
    """Make a VM like ``vm`` (uuid or name) of the disks on ``sr``, an SR that relun attached.

    A VM that was restored like this before is returned as it is. Raise PoolRefused when nothing
    was changed, PoolUnfinished when something stands.
    """
    try:
        reference, clone, _original_sr = find_clone(connection, sr)
        original = (
            from_file(options.metadata, vm) if options.metadata else from_pool(connection, vm)
        )
        steps = Steps(original.name, listener, cancelled)
        return _Restore(connection, original, reference, clone, options, steps).run()
    except ApiFailure as failure:  # nothing was begun
        raise as_ours(failure) from failure


class _Restore:
    """One restore: what is known of it, and its steps in the order of ``run``."""

    def __init__(
        self,
        connection: Connection,
        original: VmRecord,
        sr: str,
        clone: Record,
        options: RestoreOptions,
        steps: Steps,
    ) -> None:
        self._connection = connection
        self._original = original
        self._sr = sr
        self._clone = clone
        self._options = options
        self._steps = steps
        date = timestamp().partition("T")[0]
        self._name = options.name or f"{original.name} (copy of {date})"

    def run(self) -> Restored:
        disks = copies(self._connection, self._original, self._sr, self._clone)
        found = self._complete()
        if found:
            return self._already(found, disks)
        disks.check(self._options.partial)
        asked = self._options
        wanted = NicOptions(asked.network, asked.connect_nics, asked.keep_mac)
        planned = nics(self._connection, self._original, wanted)
        (pool,) = self._connection.call("pool.get_all")
        key = f"relun-restore-{self._clone['uuid']}-{self._original.uuid}"
        what, take_over = f"a restore of {self._original.name}", self._options.take_over
        with (
            hold(self._connection, pool, key, what, self._steps, take_over),
            all_or_nothing(self._steps),
        ):
            found = self._complete()  # somebody else's, just now
            if found:
                return self._already(found, disks)
            self._remove()  # what a broken-off restore left: nobody else works here now
            reference = self._make(disks, planned)
            notes = (*disks.notes, *planned.notes, *machine.notes(self._original))
            return self._restored(reference, disks, notes, already=False)

    def _make(self, disks: Copies, planned: Nics) -> str:
        # Noted before the first call: its answer may be lost after it has made the VM.
        standing = f"VM {self._name} (like {self._original.uuid})"
        self._steps.undo_with("VM.destroy", self._name, standing, self._remove)
        marks = {ORIGINAL_VM: self._original.uuid, ON_SR: self._clone["uuid"]}
        record = machine.vm(self._original.vm, self._name, marks)
        vm = str(self._call("VM.create", self._name, record))
        for copy in disks.found:
            vbd = machine.vbd(copy.disk.vbd, vm, copy.reference, disks.read_only)
            self._call("VBD.create", copy.disk.name, vbd)
        for drive in self._original.drives:
            self._call("VBD.create", "CD drive", machine.empty_drive(drive, vm))
        for nic in planned.found:
            self._call("VIF.create", f"NIC {nic['device']}", {**nic, "VM": vm})
        self._call("VM.add_to_other_config", RESTORED, vm, RESTORED, timestamp())
        if self._options.start:
            self._start(vm)
        return vm

    def _start(self, vm: str) -> None:
        self._call("VM.start", self._name, vm, False, False)

    def _already(self, reference: str, disks: Copies) -> Restored:
        power_state = self._connection.call("VM.get_power_state", reference)
        if self._options.start and power_state == "Halted":
            self._start(reference)
        return self._restored(reference, disks, (), already=True)

    def _restored(
        self, reference: str, disks: Copies, notes: tuple[Finding, ...], already: bool
    ) -> Restored:
        vm = self._connection.record("VM", reference)
        return Restored(
            reference,
            vm["uuid"],
            vm["name_label"],
            self._original.uuid,
            self._clone["uuid"],
            disks.found,
            notes,
            vm["power_state"] == "Running",
            already,
        )

    def _complete(self) -> str:
        """The reference of the VM that was restored before, empty if there is none."""
        for reference, vm in self._made().items():
            if RESTORED in vm["other_config"]:
                return reference
        return ""

    def _made(self) -> dict[str, Record]:
        """The VMs made like the original on this SR. Their snapshots have the marks as well."""
        made = machine.made_on(self._connection, self._sr, self._clone["uuid"])
        return {
            reference: vm
            for reference, vm in made.items()
            if vm["other_config"].get(ORIGINAL_VM) == self._original.uuid and is_ordinary(vm)
        }

    def _remove(self) -> None:
        for reference, vm in self._made().items():
            machine.remove(self._connection, reference, vm)

    def _call(self, method: str, subject: str, *arguments: object) -> object:
        with self._steps.step(method, subject):
            found: object = self._connection.call(method, *arguments)
            return found
