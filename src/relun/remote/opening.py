"""Opens a remote LUN by its address: the one door for the command line."""

from relun.core.device import Device
from relun.remote.login import Login


def open_remote(shown: str, login: Login, writable: bool = False) -> Device:
    """Open the LUN at an address that has no password in it. Raise DeviceError."""
    if shown.startswith("iscsi://"):
        from relun.remote.iscsi import open_iscsi

        return open_iscsi(shown, login, writable)
    from relun.remote.nbd import open_nbd

    return open_nbd(shown, writable)
