"""Calls of SR, PBD and Secret, with xapi's rules (its xapi_sr, xapi_pbd, message_forwarding)."""

import re
import uuid
from typing import Any

from xapi.database import BUSY, NULL, Record
from xapi.failure import ApiError
from xapi.part import Part, passes, unlocked
from xapi.schema import from_client
from xapi.smapi import Driver, NotImplementedInBackendError

_OPERATIONS = ("scan", "forget", "plug", "unplug", "pbd_create", "pbd_destroy")
_PARALLEL = ("plug",)  # operations of an SR that may run beside each other


class Storage(Part):
    """SR, PBD, Secret."""

    @unlocked
    def sr_create(
        self,
        host: str,
        device_config: dict[str, str],
        physical_size: str,
        name_label: str,
        name_description: str,
        type: str,
        content_type: str,
        shared: bool,
        sm_config: dict[str, str],
    ) -> str:
        """SR.create: a shared SR is made by the master; a failure leaves no record."""
        runs_on = self.pool.master if shared else self.pool.live_host(host)
        driver = self.driver(runs_on, type)
        names = (name_label, name_description)
        with self.db.lock:
            config = self._with_secrets(device_config)
            sr = self._new_sr(str(uuid.uuid4()), *names, type, content_type, shared, sm_config)
            hosts = self.pool.hosts if shared else [runs_on]
            pbds = [self._new_pbd(sr, each.reference, config) for each in hosts]
        try:
            size = [str(int(physical_size))]
            self.pool.run_driver(runs_on, driver, "sr_create", sr, config, size)
        except ApiError as error:
            with self.db.lock:
                for pbd in pbds:
                    self.db.remove("PBD", pbd)
                self.db.remove("SR", sr)
            raise _not_implemented(error, "SR_OPERATION_NOT_SUPPORTED", sr) from error
        for pbd in pbds:
            self.pbd_plug(pbd)
        return sr

    @unlocked
    def sr_probe(
        self, host: str, device_config: dict[str, str], type: str, sm_config: dict[str, str]
    ) -> str:
        """SR.probe, on the host asked for."""
        runs_on = self.pool.live_host(host)
        driver = self.driver(runs_on, type)
        if "SR_PROBE" not in driver.info["capabilities"]:
            text = "Operation 'sr_probe' not supported by this SR type"
            raise ApiError("SR_BACKEND_FAILURE", text, "", "")
        with self.db.lock:
            config = self._with_secrets(device_config) | {"SRmaster": "true"}
        answer = self.pool.run_driver(
            runs_on, driver, "sr_probe", "", config, sm_config=dict(sm_config)
        )
        return str(answer)

    def sr_introduce(
        self,
        sr_uuid: str,
        name_label: str,
        name_description: str,
        type: str,
        content_type: str,
        shared: bool,
        sm_config: dict[str, str],
    ) -> str:
        """SR.introduce: the database only."""
        sr_uuid = sr_uuid or str(uuid.uuid4())
        if self.db.find("SR", uuid=sr_uuid):
            raise ApiError("SR_UUID_EXISTS", sr_uuid)
        names = (name_label, name_description)
        return self._new_sr(sr_uuid, *names, type, content_type, shared, sm_config)

    @unlocked
    def sr_scan(self, sr: str) -> str:
        """SR.scan, on the master for a shared SR."""
        with self.db.lock:
            self.db.get("SR", sr)
        with self.operation(sr, "scan"):
            self.run_on_sr(sr, "sr_scan")
        return ""

    @unlocked
    def sr_forget(self, sr: str) -> str:
        """SR.forget: the database only, and not while a PBD is plugged."""
        with self.db.lock:
            self.db.get("SR", sr)
        with self.operation(sr, "forget"), self.db.lock:
            for pbd in self.db.find("PBD", SR=sr):
                self._destroy_pbd(pbd)
            for vdi in self.db.find("VDI", SR=sr):
                self.db.remove("VDI", vdi)
            self.db.remove("SR", sr)
            self._collect()
        return ""

    @unlocked
    def sr_set_name_label(self, sr: str, value: str) -> str:
        """SR.set_name_label: needs a host that has it plugged."""
        return self._set_name(sr, "name_label", value)

    @unlocked
    def sr_set_name_description(self, sr: str, value: str) -> str:
        """SR.set_name_description."""
        return self._set_name(sr, "name_description", value)

    def sr_set_shared(self, sr: str, value: bool) -> str:
        """SR.set_shared: not off while it has several PBDs."""
        pbds = self.db.find("PBD", SR=sr)
        if not value and len(pbds) > 1:
            raise ApiError("SR_HAS_MULTIPLE_PBDS", *pbds)
        self.db.get("SR", sr)["shared"] = value
        return ""

    @unlocked
    def pbd_create(self, record: Record) -> str:
        """PBD.create."""
        fields = from_client("PBD", record)
        with self.db.lock:
            self.db.get("SR", fields["SR"])
            self.db.get("host", fields["host"])
        with self.operation(fields["SR"], "pbd_create"), self.db.lock:
            for known in self.db.find("PBD", SR=fields["SR"], host=fields["host"]):
                raise ApiError("PBD_EXISTS", fields["SR"], fields["host"], known)
            config = fields["device_config"]
            if "SRmaster" in config:
                text = "This key is for internal use only"
                raise ApiError("VALUE_NOT_SUPPORTED", "SRmaster", config["SRmaster"], text)
            return self._new_pbd(fields["SR"], fields["host"], self._with_secrets(config))

    @unlocked
    def pbd_plug(self, pbd: str) -> str:
        """PBD.plug: sr_attach."""
        sr = self._sr_of(pbd)
        with self.operation(sr, "plug"):
            with self.db.lock:
                record = self.db.get("PBD", pbd)
                if record["currently_attached"]:
                    return ""
                self._check_sharing(sr, record["host"])
            self._run_on_pbd(pbd, "sr_attach")
            with self.db.lock:
                record["currently_attached"] = True
        return ""

    @unlocked
    def pbd_unplug(self, pbd: str) -> str:
        """PBD.unplug: sr_detach, unless a running VM has a disk of the SR."""
        sr = self._sr_of(pbd)
        with self.operation(sr, "unplug"):
            with self.db.lock:
                record = self.db.get("PBD", pbd)
                if not record["currently_attached"]:
                    return ""
                self._check_unplug(record)
            self._run_on_pbd(pbd, "sr_detach")
            with self.db.lock:
                record["currently_attached"] = False
        return ""

    @unlocked
    def pbd_destroy(self, pbd: str) -> str:
        """PBD.destroy: its Secrets go with it."""
        sr = self._sr_of(pbd)
        with self.operation(sr, "pbd_destroy"), self.db.lock:
            self._destroy_pbd(pbd)
        return ""

    def pbd_set_device_config(self, pbd: str, value: dict[str, str]) -> str:
        """PBD.set_device_config: SM alone may."""
        if not self.pool.internal:
            raise ApiError("PERMISSION_DENIED", "")
        self.db.get("PBD", pbd)["device_config"] = dict(value)
        return ""

    # --- parts

    def operation(self, sr: str, name: str) -> Any:
        """Mark an SR as being worked on."""
        return self.db.operation("SR", sr, name, lambda: self._check(sr, name))

    def allowed(self, sr: str) -> list[str]:
        """Return the operations that nothing speaks against at the moment."""
        return [name for name in _OPERATIONS if passes(self._check, sr, name)]

    def driver(self, host: Any, kind: str) -> Driver:
        """Return a host's driver of a type. Raise SR_UNKNOWN_DRIVER."""
        found = host.drivers.get(kind.lower())
        if found is None:
            raise ApiError("SR_UNKNOWN_DRIVER", kind)
        return found  # type: ignore[no-any-return]

    def chosen_pbd(self, sr: str) -> str:
        """Return the plugged PBD whose host does the work: of a shared SR, the master's.

        Raise SR_HAS_NO_PBDS.
        """
        plugged = self.db.find("PBD", SR=sr, currently_attached=True)
        if self.db.get("SR", sr)["shared"]:
            master = self.pool.master.reference
            plugged = [pbd for pbd in plugged if self.db.get("PBD", pbd)["host"] == master]
        if not plugged:
            raise ApiError("SR_HAS_NO_PBDS", sr)
        return plugged[0]

    def run_on_sr(self, sr: str, command: str, vdi: str = "") -> None:
        """Run a driver's command on the host that does an SR's work, the database not locked."""
        with self.db.lock:
            pbd = self.chosen_pbd(sr)
        self._run_on_pbd(pbd, command, vdi)

    def _check(self, sr: str, name: str) -> None:
        if name == "forget" and self.db.find("PBD", SR=sr, currently_attached=True):
            raise ApiError("SR_HAS_PBD", sr)
        under_way = self.db.get("SR", sr)["current_operations"]
        for task, operation in under_way.items():
            if name not in _PARALLEL or operation not in _PARALLEL:
                raise ApiError(BUSY, "SR", sr, operation, task)

    def _check_sharing(self, sr: str, host: str) -> None:
        if not self.db.get("SR", sr)["shared"]:
            for pbd in self.db.find("PBD", SR=sr, currently_attached=True):
                other = self.db.get("PBD", pbd)["host"]
                if other != host:
                    raise ApiError("SR_NOT_SHARABLE", sr, other)

    def _check_unplug(self, pbd: Record) -> None:
        pool = self.pool.record
        if pool["ha_enabled"] and not pool["ha_allow_overcommit"]:
            for vbd in self.db.table("VBD").values():
                vm = self.db.get("VM", vbd["VM"])
                protected = vm["ha_always_run"] and vm["ha_restart_priority"] == "restart"
                if protected and self.db.table("VDI").get(vbd["VDI"], {}).get("SR") == pbd["SR"]:
                    raise ApiError("HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", pbd["SR"])
        used = self._in_use(pbd)
        if used:
            raise ApiError("VDI_IN_USE", *used)

    def _in_use(self, pbd: Record) -> list[str]:
        used = []
        for vbd in self.db.table("VBD").values():
            if vbd["currently_attached"] and not vbd["empty"]:
                vm = self.db.get("VM", vbd["VM"])
                vdi = self.db.table("VDI").get(vbd["VDI"], {})
                if vm["resident_on"] == pbd["host"] and vdi.get("SR") == pbd["SR"]:
                    used.append(vbd["VDI"])
        return used

    def _sr_of(self, pbd: str) -> str:
        with self.db.lock:
            return str(self.db.get("PBD", pbd)["SR"])

    def _run_on_pbd(self, pbd: str, command: str, vdi: str = "") -> None:
        with self.db.lock:
            record = self.db.get("PBD", pbd)
            kind = self.db.get("SR", record["SR"])["type"]
            config = dict(record["device_config"])
            host = self.pool.live_host(record["host"])
        driver = self.driver(host, kind)
        self.pool.run_driver(host, driver, command, record["SR"], config, vdi=vdi)

    def _set_name(self, sr: str, field: str, value: str) -> str:
        with self.db.lock:
            record = self.db.get("SR", sr)
            self.chosen_pbd(sr)
            record[field] = value
        return ""

    def _new_sr(
        self,
        sr_uuid: str,
        name_label: str,
        name_description: str,
        kind: str,
        content_type: str,
        shared: bool,
        sm_config: dict[str, str],
    ) -> str:
        return self.db.add(
            "SR",
            uuid=sr_uuid,
            name_label=name_label,
            name_description=name_description,
            type=kind.lower(),
            content_type=content_type,
            shared=shared,
            sm_config=dict(sm_config),
        )

    def _new_pbd(self, sr: str, host: str, device_config: dict[str, str]) -> str:
        return self.db.add("PBD", SR=sr, host=host, device_config=dict(device_config))

    def _destroy_pbd(self, pbd: str) -> None:
        record = self.db.get("PBD", pbd)
        if record["currently_attached"]:
            raise ApiError("OPERATION_NOT_ALLOWED", "PBD is currently attached")
        self.db.remove("PBD", pbd)
        for key, value in record["device_config"].items():
            if key.endswith("_secret"):
                for secret in self.db.find("Secret", uuid=value):
                    self.db.remove("Secret", secret)

    def _with_secrets(self, device_config: dict[str, str]) -> dict[str, str]:
        """Move each password into a Secret. Those of a failed create are never removed."""
        config = {}
        for key, value in device_config.items():
            name = re.sub("password$", "password_secret", key)
            if name != key:
                reference = self.db.add("Secret", value=value, other_config={})
                value = self.db.get("Secret", reference)["uuid"]
            config[name] = value
        return config

    def _collect(self) -> None:
        """Remove VBDs whose disk is gone, as xapi's collector of garbage does."""
        for reference, vbd in list(self.db.table("VBD").items()):
            if not vbd["empty"] and vbd["VDI"] not in self.db.table("VDI"):
                if vbd["type"] == "CD":
                    vbd.update(VDI=NULL, empty=True)
                else:
                    self.db.remove("VBD", reference)


def _not_implemented(error: ApiError, code: str, detail: str) -> ApiError:
    return ApiError(code, detail) if isinstance(error, NotImplementedInBackendError) else error
