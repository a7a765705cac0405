"""Guards against the wrong device: the question before a block device is changed, and what the
caller said of it."""

from __future__ import annotations

import sys

from relun.core.device import BlockDevice, open_device
from relun.core.errors import Refused
from relun.core.repository import Repository, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from relun.cli.report import Report
    from relun.core.device import Device

QUESTIONS = {
    "resign": "Give this SR a new identity?",
    "undo": "Give back the LUN as it was before the resign?",
    "seal": "Remove all that is left of the old identity, undo included?",
}


def ask(report: Report) -> None:
    """Ask before block devices are changed. Raise Refused (confirmation) unless answered yes.

    Without a terminal nobody can answer, and nothing is asked.
    """
    if not any(isinstance(device, BlockDevice) for device in report.devices):
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Refused("confirmation", device=report.name)
    from relun.cli.text import confirmation

    for line in confirmation(report, load(report.devices)):
        print("".join(text for text, _style in line), file=sys.stderr)
    print(f"{QUESTIONS[report.verb]} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused("confirmation", device=report.name)


def expect_serial(report: Report, expected: str) -> None:
    """Raise Refused (serial-differs) unless every device has this serial number or SCSI id."""
    for device, node in zip(report.devices, report.nodes()):
        serial, scsi_id = (node.serial, node.scsi_id) if node else ("", "")
        if expected not in (serial, scsi_id):
            raise Refused(
                "serial-differs",
                device=device.path,
                serial=serial or "unknown",
                scsi_id=scsi_id or "unknown",
                expected=expected,
            )


def expect_copy_of(report: Report, originals: Sequence[str]) -> None:
    """Raise Refused unless the targets carry the ids of the originals and are other devices.

    Codes: original-same, original-differs. Raise DeviceError when an original cannot be read.
    """
    opened: list[Device] = []
    try:
        for path in originals:
            for device in report.devices:
                if _same(path, device.path):
                    raise Refused("original-same", device=device.path, original=path)
            opened.append(open_device(path))
        if _ids(load(opened)) != _ids(load(report.devices)):
            raise Refused("original-differs", device=report.name, original=" + ".join(originals))
    finally:
        for device in opened:
            device.close()


def _ids(repository: Repository) -> tuple[str, tuple[str, ...]]:
    if repository.vg is None:
        return "", ()
    return repository.vg.uuid, tuple(sorted(pv.uuid for pv in repository.vg.pvs.values()))


def _same(one: str, other: str) -> bool:
    """Tell whether two paths lead to one LUN: the same file, node, or SCSI id."""
    import os
    import stat

    from relun.core.sysfs import describe

    try:
        first, second = os.stat(one), os.stat(other)
    except OSError:
        return False  # opening it tells the reason
    if not (stat.S_ISBLK(first.st_mode) and stat.S_ISBLK(second.st_mode)):
        return os.path.samestat(first, second)
    scsi_id = describe(one).scsi_id
    return first.st_rdev == second.st_rdev or bool(scsi_id and scsi_id == describe(other).scsi_id)
