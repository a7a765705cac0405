"""The VDIs of an attached clone: what must have come up, held against what the pool has."""

from collections.abc import Mapping, Sequence

from relun.core.identity import uuid5
from relun.pool.connection import Connection, Record
from relun.pool.errors import PoolRefused
from relun.pool.lun import Disk
from relun.pool.marks import Vdi


def checked_vdis(
    connection: Connection, sr: str, disks: Sequence[Disk], old: Mapping[str, str], where: str
) -> tuple[Vdi, ...]:
    """Return the VDIs of the disks on a LUN. Raise ApiFailure, PoolRefused (pool-vdis).

    Base copies need not be there: SM coalesces what it can as soon as it has scanned.
    """
    found = {
        record["uuid"]: (reference, record)
        for reference, record in connection.records_of("VDI", "SR", sr).items()
    }
    problems = [problem for disk in disks for problem in _problems(disk, found)]
    if problems:
        raise PoolRefused("pool-vdis", lun=where, problems=problems)
    return tuple(
        Vdi(found[disk.uuid][0], disk.uuid, old.get(disk.uuid, ""), disk.name, disk.size)
        for disk in disks
        if not disk.hidden
    )


def recalled(connection: Connection, original: str, new_sr: str) -> dict[str, str]:
    """Return new -> old uuids of VDIs by those of the original SR, where the pool has it.

    For an SR that was used since it was resigned, so that its own records tell nothing any more.
    """
    if not original:
        return {}
    vdis = connection.records_of("VDI", "SR", original).values()
    return {uuid5(new_sr, str(vdi["uuid"])): str(vdi["uuid"]) for vdi in vdis}


def _problems(disk: Disk, found: Mapping[str, tuple[str, Record]]) -> list[str]:
    if disk.uuid not in found:
        return [] if disk.hidden else [f"{disk.uuid} ({disk.name}) did not come up"]
    record = found[disk.uuid][1]
    problems = []
    if int(record["virtual_size"]) != disk.size:
        problems.append(f"{disk.uuid}: {record['virtual_size']} bytes instead of {disk.size}")
    if record["name_label"] != disk.name and not disk.hidden:
        problems.append(f"{disk.uuid}: called {record['name_label']!r} instead of {disk.name!r}")
    return problems
