"""SM's SRCommand: one request in argv, one reply on stdout, exit code 0 whatever happens."""

import os
import sys
import xmlrpc.client
from typing import Any, Dict

import XenAPI

from smfake import util, xs_errors
from smfake.lock import LOCK_TYPE_SR, Lock


class SRCommand:
    """A parsed request."""

    def __init__(self, driver_info: Dict[str, Any]) -> None:
        self.driver_info = driver_info
        self.params: Dict[str, Any] = {}
        self.dconf: Dict[str, str] = {}
        self.sr_uuid = ""
        self.cmd = ""

    def parse(self) -> None:
        """Parse argv."""
        if len(sys.argv) != 2:
            raise xs_errors.XenError("BadRequest")
        try:
            params, method = xmlrpc.client.loads(os.fsencode(sys.argv[1]))
        except Exception:
            raise xs_errors.XenError("BadRequest") from None
        self.params = params[0]  # type: ignore[assignment]
        self.cmd = str(method)
        self.dconf = self.params["device_config"]
        self.sr_uuid = self.params.get("sr_uuid", "")

    def run(self, sr: Any) -> Any:
        """Run the command under the SR's lock if the driver wants that."""
        lock = Lock(LOCK_TYPE_SR, self.sr_uuid) if self.cmd in sr.ops_exclusive else None
        if lock:
            lock.acquire()
        try:
            return self._run(sr)
        except (util.SMException, XenAPI.Failure) as error:
            raise xs_errors.XenError("SMGeneral", str(error)) from error
        finally:
            if lock:
                lock.release()
            sr.cleanup()

    def _run(self, sr: Any) -> Any:
        if self.cmd == "sr_create":
            return sr.create(self.sr_uuid, int(self.params["args"][0]))
        if self.cmd == "sr_probe":
            return util.dump((sr.probe(),))
        calls = {"sr_attach": "attach", "sr_detach": "detach", "sr_scan": "scan"}
        if self.cmd in calls:
            return getattr(sr, calls[self.cmd])(self.sr_uuid)
        if self.cmd == "sr_delete":
            return sr.delete(self.sr_uuid)
        if self.cmd == "vdi_update":
            return sr.vdi(self.params["vdi_uuid"]).update()
        if self.cmd.startswith("vdi_"):
            return sr._unimplemented()
        raise xs_errors.XenError("BadRequest")


def run(driver: Any, driver_info: Dict[str, Any]) -> None:
    """Answer the request in argv."""
    command = SRCommand(driver_info)
    try:
        command.parse()
        if command.params["command"] == "sr_get_driver_info":
            print(util.sr_get_driver_info(driver_info))
            sys.exit(0)
        sr = driver(command, command.sr_uuid)
        sr.direct = True
        result = command.run(sr)
        print(util.return_nil() if result is None else result)
    except (Exception, xs_errors.SRException) as error:
        util.logException(driver_info["name"])
        if isinstance(error, xs_errors.SRException):
            print(error.toxml())
        else:
            print(xmlrpc.client.dumps(xmlrpc.client.Fault(1200, str(error)), "", True))
    sys.exit(0)
