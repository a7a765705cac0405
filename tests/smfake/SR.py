"""SM's SR: the base class of all drivers, and the registry of them."""

import copy
import importlib
import os
from typing import Any, Dict, List

import XenAPI

from smfake import host, xs_errors

backends: List[Any] = []


def registerSR(driver_class: Any) -> None:
    """Register a driver; every driver's module does when it is imported."""
    backends.append(driver_class)


def driver(sr_type: str) -> Any:
    """Return the driver of an SR type."""
    for backend in backends:
        if backend.handles(sr_type):
            return backend
    raise xs_errors.XenError("SRUnknownType")


class SR:
    """A storage repository, made for one command."""

    @staticmethod
    def handles(_sr_type: str) -> bool:
        """Tell whether this class drives an SR type."""
        return False

    def __init__(self, srcmd: Any, sr_uuid: str) -> None:
        self.srcmd = srcmd
        self.dconf: Dict[str, str] = srcmd.dconf
        self.session: Any = None
        if "session_ref" in srcmd.params:
            self.session = XenAPI.xapi_local()
            self.session._session = srcmd.params["session_ref"]
        self.host_ref = srcmd.params.get("host_ref", "")
        self.sr_ref = srcmd.params.get("sr_ref")
        if self.dconf.get("SRmaster") == "true":
            os.environ["LVM_SYSTEM_DIR"] = "/etc/lvm/master"
        if "SCSIid" in self.dconf:
            os.environ["LVM_DEVICE"] = "/dev/disk/by-scsid/" + self.dconf["SCSIid"]
        self.uuid = sr_uuid
        self.cmd = srcmd.params["command"]
        self.original_srcmd = copy.deepcopy(srcmd)
        self.direct = False
        self.ops_exclusive: List[str] = []
        self._mpathinit()
        self.load(sr_uuid)

    def _mpathinit(self) -> None:
        config = self.session.xenapi.host.get_other_config(self.host_ref)
        self.mpath = "true" if config.get("multipathing") == "true" else "false"
        name = "mpath_dmp" if self.mpath == "true" else "mpath_null"
        prefix = "sm.core." if host.WORLD == "package" else ""
        self.mpathmodule: Any = importlib.import_module(prefix + name)

    def _mpathHandle(self) -> None:
        if self.mpath == "true":
            self.mpathmodule.activate()
        else:
            self.mpathmodule.deactivate()

    def load(self, sr_uuid: str) -> None:
        """Second half of the constructor."""

    def cleanup(self) -> None:
        """Called after each command."""

    def _unimplemented(self, *_arguments: Any) -> Any:
        raise xs_errors.XenError("Unimplemented")

    create = delete = attach = detach = scan = probe = vdi = _unimplemented
