"""SM's iscsilib (SM 4.x: sm.core.iscsi): targets of the fabric, sessions, and their devices."""

import os
from typing import Any, Dict, List, Tuple

from smfake import host, util, xs_errors


def by_id(scsi_id: str) -> str:
    """Return the device link of a LUN, whether it is there or not."""
    return host.place("dev", "disk", "by-id", "scsi-" + scsi_id)


def luns(iqn: str) -> List[Dict[str, Any]]:
    """Return the LUNs behind an IQN."""
    found: List[Dict[str, Any]] = host.fabric()["iqns"][iqn]["luns"]
    return found


def discovery(target: str, port: int, user: Any, password: Any) -> List[Tuple[str, str, str]]:
    """Return (portal, group, IQN) of what a target offers."""
    return [
        ("{}:{}".format(target, port), "1", iqn)
        for iqn, offered in sorted(host.fabric()["iqns"].items())
        if _serves(offered, target, port)
    ]


def _serves(offered: Dict[str, Any], target: str, port: int) -> bool:
    return target in offered["targets"] and port == offered.get("port", 3260)


def login(target: str, port: int, iqn: str, user: bytes, password: bytes) -> None:
    """Log in; the LUNs' devices appear."""
    offered = host.fabric()["iqns"].get(iqn)
    if offered is None or not _serves(offered, target, port) or host.fault("target-down"):
        raise xs_errors.XenError("ISCSITarget")
    chap = offered.get("chap")
    if chap and [user.decode(), password.decode()] != chap:
        raise xs_errors.XenError("ISCSILogin")
    with open(host.place("session", iqn), "w") as file:
        file.write(target)
    rescan(iqn)


def rescan(iqn: str) -> None:
    """Make a device for each LUN of a session."""
    for lun in luns(iqn):
        if host.ROOT not in lun.get("hidden", ()) and not os.path.lexists(by_id(lun["SCSIid"])):
            os.symlink(lun["file"], by_id(lun["SCSIid"]))


def logout(target: str, iqn: str, all: bool = False) -> None:
    """Log out; the devices go."""
    if host.fault("no-logout"):
        raise util.CommandException(5, "iscsiadm --logout")
    for lun in luns(iqn):
        if os.path.lexists(by_id(lun["SCSIid"])):
            os.unlink(by_id(lun["SCSIid"]))
    os.unlink(host.place("session", iqn))


def _checkTGT(iqn: str, tgt: str = "") -> bool:
    return os.path.exists(host.place("session", iqn))
