"""xapi's side of SM: finds drivers, runs them by the argv protocol, maps what they answer.

Every text on the wire is xapi's (its sm_exec, storage_smapiv1 and xapi_sm modules).
"""

import os
import subprocess
import xml.parsers.expat
import xmlrpc.client
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from xapi.failure import ApiError
from xapi.worlds import Dom0

_MANDATORY = (
    "name",
    "description",
    "vendor",
    "copyright",
    "driver_version",
    "required_api_version",
    "capabilities",
    "configuration",
)


# What drivers said of themselves: it is the same on all hosts that are laid out alike.
_SAID: dict[tuple[str, str, str], dict[str, Any]] = {}


class Driver(NamedTuple):
    """A driver that xapi has taken: its type, its file, what it says of itself."""

    type: str
    path: Path
    info: dict[str, Any]


class Ran(NamedTuple):
    """What a driver process did."""

    code: int
    stdout: str
    stderr: str


class Runner:
    """Runs the drivers of one host, with the Python that the host has."""

    def __init__(self, dom0: Dom0, python: str) -> None:
        self.dom0 = dom0
        self.python = python
        self.observed = False  # SMAPI tracing: everything runs under python3 -m observer
        self.log: list[str] = []
        self.requests: list[str] = []
        self.before: Callable[[str], object] = lambda _command: None  # called as a command begins

    def whitelist(self) -> list[str]:
        """Return the effective sm-plugins: each occurrence replaces the one before."""
        etc = self.dom0.root / "etc"
        found: list[str] = []
        for path in [etc / "xapi.conf", *sorted((etc / "xapi.conf.d").iterdir())]:
            for line in path.read_text().splitlines():
                key, _, value = line.partition("=")
                if key.strip() == "sm-plugins":
                    found = value.strip().strip("\"'").split()
        return [name.lower() for name in found]

    def discover(self) -> dict[str, Driver]:
        """Return the drivers by type: files whose names end in SR, whitelisted, executable."""
        allowed = self.whitelist()
        drivers = {}
        for name in sorted(os.listdir(self.dom0.sm_dir)):
            if not name.endswith("SR"):
                continue
            kind = name[: -len("SR")]
            path = self.dom0.sm_dir / name
            if "*" not in allowed and kind.lower() not in allowed:
                self.log.append(
                    f"Skipping SMAPIv1 plugin {kind}: not in sm-plugins whitelist "
                    "in configuration file"
                )
                continue
            try:
                if not os.access(path, os.X_OK):
                    raise ApiError("EACCES", str(path))
                info = self._driver_info(path)
                missing = [key for key in _MANDATORY if key not in info]
                if missing:
                    raise ApiError("XML parse failure", *missing)
                drivers[kind.lower()] = Driver(kind.lower(), path, info)
            except ApiError as error:
                self.log.append(
                    f"Rejecting SM plugin: {kind} because of exception: {error} (executable)"
                )
        return drivers

    def _driver_info(self, path: Path) -> dict[str, Any]:
        key = (self.dom0.world, self.python, path.name)
        if key not in _SAID or self.observed:
            _SAID[key] = self.call(path, {"command": "sr_get_driver_info", "device_config": {}})
        return dict(_SAID[key])

    def call(self, path: Path, members: Mapping[str, Any]) -> Any:
        """Run a driver for one request and return its result. Raise ApiError."""
        self.before(members["command"])
        ran = self.run(path, request(members))
        if ran.code != 0:
            reason = "non-zero exit" if ran.code > 0 else f"received signal: {-ran.code}"
            raise ApiError("SR_BACKEND_FAILURE", reason, ran.stdout, ran.stderr)
        try:
            (result,), _method = xmlrpc.client.loads(ran.stdout)
        except xmlrpc.client.Fault as fault:
            raise _mapped(fault, members, ran.stderr) from None
        except (xml.parsers.expat.ExpatError, xmlrpc.client.ResponseError) as error:
            raise ApiError("SR_BACKEND_FAILURE", str(error), ran.stdout, ran.stderr) from error
        return result

    def run(self, path: Path, argument: str, modules: str = "") -> Ran:
        """Run a driver's file with one argument, as xapi's forkexecd does.

        ``modules``: where the file will find what it looks for in /opt/xensource/sm.
        """
        # PYTHONPATH stands for the host's site-packages.
        environment = {"PATH": "/usr/bin:/bin", "ORIGINATOR": "SM"}
        environment["PYTHONPATH"] = f"{self.dom0.site}:{modules}".rstrip(":")
        command = [self.python, str(path), argument]
        if self.observed:
            command[1:1] = ["-m", "observer"]
            environment["PYTHONPATH"] = f"{path.parent}:{self.dom0.site}"
            environment["OBSERVER_CONFIG_DIR"] = str(self.dom0.root / "observer")
        self.requests.append(argument)
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            cwd="/",
            check=False,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


_ORDER = (
    "host_ref",
    "command",
    "args",
    "device_config",
    "session_ref",
    "sr_sm_config",
    "sr_ref",
    "vdi_type",
    "sr_uuid",
    "vdi_ref",
    "vdi_location",
    "vdi_uuid",
)


def request(members: Mapping[str, Any]) -> str:
    """Return a request as xapi writes it: no declaration, strings bare, one struct."""
    members = {"host_ref": "OpaqueRef:NULL", "args": [], **members}
    body = "".join(
        f"<member><name>{name}</name>{_value(members[name])}</member>"
        for name in _ORDER
        if name in members
    )
    return (
        f"<methodCall><methodName>{members['command']}</methodName><params><param>"
        f"<value><struct>{body}</struct></value></param></params></methodCall>"
    )


def _value(value: str | Sequence[str] | Mapping[str, str]) -> str:
    if isinstance(value, str):
        return f"<value>{escape(value)}</value>" if value else "<value/>"
    if isinstance(value, Mapping):
        inner = "".join(
            f"<member><name>{escape(key)}</name>{_value(each)}</member>"
            for key, each in value.items()
        )
        return f"<value><struct>{inner}</struct></value>"
    return "<value><array><data>{}</data></array></value>".format("".join(map(_value, value)))


def _mapped(fault: xmlrpc.client.Fault, members: Mapping[str, Any], stderr: str) -> ApiError:
    if fault.faultCode == 38:
        return NotImplementedInBackendError()
    plain = {39: "SR_NOT_EMPTY", 24: "VDI_IN_USE", 16: "SR_DEVICE_IN_USE"}
    if fault.faultCode in plain:
        return ApiError(plain[fault.faultCode])
    if fault.faultCode == 144:
        return ApiError("VDI_MISSING", members.get("sr_ref", ""), members.get("vdi_ref", ""))
    return ApiError(f"SR_BACKEND_FAILURE_{fault.faultCode}", "", fault.faultString, stderr)


class NotImplementedInBackendError(ApiError):
    """Fault 38: an internal error, except for SR.create."""

    def __init__(self) -> None:
        text = "Storage_interface.Backend_error([ Smint.Not_implemented_in_backend ])"
        super().__init__("INTERNAL_ERROR", text)
