"""Records of a restored VM and of its VBDs, and how it is removed.

What would act on its own is left out: HA, automatic start, appliance, snapshot schedule, start
order, tags (backup jobs choose VMs by them), the host it prefers, PCI devices passed through.
"""

import secrets
from collections.abc import Mapping
from typing import Any

from relun.core.finding import NOTE, Finding
from relun.pool.connection import NULL, ApiFailure, Connection, Record
from relun.pool.ensure import ensure
from relun.pool.marks import ON_SR
from relun.pool.vm_record import VmRecord

# Fields of VM that are taken over; one that this version of xapi does not have is left to it.
_SAME = (
    "name_description",
    "user_version",
    "memory_static_max",
    "memory_dynamic_max",
    "memory_dynamic_min",
    "memory_static_min",
    "VCPUs_params",
    "VCPUs_max",
    "VCPUs_at_startup",
    "actions_after_softreboot",
    "actions_after_shutdown",
    "actions_after_reboot",
    "actions_after_crash",
    "PV_bootloader",
    "PV_kernel",
    "PV_ramdisk",
    "PV_args",
    "PV_bootloader_args",
    "PV_legacy_args",
    "HVM_boot_policy",
    "HVM_boot_params",
    "HVM_shadow_multiplier",
    "PCI_bus",
    "recommendations",
    "hardware_platform_version",
    "has_vendor_device",
    "reference_label",
    "domain_type",
    "NVRAM",  # of UEFI: the boot entries
)
# Every field without a default of xapi's own has to be given.
_ALONE: dict[str, Any] = {
    "is_a_template": False,
    "affinity": NULL,
    "memory_target": "0",
    "ha_always_run": False,
    "ha_restart_priority": "",
    "tags": [],
    "blocked_operations": {},
    "protection_policy": NULL,
    "is_snapshot_from_vmpp": False,
    "snapshot_schedule": NULL,
    "is_vmss_snapshot": False,
    "appliance": NULL,
    "start_delay": "0",
    "shutdown_delay": "0",
    "order": "0",
    "suspend_SR": NULL,
    "version": "0",
}
# mac_seed: MAC addresses follow from it, so each VM has its own; xapi makes one.
_OWN_CONFIG = ("auto_poweron", "pci", "mac_seed", "import_task")
_VBD = ("userdevice", "bootable", "mode", "type", "unpluggable", "qos_algorithm_params")


def vm(original: Record, name: str, marks: Mapping[str, str]) -> Record:
    """Return the record for VM.create."""
    config = {
        key: value
        for key, value in original["other_config"].items()
        # The marks of a copy that is copied again, and what XO notes for its backups.
        if key not in _OWN_CONFIG and not key.startswith(("relun-", "xo:backup:"))
    }
    return {
        **{field: original[field] for field in _SAME if field in original},
        **_ALONE,
        "name_label": name,
        # A TPM's content cannot be copied, and the guest would not start without one.
        "platform": {key: value for key, value in original["platform"].items() if key != "vtpm"},
        "other_config": {**config, **marks},
        "xenstore_data": {
            key: value
            for key, value in original["xenstore_data"].items()
            if key.startswith("vm-data/")
        },
        "generation_id": _fresh(original.get("generation_id", "")),
    }


def vbd(original: Record, vm: str, vdi: str, read_only: bool = False) -> Record:
    """Return the record for VBD.create: connected as the original, to another VDI."""
    locked = {"mode": "RO"} if read_only else {}
    return {
        **{field: original[field] for field in _VBD if field in original},
        "qos_algorithm_type": original.get("qos_algorithm_type", ""),
        "other_config": dict(original["other_config"]),
        "empty": False,
        "VM": vm,
        "VDI": vdi,
        **locked,
    }


def empty_drive(original: Record, vm: str) -> Record:
    """Return the record for VBD.create: a CD drive with nothing in it."""
    return {**vbd(original, vm, NULL), "empty": True}


def notes(original: VmRecord) -> tuple[Finding, ...]:
    """What the restored VM lacks."""
    if not original.uncopied:
        return ()
    fields = {"vm": original.name, "parts": list(original.uncopied)}
    return (Finding("pool-parts-left-out", NOTE, fields=fields),)


def made_on(
    connection: Connection, sr: str, sr_uuid: str, alone: bool = False
) -> dict[str, Record]:
    """Return the VMs that restore_vm made on an attached clone.

    ``alone``: those that have all their disks there. One that was moved off the clone, or copied
    to another SR, is somebody's by now, though xapi takes the marks along (VM.copy, VM.clone).
    """
    vdis = connection.records("VDI")
    places: dict[str, set[str]] = {}  # VM -> SRs of its disks
    for vbd in connection.records("VBD").values():
        if vbd["type"] == "Disk" and vbd["VDI"] in vdis:
            places.setdefault(vbd["VM"], set()).add(vdis[vbd["VDI"]]["SR"])
    made = {}
    for reference, vm in connection.records("VM").items():
        on = places.get(reference, {sr})  # it is not whole yet
        if vm["other_config"].get(ON_SR) == sr_uuid and (on == {sr} if alone else sr in on):
            made[reference] = vm
    return made


def remove(connection: Connection, reference: str, vm: Record | None = None) -> None:
    """Shut a VM down, at once, and remove it with its VBDs and VIFs; its VDIs stay.

    ``vm``: its record, as far as it is known; nothing runs in a snapshot. Raise ApiFailure when it
    is still there.
    """
    known = vm or {}

    def state() -> str:
        try:
            return str(connection.call("VM.get_power_state", reference))
        except ApiFailure as failure:
            if failure.code == "HANDLE_INVALID":
                return ""  # it is gone
            raise

    if known.get("power_state") != "Halted" and not known.get("is_a_snapshot"):
        halted = ("", "Halted")
        ensure(lambda: state() in halted, lambda: connection.call("VM.hard_shutdown", reference))
    ensure(lambda: not state(), lambda: connection.call("VM.destroy", reference))


def _fresh(generation_id: str) -> str:
    """A new generation id tells the guest that it is a copy (domain controllers need that)."""
    if not generation_id:
        return ""
    return f"{secrets.randbits(63)}:{secrets.randbits(63)}"
