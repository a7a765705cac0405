"""A pool of xapi: its calls for SR, PBD, VDI, SM, Secret, host, with xapi's rules."""

import uuid
import xmlrpc.client
from collections.abc import Sequence
from typing import Any

from xapi.database import NULL, Database, Record
from xapi.failure import ApiError
from xapi.smapi import Driver, NotImplementedInBackendError, Runner
from xapi.worlds import Dom0


class Host:
    """One host of the pool."""

    def __init__(self, reference: str, runner: Runner) -> None:
        self.reference = reference
        self.runner = runner
        self.drivers: dict[str, Driver] = {}


class Pool:
    """The first host is the master. Methods named class_verb are API calls."""

    def __init__(self) -> None:
        self.db = Database()
        self.hosts: list[Host] = []
        self.db.add("pool", name_label="", master=NULL, other_config={})

    def add_host(self, dom0: Dom0, python: str) -> Host:
        """Add a host to the pool, its toolstack not started yet."""
        number = len(self.hosts) + 1
        reference = self.db.add(
            "host",
            name_label=f"host{number}",
            address=f"192.0.2.{number}",
            other_config={"iscsi_iqn": f"iqn.2004-10.com.example:host{number}"},
            enabled=True,
        )
        host = Host(reference, Runner(dom0, python))
        self.hosts.append(host)
        if number == 1:
            next(iter(self.db.table("pool").values()))["master"] = reference
        return host

    @property
    def master(self) -> Host:
        """The pool's master."""
        return self.hosts[0]

    def restart_toolstack(self, host: Host) -> None:
        """Discover drivers and bring the SM records in line, as every host does since xapi 24.37.

        A type that this host lacks is taken from the pool's database unless an SR of it exists.
        """
        host.drivers = host.runner.discover()
        self.register(host)

    def register(self, host: Host) -> None:
        """Bring the SM records in line with a host's drivers."""
        for kind, driver in host.drivers.items():
            fields: Record = {
                "name_label": driver.info["name"],
                "name_description": driver.info["description"],
                "type": kind,
                "vendor": driver.info["vendor"],
                "copyright": driver.info["copyright"],
                "version": driver.info["driver_version"],
                "required_api_version": driver.info["required_api_version"],
                "configuration": {
                    option["key"]: option["description"] for option in driver.info["configuration"]
                },
                "capabilities": driver.info["capabilities"],
                "features": dict.fromkeys(driver.info["capabilities"], "1"),
                "driver_filename": str(driver.path),
                "other_config": {},
            }
            known = self.db.find("SM", type=kind)
            if known:
                self.db.get("SM", known[0]).update(fields)
            else:
                self.db.add("SM", **fields)
        used = {record["type"] for record in self.db.table("SR").values()}
        for reference, record in list(self.db.table("SM").items()):
            if record["type"] not in host.drivers and record["type"] not in used:
                del self.db.table("SM")[reference]

    # --- calls

    def call(self, method: str, arguments: Sequence[Any]) -> Any:
        """Answer an API call; ``arguments`` without the session."""
        name, _, verb = method.partition(".")
        name = "Secret" if name == "secret" else name
        special = getattr(self, f"{name}_{verb}".lower(), None)
        if special is not None:
            return special(*arguments)
        with self.db.lock:
            return self.db.call(name, verb, list(arguments))

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
        runs_on = self.master if shared else self._host(host)
        driver = self._driver(runs_on, type)
        config = self._with_secrets(device_config)
        reference = self._new_sr(
            str(uuid.uuid4()), name_label, name_description, type, content_type, shared, sm_config
        )
        hosts = self.hosts if shared else [runs_on]
        pbds = [self._new_pbd(reference, each.reference, config) for each in hosts]
        try:
            self._sm(runs_on, driver, "sr_create", reference, config, [str(int(physical_size))])
        except ApiError as error:
            for pbd in pbds:
                del self.db.table("PBD")[pbd]
            del self.db.table("SR")[reference]
            raise _not_implemented(error, "SR_OPERATION_NOT_SUPPORTED", reference) from error
        for pbd in pbds:
            self.pbd_plug(pbd)
        return reference

    def sr_probe(
        self,
        host: str,
        device_config: dict[str, str],
        type: str,
        sm_config: dict[str, str],
    ) -> str:
        """SR.probe, on the host asked for."""
        runs_on = self._host(host)
        driver = self._driver(runs_on, type)
        if "SR_PROBE" not in driver.info["capabilities"]:
            text = "Operation 'sr_probe' not supported by this SR type"
            raise ApiError("SR_BACKEND_FAILURE", text, "", "")
        config = self._with_secrets(device_config)
        answer: str = self._sm(
            runs_on, driver, "sr_probe", "", {**config, "SRmaster": "true"}, sm_config=sm_config
        )
        return answer

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
        if self.db.find("SR", uuid=sr_uuid):
            raise ApiError("SR_UUID_EXISTS", sr_uuid)
        return self._new_sr(
            sr_uuid, name_label, name_description, type, content_type, shared, sm_config
        )

    def sr_scan(self, reference: str) -> str:
        """SR.scan, on the master."""
        kind = self.db.get("SR", reference)["type"]
        pbd = self.db.find("PBD", SR=reference, host=self.master.reference)[0]
        config = self.db.get("PBD", pbd)["device_config"]
        self._sm(self.master, self._driver(self.master, kind), "sr_scan", reference, config)
        return ""

    def sr_forget(self, reference: str) -> str:
        """SR.forget: the database only, and not while a PBD is plugged."""
        for pbd in self.db.find("PBD", SR=reference):
            if self.db.get("PBD", pbd)["currently_attached"]:
                raise ApiError("SR_HAS_PBD", reference)
            del self.db.table("PBD")[pbd]
        for vdi in self.db.find("VDI", SR=reference):
            del self.db.table("VDI")[vdi]
        del self.db.table("SR")[reference]
        return ""

    def sr_get_vdis(self, reference: str) -> list[str]:
        """SR.get_VDIs."""
        return self.db.find("VDI", SR=reference)

    def sr_get_pbds(self, reference: str) -> list[str]:
        """SR.get_PBDs."""
        return self.db.find("PBD", SR=reference)

    def pbd_create(self, record: Record) -> str:
        """PBD.create."""
        if self.db.find("PBD", SR=record["SR"], host=record["host"]):
            raise ApiError("PBD_EXISTS", record["SR"], record["host"])
        if "SRmaster" in record["device_config"]:
            raise ApiError("VALUE_NOT_SUPPORTED", "SRmaster", "", "")
        config = self._with_secrets(record["device_config"])
        return self._new_pbd(record["SR"], record["host"], config)

    def pbd_plug(self, reference: str) -> str:
        """PBD.plug: sr_attach."""
        self._pbd(reference, "sr_attach")
        self.db.get("PBD", reference)["currently_attached"] = True
        return ""

    def pbd_unplug(self, reference: str) -> str:
        """PBD.unplug: sr_detach."""
        if self.db.get("PBD", reference)["currently_attached"]:
            self._pbd(reference, "sr_detach")
            self.db.get("PBD", reference)["currently_attached"] = False
        return ""

    def pbd_destroy(self, reference: str) -> str:
        """PBD.destroy."""
        if self.db.get("PBD", reference)["currently_attached"]:
            raise ApiError("OPERATION_NOT_ALLOWED", "PBD is currently attached")
        del self.db.table("PBD")[reference]
        return ""

    def vdi_db_introduce(
        self,
        vdi_uuid: str,
        name_label: str,
        name_description: str,
        sr: str,
        type: str,
        sharable: bool,
        read_only: bool,
        other_config: dict[str, str],
        location: str,
        _xenstore_data: dict[str, str],
        sm_config: dict[str, str],
    ) -> str:
        """VDI.db_introduce, SM's own call; a uuid stands in the pool once."""
        if self.db.find("VDI", uuid=vdi_uuid):
            raise ApiError("UUID_ALREADY_EXISTS", vdi_uuid)
        return self.db.add(
            "VDI",
            uuid=vdi_uuid,
            name_label=name_label,
            name_description=name_description,
            SR=sr,
            type=type,
            sharable=sharable,
            read_only=read_only,
            other_config=other_config,
            location=location,
            sm_config=sm_config,
            managed=True,
            virtual_size="0",
            physical_utilisation="0",
            is_a_snapshot=False,
            snapshot_of=NULL,
        )

    def vdi_forget(self, reference: str) -> str:
        """VDI.forget: the database only."""
        self.db.get("VDI", reference)
        del self.db.table("VDI")[reference]
        return ""

    def host_call_plugin(
        self, host: str, plugin: str, function: str, arguments: dict[str, str]
    ) -> str:
        """host.call_plugin."""
        runner = self._host(host).runner
        path = runner.dom0.plugins / plugin
        if not path.exists():
            raise ApiError("XENAPI_MISSING_PLUGIN", plugin)
        argument = xmlrpc.client.dumps((self._session(), arguments), function)
        ran = runner.run(path, argument, str(runner.dom0.sm_dir))
        try:
            (answer,), _method = xmlrpc.client.loads(ran.stdout)
        except Exception as error:
            text = [ran.stdout, ran.stderr]
            raise ApiError("XENAPI_PLUGIN_FAILURE", "non-zero exit", *text) from error
        found: Any = answer
        if found["Status"] != "Success":
            raise ApiError(*found["ErrorDescription"])
        value: str = found["Value"]
        return value

    # --- parts

    def _host(self, reference: str) -> Host:
        for host in self.hosts:
            if host.reference == reference:
                return host
        raise ApiError("HANDLE_INVALID", "host", reference)

    @staticmethod
    def _driver(host: Host, kind: str) -> Driver:
        if kind.lower() not in host.drivers:
            raise ApiError("SR_UNKNOWN_DRIVER", kind)
        return host.drivers[kind.lower()]

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
            other_config={},
        )

    def _new_pbd(self, sr: str, host: str, device_config: dict[str, str]) -> str:
        return self.db.add(
            "PBD",
            SR=sr,
            host=host,
            device_config=dict(device_config),
            currently_attached=False,
            other_config={},
        )

    def _with_secrets(self, device_config: dict[str, str]) -> dict[str, str]:
        """Move each password into a Secret. The Secrets of a failed create are never removed."""
        config = {}
        for key, value in device_config.items():
            if key.endswith("password"):
                reference = self.db.add("Secret", value=value, other_config={})
                config[key + "_secret"] = self.db.get("Secret", reference)["uuid"]
            else:
                config[key] = value
        return config

    def _pbd(self, reference: str, command: str) -> None:
        pbd = self.db.get("PBD", reference)
        kind = self.db.get("SR", pbd["SR"])["type"]
        host = self._host(pbd["host"])
        self._sm(host, self._driver(host, kind), command, pbd["SR"], pbd["device_config"])

    def _session(self) -> str:
        return self.db.add("session", other_config={})

    def _sm(
        self,
        host: Host,
        driver: Driver,
        command: str,
        sr: str,
        config: dict[str, str],
        arguments: Sequence[str] = (),
        sm_config: dict[str, str] | None = None,
    ) -> Any:
        master = "true" if host is self.master else "false"
        members: dict[str, Any] = {
            "host_ref": host.reference,
            "command": command,
            "args": list(arguments),
            "device_config": {"SRmaster": master, **config},
            "session_ref": self._session(),
        }
        if sr:
            members.update(sr_ref=sr, sr_uuid=self.db.get("SR", sr)["uuid"])
        if sm_config is not None:
            members["sr_sm_config"] = sm_config
        try:
            return host.runner.call(driver.path, members)
        finally:
            del self.db.table("session")[members["session_ref"]]


def _not_implemented(error: ApiError, code: str, detail: str) -> ApiError:
    return ApiError(code, detail) if isinstance(error, NotImplementedInBackendError) else error
