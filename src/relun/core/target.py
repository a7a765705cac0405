"""Is this the right LUN? What the caller knows of the clone, held against what is there.

Resigning the original by mistake is the worst accident there is, so every word of the caller's that
does not fit is a refusal.
"""

import os

from relun.core.device import Device
from relun.core.errors import Refused
from relun.core.hints import Sequence
from relun.core.repository import Repository
from relun.core.sysfs import BlockNode


def expect_serial(device: Device, expected: str) -> None:
    """Raise Refused (serial-differs) unless ``expected`` is the device's serial or SCSI id.

    An NAA name is taken as arrays print it (600a…), as sysfs has it (naa.600a…), and as multipath
    and SM have it (3600a…).
    """
    node = device.describe() or BlockNode(device.path)
    if not expected or _plain(expected) not in (_plain(node.serial), _plain(node.scsi_id)):
        raise Refused(
            "serial-differs",
            device=device.path,
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
            if _same(device, other):
                raise Refused("original-same", device=device.path, original=other.path)
    if _pv_uuids(clone) != _pv_uuids(original):
        raise Refused(
            "original-differs",
            device=clone.devices[0].path,
            original=original.devices[0].path,
        )


def _plain(identifier: str) -> str:
    """Return an identifier without what tells only its kind: naa., or the 3 before an NAA name."""
    plain = identifier.strip().lower()
    if plain.startswith("naa."):
        return plain[len("naa.") :]
    return plain[1:] if len(plain) in (17, 33) and plain.startswith("3") else plain


def _pv_uuids(repository: Repository) -> Sequence[str]:
    return sorted(lun.label.pv_uuid for lun in repository.luns if lun.label)


def _same(device: Device, other: Device) -> bool:
    if device.path == other.path:
        return True
    mine, theirs = device.describe(), other.describe()
    if mine is None or theirs is None:
        return mine is theirs and os.path.samefile(device.path, other.path)
    same_number = bool(mine.number) and mine.number == theirs.number
    same_lun = bool(mine.scsi_id) and mine.scsi_id == theirs.scsi_id
    return same_number or same_lun
