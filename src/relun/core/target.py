"""Is this the right LUN? What the caller knows of the clone, held against what is there.

Resigning the original by mistake is the worst accident there is, so every word of the caller's that
does not fit is a refusal.
"""

import os

from relun.core import sysfs
from relun.core.errors import Refused
from relun.core.hints import Sequence
from relun.core.repository import Repository


def expect_serial(path: str, expected: str) -> None:
    """Raise Refused (serial-differs) unless ``expected`` is the device's serial or SCSI id."""
    node = sysfs.describe(path) if sysfs.is_block(path) else sysfs.BlockNode(path)
    if expected not in (node.serial, node.scsi_id):
        raise Refused(
            "serial-differs",
            device=path,
            expected=expected,
            serial=node.serial,
            scsi_id=node.scsi_id,
        )


def expect_original(clone: Repository, original: Repository) -> None:
    """Raise Refused unless ``original`` carries the clone's ids and is another LUN.

    original-same: both are one device, by two paths perhaps. original-differs: it carries other
    ids, so it is not what the clone was made from (or the clone is resigned already).
    """
    for device in clone.devices:
        for other in original.devices:
            if _same(device.path, other.path):
                raise Refused("original-same", device=device.path, original=other.path)
    if _pv_uuids(clone) != _pv_uuids(original):
        raise Refused(
            "original-differs",
            device=clone.devices[0].path,
            original=original.devices[0].path,
        )


def _pv_uuids(repository: Repository) -> Sequence[str]:
    return sorted(lun.label.pv_uuid for lun in repository.luns if lun.label)


def _same(path: str, other: str) -> bool:
    if os.path.samefile(path, other):
        return True
    if not (sysfs.is_block(path) and sysfs.is_block(other)):
        return False
    mine, theirs = sysfs.describe(path), sysfs.describe(other)
    same_number = bool(mine.number) and mine.number == theirs.number
    same_lun = bool(mine.scsi_id) and mine.scsi_id == theirs.scsi_id
    return same_number or same_lun
