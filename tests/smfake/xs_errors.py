"""SM's xs_errors: its table of codes, here the part that these stand-ins can raise."""

import xmlrpc.client
from typing import Any, Optional

_TABLE = {
    "SRInUse": (16, "The SR device is currently in use"),
    "InvalidDev": (19, "No such device"),
    "Unimplemented": (38, "Method is not implemented"),
    "SRUnavailable": (47, "The SR is not available"),
    "LVMMaster": (58, "Unable to retrieve master lock"),
    "ISCSIDevice": (67, "ISCSI device failed to appear"),
    "ISCSILogin": (68, "ISCSI login failed, verify CHAP credentials"),
    "ConfigTargetMissing": (95, "The request is missing the target parameter"),
    "ConfigTargetIQNMissing": (
        96,
        "The request is missing or has an incorrect target IQN parameter",
    ),
    "ConfigISCSIIQNMissing": (97, "Unable to retrieve the host configuration ISCSI IQN parameter"),
    "ISCSIQueryDaemon": (86, "Unable to query the iSCSI daemon"),
    "ConfigSCSIid": (107, "The SCSIid parameter is missing or incorrect"),
    "PVMultiIDs": (119, "Found Physical Volumes with unexpected SCSI IDs"),
    "ISCSITarget": (141, "Unable to connect to ISCSI service on target"),
    "BadRequest": (143, "The incoming request is badly formed"),
    "SMGeneral": (202, "General backend error"),
}


class SRException(Exception):
    """An error that becomes the fault of a reply."""

    errno = 22

    def toxml(self) -> str:
        """Return the reply."""
        return xmlrpc.client.dumps(xmlrpc.client.Fault(int(self.errno), str(self)), "", True)


class SROSError(SRException):
    """An error with a code."""

    def __init__(self, errno: int, reason: str) -> None:
        super().__init__(reason)
        self.errno = errno


class XenError(Exception):
    """Calling it gives the error of a key; of an unknown key, code 1 and no detail."""

    def __new__(cls, key: str, opterr: Optional[Any] = None) -> Any:
        """Return an SROSError."""
        if key not in _TABLE:
            return SROSError(1, "Error reporting error, unknown key {}".format(key))
        code, text = _TABLE[key]
        if opterr is not None:
            text += " [opterr={}]".format(opterr)
        return SROSError(code, text)
