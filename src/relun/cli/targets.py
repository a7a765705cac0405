"""Opens targets: files and block devices by core, addresses of remote LUNs by the remote layer."""

from relun.core.device import open_device

TYPE_CHECKING = False
if TYPE_CHECKING:
    from relun.core.device import Device

_SCHEMES = ("iscsi://", "nbd://", "nbd+unix://")


def open_target(path: str, writable: bool = False) -> "Device":
    """Open a target. Raise DeviceError."""
    if not path.startswith(_SCHEMES):
        return open_device(path, writable)
    from relun.cli.addresses import open_address

    return open_address(path, writable)
