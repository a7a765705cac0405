"""Which VDI of an attached clone is the copy of which disk of a VM."""

from typing import NamedTuple

from relun.core.finding import WARN, Finding
from relun.core.identity import uuid5
from relun.pool.connection import Connection, Record
from relun.pool.errors import PoolRefused
from relun.pool.marks import ORIGINAL_SR, READ_ONLY
from relun.pool.vm_record import Disk, VmRecord


class Copy(NamedTuple):
    """A disk and its copy, a VDI. ``size``: bytes, as the guest sees it."""

    disk: Disk
    reference: str
    uuid: str
    size: int
    read_only: bool


class Copies(NamedTuple):
    """``elsewhere``: disks on other SRs. ``missing``: on the SR, but not when it was copied.

    ``read_only``: the clone was attached so that VMs get its disks read-only.
    """

    vm: str
    sr: str
    found: tuple[Copy, ...]
    elsewhere: tuple[Disk, ...]
    missing: tuple[Disk, ...]
    read_only: bool

    def check(self, partial: bool) -> None:
        """Raise PoolRefused: no disk is here, one is not (unless ``partial``), or is read-only."""
        if not self.found:
            raise PoolRefused("pool-disks-none", vm=self.vm, sr=self.sr)
        if not partial:
            for code, disks in self._left_out():
                if disks:
                    raise PoolRefused(code, vm=self.vm, disks=_names(disks))
        locked = [copy.disk for copy in self.found if copy.read_only and _writes(copy.disk)]
        if locked and not self.read_only:
            raise PoolRefused("pool-disks-read-only", vm=self.vm, disks=_names(locked))

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What is left out, or not as it was."""
        kinds = list(self._left_out())
        if self.read_only:
            written = tuple(copy.disk for copy in self.found if _writes(copy.disk))
            kinds.append(("pool-disks-locked", written))
        return tuple(
            Finding(code, WARN, fields={"vm": self.vm, "disks": _names(disks)})
            for code, disks in kinds
            if disks
        )

    def _left_out(self) -> tuple[tuple[str, tuple[Disk, ...]], ...]:
        return ("pool-disks-elsewhere", self.elsewhere), ("pool-disks-missing", self.missing)


def copies(connection: Connection, vm: VmRecord, sr: str, clone: Record) -> Copies:
    """Find the copies of a VM's disks on ``sr``, an attached clone with the record ``clone``."""
    vdis = {
        vdi["uuid"]: (reference, vdi)
        for reference, vdi in connection.records("VDI").items()
        if vdi["SR"] == sr
    }
    original = clone["other_config"][ORIGINAL_SR]
    found, elsewhere, missing = [], [], []
    for disk in vm.disks:
        uuid = copied_uuid(clone["uuid"], disk.vdi_uuid)
        if disk.sr_uuid != original:
            elsewhere.append(disk)
        elif uuid not in vdis:
            missing.append(disk)
        else:
            reference, vdi = vdis[uuid]
            size = int(vdi["virtual_size"])
            found.append(Copy(disk, reference, uuid, size, vdi["read_only"]))
    name = clone["name_label"]
    read_only = READ_ONLY in clone["other_config"]
    return Copies(vm.name, name, tuple(found), tuple(elsewhere), tuple(missing), read_only)


def copied_uuid(new_sr: str, old_vdi: str) -> str:
    """Return the uuid that a VDI has on the resigned clone (as ``core.identity`` derives it)."""
    return uuid5(new_sr, old_vdi) if old_vdi else ""


def _names(disks: "tuple[Disk, ...] | list[Disk]") -> list[str]:
    return [f"{disk.name} (disk {disk.userdevice})" for disk in disks]


def _writes(disk: Disk) -> bool:
    return bool(disk.vbd["mode"] == "RW")
