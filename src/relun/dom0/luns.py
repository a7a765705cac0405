"""LUNs that a caller names by path or SCSI id, and what the pool's database says of them."""

import os
import re

from relun.core import sysfs, verbs
from relun.core.device import open_device
from relun.core.errors import DeviceError, Refused
from relun.core.hints import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple
from relun.core.repository import Repository
from relun.core.sysfs import BlockNode
from relun.dom0 import pool

# Where SM's multipath modules and udev put a LUN's device, best first.
_BY_SCSI_ID = ("/dev/disk/mpInuse/{}", "/dev/mapper/{}", "/dev/disk/by-id/scsi-{}")
_NAMED = re.compile(r"scsi-([0-9a-zA-Z_.-]+)$")

ORIGINAL, CLONE = "original", "clone"


class Seen(NamedTuple):
    """A LUN of this host and what stands on it."""

    path: str
    scsi_id: str
    node: Optional[BlockNode]
    repository: Repository


def path_of(scsi_id: str) -> str:
    """Return the device of a LUN. Raise DeviceError when the host has none."""
    for pattern in _BY_SCSI_ID:
        path = pattern.format(scsi_id)
        if os.path.exists(path):
            return path
    reason = "no device with this SCSI id on this host"
    raise DeviceError("device-missing", device=scsi_id, reason=reason)


def scsi_id_of(path: str) -> str:
    """Return a LUN's SCSI id: the kernel's word, or else the name that udev gave the device."""
    try:
        node = sysfs.describe(path) if sysfs.is_block(path) else None
    except OSError:
        node = None
    named = _NAMED.search(os.path.basename(path))
    return node.scsi_id if node and node.scsi_id else named.group(1) if named else ""


def refuse_if_used(session: Any, paths: Sequence[str]) -> None:
    """Raise Refused (lun-in-use) when a PBD of the pool, plugged or not, names a LUN."""
    for path in paths:
        scsi_id = scsi_id_of(path)
        users = pool.other_users(session, "", scsi_id) if scsi_id else []
        if users:
            raise Refused("lun-in-use", device=path, scsi_id=scsi_id, srs=users)


def look(paths: Sequence[str]) -> Tuple[List[Seen], List[Tuple[str, DeviceError]]]:
    """Read each LUN by itself; return those that can be read, and the others with their errors."""
    seen: List[Seen] = []
    unreadable: List[Tuple[str, DeviceError]] = []
    for path in paths:
        try:
            with open_device(path) as device:
                node = sysfs.describe(path) if sysfs.is_block(path) else None
                seen.append(Seen(path, scsi_id_of(path), node, verbs.inspect([device])))
        except DeviceError as error:
            unreadable.append((path, error))
    return seen, unreadable


def known_srs(session: Any) -> Dict[str, List[str]]:
    """Return SR uuid -> SCSI ids, of all SRs that the pool's database knows."""
    uuids: Dict[str, str] = {}
    configs: Dict[str, Dict[str, str]] = {}
    found: Dict[str, List[str]] = {}
    for reference, record in session.xenapi.SR.get_all_records().items():
        uuids[reference] = record["uuid"]
        configs[reference] = record["sm_config"]
        found[record["uuid"]] = []
    for pbd in session.xenapi.PBD.get_all_records().values():
        if pbd["SR"] in uuids:
            ids = pool.scsi_ids_of(pbd["device_config"], configs[pbd["SR"]])
            known = found[uuids[pbd["SR"]]]
            known += [scsi_id for scsi_id in ids if scsi_id not in known]
    return found


def conflicts(seen: Sequence[Seen], known: Dict[str, List[str]]) -> List[Dict[str, Any]]:
    """Return each SR that stands on several LUNs, or on another LUN than the database says.

    The database outweighs what the LUNs say of themselves: the LUN that an SR's PBDs name is the
    original, every other one with that SR is a clone.
    """
    groups: Dict[str, List[Seen]] = {}
    for lun in seen:
        if lun.repository.sr_uuid and lun.repository.vg is not None:
            groups.setdefault(lun.repository.sr_uuid, []).append(lun)
    found = []
    for sr_uuid, luns in groups.items():
        owners = known.get(sr_uuid, [])
        named = [lun for lun in luns if lun.scsi_id and lun.scsi_id in owners]
        if len(luns) == 1 and (named or not owners):
            continue
        group, label = luns[0].repository.vg, luns[0].repository.luns[0].label
        found.append(
            {
                "sr_uuid": sr_uuid,
                "vg": group.name if group else "",
                "pv_uuid": label.pv_uuid if label else "",
                "known": sr_uuid in known,
                "copies": _by_database(luns, owners) if owners else _by_themselves(luns),
            }
        )
    return found


def _by_database(luns: Sequence[Seen], owners: Sequence[str]) -> List[Dict[str, Any]]:
    names = ", ".join(owners)
    copies = []
    for lun in luns:
        if lun.scsi_id and lun.scsi_id in owners:
            copies.append(_copy(lun, ORIGINAL, "the SR's PBDs name this LUN"))
        else:
            copies.append(_copy(lun, CLONE, "the SR's PBDs name another LUN: " + names))
    return copies


def _by_themselves(luns: Sequence[Seen]) -> List[Dict[str, Any]]:
    copies = []
    for conflict in verbs.conflicts([(lun.repository, lun.node) for lun in luns]):
        for copy in conflict.copies:
            lun = next(lun for lun in luns if lun.path == copy.path)
            copies.append(_copy(lun, copy.role, *copy.reasons))
    return copies


def _copy(lun: Seen, role: str, *reasons: str) -> Dict[str, Any]:
    return {"device": lun.path, "scsi_id": lun.scsi_id, "role": role, "reasons": list(reasons)}
