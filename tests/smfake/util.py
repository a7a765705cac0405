"""SM's util: log, errors, paths, and what it asks xapi."""

import glob
import os
import sys
import time
import uuid
import xmlrpc.client
from typing import Any, Dict, List, Tuple

from smfake import host


class SMException(Exception):
    """Base of SM's own exceptions."""


class CommandException(SMException):
    """A command of the host failed."""

    def __init__(self, code: int, cmd: str = "", reason: str = "exec failed") -> None:
        super().__init__("os error {} {} {}".format(code, cmd, reason))
        self.code = code
        self.cmd = cmd
        self.reason = reason


def SMlog(text: str, **_more: Any) -> None:
    """Write to SM's log."""
    host.note("SMlog", str(text))


def logException(tag: str) -> None:
    """Log the exception under way."""
    SMlog("***** {}: {!r}".format(tag, sys.exc_info()[1]))


def gen_uuid() -> str:
    """Return a random uuid."""
    return str(uuid.uuid4())


def isVDICommand(command: str) -> bool:
    """Tell whether a command is about one VDI's data."""
    return command in ("vdi_attach", "vdi_detach", "vdi_activate", "vdi_deactivate")


def pathexists(path: str) -> bool:
    """Tell whether a path exists."""
    return os.path.exists(path)


def wait_for_path(path: str, timeout: int) -> bool:
    """Wait for a path: here things come at once or never."""
    for _second in range(min(timeout, 2)):
        if glob.glob(path):
            return True
        time.sleep(0.01)
    return False


def find_my_pbd(session: Any, host_ref: str, sr_ref: str) -> Any:
    """Return this host's PBD of an SR, None when there is none."""
    for pbd, record in session.xenapi.PBD.get_all_records().items():
        if record["host"] == host_ref and record["SR"] == sr_ref:
            return pbd
    return None


def get_secret(session: Any, secret: str) -> str:
    """Return the value of a Secret by uuid."""
    value: str = session.xenapi.secret.get_value(session.xenapi.secret.get_by_uuid(secret))
    return value


def remove_mpathcount_field(session: Any, host_ref: str, sr_ref: str, scsi_id: str) -> None:
    """Remove the count of paths from our PBD."""
    pbd = find_my_pbd(session, host_ref, sr_ref)
    if pbd is not None:
        session.xenapi.PBD.remove_from_other_config(pbd, "mpath-" + scsi_id)


def test_SCSIid(session: Any, sr_uuid: str, scsi_id: str) -> bool:
    """Tell whether a PBD uses the LUN; the search stops at our own PBD, as in SM."""
    own = session.xenapi.SR.get_by_uuid(sr_uuid)
    for record in session.xenapi.PBD.get_all_records().values():
        if record["SR"] == own:
            break
        if record["device_config"].get("SCSIid") == scsi_id:
            return True
    return False


def _incr_iscsiSR_refcount(iqn: str, sr_uuid: str) -> int:
    lines = _references(iqn)
    if sr_uuid not in lines:
        lines.append(sr_uuid)
    with open(host.place("sr-ref", iqn), "w") as file:
        file.write("".join(line + "\n" for line in lines))
    return len(lines)


def _decr_iscsiSR_refcount(iqn: str, sr_uuid: str) -> int:
    lines = [line for line in _references(iqn) if line != sr_uuid]
    path = host.place("sr-ref", iqn)
    if lines:
        with open(path, "w") as file:
            file.write("".join(line + "\n" for line in lines))
    elif os.path.exists(path):
        os.unlink(path)
    return len(lines)


def _references(iqn: str) -> List[str]:
    path = host.place("sr-ref", iqn)
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return file.read().split()


def sr_get_driver_info(info: Dict[str, Any]) -> str:
    """Return the answer to sr_get_driver_info."""
    keys = ("name", "description", "vendor", "copyright", "driver_version", "required_api_version")
    answer: Dict[str, Any] = {key: info[key] for key in keys}
    answer["capabilities"] = info["capabilities"]
    answer["configuration"] = [
        {"key": key, "description": description} for key, description in info["configuration"]
    ]
    return dump((answer,))


def return_nil() -> str:
    """Return the answer of a command without a result."""
    return xmlrpc.client.dumps((None,), "", True, allow_none=True)


def dump(values: Tuple[Any, ...]) -> str:
    """Return an XML-RPC response."""
    return xmlrpc.client.dumps(values, "", True)
