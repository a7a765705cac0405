"""Calls of VM, with xapi's rules (its xapi_vm, xapi_vm_lifecycle, xapi_vm_helpers)."""

import itertools
import uuid
from typing import Any

from xapi import guests
from xapi.database import BUSY, NULL, Record
from xapi.failure import ApiError
from xapi.guests import now
from xapi.part import Part, passes, unlocked
from xapi.schema import from_client

_STATES = {
    "start": ("Halted",),
    "start_on": ("Halted",),
    "make_into_template": ("Halted",),
    "changing_memory_limits": ("Halted",),
    "changing_VCPUs": ("Halted",),
    "destroy": ("Halted", "Suspended"),
    "clean_shutdown": ("Running",),
    "shutdown": ("Paused", "Suspended", "Running"),
    "hard_shutdown": ("Paused", "Suspended", "Running"),
    "unpause": ("Paused",),
}
_OF_TEMPLATES = ("changing_memory_limits", "changing_VCPUs", "destroy")
_OF_SNAPSHOTS = ("destroy", "hard_shutdown")
_PRIORITIES = ("", "restart", "best-effort")
_DOMAINS = itertools.count(1)


class Machines(Part):
    """VM."""

    def vm_create(self, record: Record) -> str:
        """VM.create: halted, with a seed for its MAC addresses."""
        fields = from_client("VM", record)
        fields.update(power_state="Halted", suspend_VDI=NULL)
        fields["other_config"].setdefault("mac_seed", str(uuid.uuid4()))
        if fields["domain_type"] == "unspecified":
            fields["domain_type"] = "hvm" if fields["HVM_boot_policy"] else "pv"
        return self.db.add("VM", metrics=self.db.add("VM_metrics"), **fields)

    @unlocked
    def vm_destroy(self, vm: str) -> str:
        """VM.destroy: its VBDs and VIFs go with it, the VDIs stay."""
        with self.operation(vm, "destroy"), self.db.lock:
            record = self.db.get("VM", vm)
            if record["other_config"].get("default_template") == "true":
                raise ApiError("VM_CANNOT_DELETE_DEFAULT_TEMPLATE", vm)
            for name in ("VBD", "VIF"):
                for device in self.db.find(name, VM=vm):
                    self.db.remove(name, device)
            self.db.remove("VM_metrics", record["metrics"])
            self.db.remove("VM_guest_metrics", record["guest_metrics"])
            self.db.remove("VM", vm)
        return ""

    @unlocked
    def vm_start(self, vm: str, start_paused: bool, force: bool) -> str:
        """VM.start, on a host that can see all it needs."""
        return self._start(vm, "start", start_paused)

    @unlocked
    def vm_start_on(self, vm: str, host: str, start_paused: bool, force: bool) -> str:
        """VM.start_on a host."""
        self.pool.host(host)
        return self._start(vm, "start_on", start_paused, host)

    @unlocked
    def vm_unpause(self, vm: str) -> str:
        """VM.unpause."""
        with self.operation(vm, "unpause"), self.db.lock:
            self.db.get("VM", vm)["power_state"] = "Running"
            self.pool.guests.started(vm)
        return ""

    @unlocked
    def vm_clean_shutdown(self, vm: str) -> str:
        """VM.clean_shutdown: the guest is asked."""
        with self.operation(vm, "clean_shutdown"), self.db.lock:
            record = self.db.get("VM", vm)
            record["ha_always_run"] = False
            if not self.pool.guests.of(record).obeys:
                raise ApiError("VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT", vm)
            self._halted(vm)
        return ""

    @unlocked
    def vm_hard_shutdown(self, vm: str) -> str:
        """VM.hard_shutdown: the guest is not asked."""
        with self.operation(vm, "hard_shutdown"), self.db.lock:
            self.db.get("VM", vm)["ha_always_run"] = False
            self._halted(vm)
        return ""

    @unlocked
    def vm_shutdown(self, vm: str) -> str:
        """VM.shutdown: clean if that works, else hard."""
        with self.operation(vm, "shutdown"), self.db.lock:
            self._halted(vm)
        return ""

    @unlocked
    def vm_set_is_a_template(self, vm: str, value: bool) -> str:
        """VM.set_is_a_template."""
        if not value:
            with self.db.lock:
                self.db.get("VM", vm)["is_a_template"] = False
            return ""
        with self.operation(vm, "make_into_template"), self.db.lock:
            record = self.db.get("VM", vm)
            record.update(is_a_template=True, ha_always_run=False)
        return ""

    @unlocked
    def vm_set_memory_limits(
        self, vm: str, static_min: str, static_max: str, dynamic_min: str, dynamic_max: str
    ) -> str:
        """VM.set_memory_limits."""
        with self.operation(vm, "changing_memory_limits"), self.db.lock:
            if not int(static_min) <= int(dynamic_min) <= int(dynamic_max) <= int(static_max):
                text = "static_min ≤ dynamic_min ≤ dynamic_max ≤ static_max"
                raise ApiError("MEMORY_CONSTRAINT_VIOLATION_ORDER", text)
            self.db.get("VM", vm).update(
                memory_static_min=str(int(static_min)),
                memory_static_max=str(int(static_max)),
                memory_dynamic_min=str(int(dynamic_min)),
                memory_dynamic_max=str(int(dynamic_max)),
            )
        return ""

    @unlocked
    def vm_set_vcpus_max(self, vm: str, value: str) -> str:
        """VM.set_VCPUs_max."""
        return self._set_vcpus(vm, "VCPUs_max", value)

    @unlocked
    def vm_set_vcpus_at_startup(self, vm: str, value: str) -> str:
        """VM.set_VCPUs_at_startup."""
        return self._set_vcpus(vm, "VCPUs_at_startup", value)

    def vm_set_ha_restart_priority(self, vm: str, value: str) -> str:
        """VM.set_ha_restart_priority."""
        if value not in _PRIORITIES:
            raise ApiError("INVALID_VALUE", "ha_restart_priority", value)
        record = self.db.get("VM", vm)
        if record["ha_restart_priority"] != value and record["power_state"] == "Running":
            record["ha_always_run"] = value == "restart"
        record["ha_restart_priority"] = value
        return ""

    def vm_set_ha_always_run(self, vm: str, value: bool) -> str:
        """VM.set_ha_always_run: deprecated, sets the priority."""
        return self.vm_set_ha_restart_priority(vm, "restart" if value else "")

    def vm_assert_can_boot_here(self, vm: str, host: str) -> str:
        """VM.assert_can_boot_here."""
        self._validate(self.db.get("VM", vm))
        self._assert_can_boot_here(vm, host)
        return ""

    # --- parts

    def operation(self, vm: str, name: str) -> Any:
        """Mark a VM as being worked on."""
        return self.db.operation("VM", vm, name, lambda: self.check(vm, name))

    def allowed(self, vm: str) -> list[str]:
        """Return the operations that nothing speaks against at the moment."""
        return [name for name in _STATES if passes(self.check, vm, name)]

    def check(self, vm: str, name: str) -> None:
        """Raise what speaks against an operation."""
        record = self.db.get("VM", vm)
        state = record["power_state"]
        if name in record["blocked_operations"]:
            raise ApiError("OPERATION_BLOCKED", vm, record["blocked_operations"][name])
        if state not in _STATES[name]:
            expected = ", ".join(each.lower() for each in _STATES[name])
            raise ApiError("VM_BAD_POWER_STATE", vm, expected, state.lower())
        for task, other in record["current_operations"].items():
            if name != "hard_shutdown" or other == "hard_shutdown":
                raise ApiError(BUSY, "VM", vm, other, task)
        if record["is_a_template"] and not record["is_a_snapshot"] and name not in _OF_TEMPLATES:
            raise ApiError("VM_IS_TEMPLATE", vm, name)
        if record["is_a_snapshot"] and name not in _OF_SNAPSHOTS:
            raise ApiError("VM_IS_SNAPSHOT", vm, name)
        if record["is_control_domain"]:
            text = "This operation is not allowed on a control domain"
            raise ApiError("OPERATION_NOT_ALLOWED", text)
        hvm = record["domain_type"] == "hvm"
        if name == "clean_shutdown" and hvm and not guests.drivers_detected(self.db, record):
            raise ApiError("VM_LACKS_FEATURE", vm)

    def _start(self, vm: str, name: str, paused: bool, host: str = "") -> str:
        with self.operation(vm, name), self.db.lock:
            record = self.db.get("VM", vm)
            vbds = self.db.find("VBD", VM=vm)
            for vbd in vbds:
                self.pool.devices.check_attachable(vbd)
            host = self._host_for(vm, host)
            self._validate(record)
            guests.forget(self.db, record)
            if record["ha_restart_priority"] == "restart":
                record["ha_always_run"] = True
            domain = str(next(_DOMAINS))
            record.update(
                power_state="Paused" if paused else "Running", resident_on=host, domid=domain
            )
            self.db.get("VM_metrics", record["metrics"])["start_time"] = now()
            for vbd in vbds:
                self.pool.devices.attach(vbd)
            for vif in self.db.find("VIF", VM=vm):
                self.db.get("VIF", vif)["currently_attached"] = True
            if not paused:
                self.pool.guests.started(vm)
        return ""

    def _halted(self, vm: str) -> None:
        record = self.db.get("VM", vm)
        record.update(power_state="Halted", resident_on=NULL, domid="-1")
        for vbd in self.db.find("VBD", VM=vm):
            self.db.get("VBD", vbd)["currently_attached"] = False
        for vif in self.db.find("VIF", VM=vm):
            self.db.get("VIF", vif)["currently_attached"] = False

    def _host_for(self, vm: str, wanted: str) -> str:
        """Return a host that can run a VM; why the wanted one cannot is told, else only none."""
        for host in [wanted] if wanted else [each.reference for each in self.pool.hosts]:
            try:
                self._assert_can_boot_here(vm, host)
            except ApiError:
                if wanted:
                    raise
                continue
            return host
        raise ApiError("NO_HOSTS_AVAILABLE")

    def _assert_can_boot_here(self, vm: str, host: str) -> None:
        record = self.db.get("host", host)
        if not self.db.get("host_metrics", record["metrics"])["live"]:
            raise ApiError("HOST_NOT_LIVE")
        if not record["enabled"]:
            raise ApiError("HOST_DISABLED", host)
        for vbd in self.db.find("VBD", VM=vm, empty=False):
            sr = self.db.get("VDI", self.db.get("VBD", vbd)["VDI"])["SR"]
            if not self.db.find("PBD", SR=sr, host=host, currently_attached=True):
                raise ApiError("VM_REQUIRES_SR", vm, sr)
        for vif in self.db.find("VIF", VM=vm):
            network = self.db.get("VIF", vif)["network"]
            pinned = self.pool.devices.pinned(network)
            if pinned and host not in pinned:
                raise ApiError("VM_REQUIRES_NETWORK", vm, network)

    @staticmethod
    def _validate(record: Record) -> None:
        most, first = int(record["VCPUs_max"]), int(record["VCPUs_at_startup"])
        if most < 1:
            raise ApiError("INVALID_VALUE", "VCPUs_max", str(most))
        if first < 1:
            raise ApiError("INVALID_VALUE", "VCPUs-at-startup", str(first))
        if first > most:
            text = "value greater than VCPUs-max"
            raise ApiError("VALUE_NOT_SUPPORTED", "VCPUs-at-startup", str(first), text)
        sizes = [int(record[f"memory_{name}"]) for name in ("dynamic_min", "dynamic_max")]
        if not 0 < sizes[0] <= sizes[1] <= int(record["memory_static_max"]):
            raise ApiError("MEMORY_CONSTRAINT_VIOLATION")

    def _set_vcpus(self, vm: str, field: str, value: str) -> str:
        with self.operation(vm, "changing_VCPUs"), self.db.lock:
            record = self.db.get("VM", vm)
            self._validate(record | {field: str(int(value))})
            record[field] = str(int(value))
        return ""
