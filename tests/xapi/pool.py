"""A pool of xapi: its hosts, and the way of a call to the part that answers it."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from xapi.database import NULL, Database, Record
from xapi.devices import Devices
from xapi.disks import Disks
from xapi.failure import ApiError
from xapi.faults import Call, Faults
from xapi.guests import Guests
from xapi.machines import Machines
from xapi.plugins import Plugins
from xapi.smapi import Driver, Runner
from xapi.storage import Storage
from xapi.worlds import Dom0

USER, PASSWORD = "root", "secret"
_LOGINS = ("session.login_with_password", "session.slave_local_login_with_password")
# SM's commands of one host that its xapi runs one at a time (sm.ml, serialize_attach_detach).
_ONE_AT_A_TIME = ("sr_attach", "sr_detach", "sr_probe")
_SM_SESSION = "_sm_session"  # in a session's other_config: the SR whose driver has it
_INTERNAL = "_internal"  # in a session's other_config: made by xapi for what it runs itself


class Host:
    """One host of the pool."""

    def __init__(self, reference: str, runner: Runner) -> None:
        self.reference = reference
        self.runner = runner
        self.drivers: dict[str, Driver] = {}
        self.attaching = threading.Lock()


class Pool:
    """The first host is the master."""

    def __init__(self) -> None:
        self.db = Database()
        self.faults = Faults()
        self.hosts: list[Host] = []
        self.db.add("pool")
        self.guests = Guests(self.db)
        self.devices = Devices(self)
        self.storage = Storage(self)
        machines = Machines(self)
        self._parts = (self.storage, Disks(self), machines, self.devices, Plugins(self))
        self.db.allowed = {
            "VM": machines.allowed,
            "SR": self.storage.allowed,
            "VBD": self.devices.allowed_vbd,
            "VIF": self.devices.allowed_vif,
        }
        self._asking = threading.local()

    def add_host(self, dom0: Dom0, python: str, address: str = "") -> Host:
        """Add a host to the pool, its toolstack not started yet."""
        number = len(self.hosts) + 1
        reference = self.db.add(
            "host",
            name_label=f"host{number}",
            hostname=f"host{number}",
            address=address or f"192.0.2.{number}",
            other_config={"iscsi_iqn": f"iqn.2004-10.com.example:host{number}"},
            metrics=self.db.add("host_metrics"),
        )
        host = Host(reference, Runner(dom0, python))
        self.hosts.append(host)
        if number == 1:
            self.record["master"] = reference
        return host

    @property
    def record(self) -> Record:
        """The record of the pool itself."""
        return next(iter(self.db.table("pool").values()))

    @property
    def master(self) -> Host:
        """The pool's master."""
        return self.hosts[0]

    def host(self, reference: str) -> Host:
        """Return a host. Raise HANDLE_INVALID."""
        for host in self.hosts:
            if host.reference == reference:
                return host
        raise ApiError("HANDLE_INVALID", "host", str(reference))

    def live_host(self, reference: str) -> Host:
        """Return a host that work is sent to. Raise HOST_OFFLINE."""
        found = self.host(reference)
        with self.db.lock:
            metrics = self.db.get("host", reference)["metrics"]
            if not self.db.get("host_metrics", metrics)["live"]:
                raise ApiError("HOST_OFFLINE", reference)
        return found

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

    def request(self, host: Host | None, method: str, arguments: Sequence[Any]) -> Any:
        """Answer what came over the network to a host; logging in and out too.

        The calls of clients are noted and may be made to fail; those of drivers and plugins not.
        """
        session, rest = "", list(arguments)
        if method not in _LOGINS:
            session = str(rest.pop(0)) if rest else ""
        with self.db.lock:
            record = self.db.table("session").get(session)
        if record and _INTERNAL in record["other_config"]:
            return self._answer(method, rest, session, record)
        with self.faults.around(Call(method, tuple(rest), session)):
            if method == "session.login_with_password" and host not in (None, self.master):
                address = self.db.get("host", self.master.reference)["address"]
                raise ApiError("HOST_IS_SLAVE", address)
            return self._answer(method, rest, session, record)

    def call(self, method: str, arguments: Sequence[Any]) -> Any:
        """Answer an API call; ``arguments`` without the session."""
        name, _, verb = method.partition(".")
        name = "Secret" if name == "secret" else name
        special = self._method(f"{name}_{verb}".lower())
        if special is None:
            with self.db.lock:
                return self.db.call(name, verb, list(arguments), self.internal)
        try:
            if getattr(special, "unlocked", False):
                return special(*arguments)
            with self.db.lock:
                return special(*arguments)
        except TypeError as error:
            count = len(arguments)
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                raise ApiError("MESSAGE_PARAMETER_COUNT_MISMATCH", method, "", str(count)) from None
            raise

    @property
    def internal(self) -> bool:
        """Whether the call under way is one of SM's."""
        return bool(getattr(self._asking, "internal", False))

    def new_session(self, sr: str = "") -> str:
        """Return a session for what xapi runs itself. ``sr``: the SR whose driver has it."""
        config = {_INTERNAL: "true"} | ({_SM_SESSION: sr} if sr else {})
        with self.db.lock:
            return self.db.add("session", other_config=config)

    def end_session(self, session: str) -> None:
        """End a session."""
        with self.db.lock:
            self.db.remove("session", session)

    def _method(self, name: str) -> Callable[..., Any] | None:
        for part in self._parts:
            found: Callable[..., Any] | None = getattr(part, name, None)
            if found is not None:
                return found
        return None

    def _answer(
        self, method: str, arguments: list[Any], session: str, record: Record | None
    ) -> Any:
        if method in _LOGINS:
            if arguments[:2] != [USER, PASSWORD]:
                raise ApiError("SESSION_AUTHENTICATION_FAILED", str(arguments[0]), "")
            with self.db.lock:
                return self.db.add("session", other_config={})
        if record is None:
            raise ApiError("SESSION_INVALID", session)
        if method == "session.logout":
            self.end_session(session)
            return ""
        self._asking.internal = _SM_SESSION in record["other_config"]
        try:
            return self.call(method, arguments)
        finally:
            self._asking.internal = False

    # --- drivers

    def _master_of(self, sr: str) -> str:
        """Return the host that may change an SR's metadata (xapi: get_srmaster). Raise ApiError."""
        with self.db.lock:
            if not sr or self.db.get("SR", sr)["shared"]:
                return self.master.reference
            pbds = self.db.find("PBD", SR=sr)
            if len(pbds) > 1:
                raise ApiError("SR_HAS_MULTIPLE_PBDS", *pbds)
            return str(self.db.get("PBD", pbds[0])["host"]) if pbds else self.master.reference

    def run_driver(
        self,
        host: Host,
        driver: Driver,
        command: str,
        sr: str,
        config: dict[str, str],
        arguments: Sequence[str] = (),
        sm_config: dict[str, str] | None = None,
        vdi: str = "",
    ) -> Any:
        """Run a driver's command on a host, the database not locked. Raise ApiError."""
        master = "true" if host.reference == self._master_of(sr) else "false"
        session = self.new_session(sr or NULL)
        members: dict[str, Any] = {
            "host_ref": host.reference,
            "command": command,
            "args": list(arguments),
            "device_config": {"SRmaster": master, **config},
            "session_ref": session,
        }
        if sr:
            with self.db.lock:
                members.update(sr_ref=sr, sr_uuid=self.db.get("SR", sr)["uuid"])
        if vdi:
            with self.db.lock:
                record = self.db.get("VDI", vdi)
                members |= {
                    "vdi_ref": vdi,
                    "vdi_location": record["location"],
                    "vdi_uuid": record["uuid"],
                }
        if sm_config is not None:
            members["sr_sm_config"] = sm_config
        try:
            if command in _ONE_AT_A_TIME:
                with host.attaching:
                    return host.runner.call(driver.path, members)
            return host.runner.call(driver.path, members)
        finally:
            self.end_session(session)
