"""One LUN on this host: resigned under SM's locks, then shown to LVM and udev."""

import fcntl
import os
import subprocess

from relun.core import verbs
from relun.core.device import Device, open_device
from relun.core.errors import Interrupted, Refused, RelunError
from relun.core.hints import Any, Callable, Dict, List, Sequence
from relun.core.options import Options
from relun.core.repository import DONE, IN_PROGRESS, Repository

BY_SCSI_ID = "/dev/disk/by-scsid"  # SM's udev rules: a folder a LUN, a link a path and one "mapper"
LVM_FOLDERS = ("/etc/lvm", "/etc/lvm/master")  # LVM_SYSTEM_DIR of slaves and of the master
_DEVICES_FILE = "devices/system.devices"
_BLKFLSBUF = 0x1261  # linux/fs.h
_SETTLE_SECONDS = "30"

Cancelled = Callable[[], bool]


def resign(
    path: str, scsi_id: str, options: Options, lock: Any, cancelled: Cancelled = lambda: False
) -> verbs.Outcome:
    """Resign the LUN at ``path``, or finish what an earlier run began on it.

    ``lock`` is SM's lock of LVM commands: while ids change none of this host looks at the LUN.
    Raise RelunError: Refused and DeviceError mean that nothing was changed.
    """
    with open_device(path, writable=True) as device, lock:
        try:
            return _resign([device], scsi_id, options, cancelled)
        except RelunError:
            raise
        except Exception as error:
            raise _bug(device, error) from error


def _resign(
    devices: Sequence[Device], scsi_id: str, options: Options, cancelled: Cancelled
) -> verbs.Outcome:
    repository = verbs.inspect(devices)
    if repository.state == IN_PROGRESS:
        outcome = verbs.recover(devices)
        if outcome.action == "recovered":
            return outcome
    elif resigned_here(repository, scsi_id):
        raise Refused("already-resigned", device=devices[0].path, sr_uuid=repository.sr_uuid)
    try:
        return verbs.resign(devices, options._replace(device_hint=hint(scsi_id)), cancelled)
    except Interrupted as error:
        return _settle(devices, error)


def hint(scsi_id: str) -> str:
    """Return the path that LVM's metadata shall name as the PV's: it tells LUN from clone later."""
    return "/dev/disk/by-id/scsi-" + scsi_id if scsi_id else ""


def resigned_here(repository: Repository, scsi_id: str) -> bool:
    """Tell whether relun gave the ids while they stood on this very LUN.

    A clone of a resigned LUN carries relun's journal as well; LVM's device hint is what differs.
    """
    if repository.state != DONE or repository.vg is None or not scsi_id:
        return False
    hints = [pv.device_hint for pv in repository.vg.pvs.values()]
    return any(found.endswith(("/" + scsi_id, "-" + scsi_id)) for found in hints)


def refresh(scsi_id: str) -> None:
    """Drop the cached old bytes of every path of a LUN, and let udev finish with the new ones."""
    folder = os.path.join(BY_SCSI_ID, scsi_id)
    for name in sorted(os.listdir(folder)) if scsi_id and os.path.isdir(folder) else ():
        _drop_cache(os.path.join(folder, name))
    _run(["udevadm", "settle", "--timeout=" + _SETTLE_SECONDS])


def add_to_devices_files(path: str) -> List[str]:
    """Add the PV at ``path`` to each devices file in force; return what went wrong, a line each."""
    failures = []
    for folder in LVM_FOLDERS:
        if os.path.exists(os.path.join(folder, _DEVICES_FILE)):
            code, said = _run(["lvmdevices", "--adddev", path], {"LVM_SYSTEM_DIR": folder})
            if code:
                failures.append("lvmdevices --adddev {} ({}): {}".format(path, folder, said))
    return failures


def _settle(devices: Sequence[Device], error: Interrupted) -> verbs.Outcome:
    """Leave no LUN hidden while this process lives: a caller may take it for an empty one."""
    try:
        return verbs.recover(devices)._replace(action="recovered")
    except RelunError:
        pass
    try:
        verbs.undo(devices)
    except RelunError:
        raise error from None
    raise Refused("undone-after", device=devices[0].path, cause=error.fields.get("cause"))


def _bug(device: Device, error: Exception) -> RelunError:
    """Return the error for what should never happen; the LUN itself says whether it was changed."""
    fields = {"device": device.path, "cause": repr(error)}
    try:
        in_progress = verbs.inspect([device]).state == IN_PROGRESS
    except Exception:
        in_progress = True  # not known: the more careful answer
    return Interrupted("internal", **fields) if in_progress else Refused("internal", **fields)


def _drop_cache(path: str) -> None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return  # a path that is down
    try:
        fcntl.ioctl(fd, _BLKFLSBUF, 0)
    except OSError:
        pass  # not a block device
    finally:
        os.close(fd)


def _run(command: Sequence[str], environment: "Dict[str, str]" = {}) -> Any:  # noqa: B006 - not changed
    """Run a command of the host; return its exit code and what it said."""
    path = "/usr/sbin:/sbin:" + os.environ.get("PATH", "/usr/bin:/bin")
    try:
        done = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, PATH=path, **environment),
        )
        said = done.communicate()[0].decode("utf-8", "replace").strip()
    except OSError as error:
        return 127, str(error)
    return done.returncode, said
