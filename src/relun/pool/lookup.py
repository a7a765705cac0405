"""Finds what the caller means by a uuid or a name."""

from collections.abc import Callable, Mapping

from relun.core.names import is_uuid
from relun.pool.connection import Connection, Record
from relun.pool.errors import PoolRefused
from relun.pool.marks import ORIGINAL_SR


def find_vm(connection: Connection, wanted: str) -> tuple[str, Record]:
    """Return a VM's reference and record: by uuid, or by a name that no other VM has.

    Templates, snapshots and control domains do not count. Raise PoolRefused (pool-vm-missing,
    pool-several, pool-vm-kind).
    """
    if is_uuid(wanted):
        reference = connection.find("VM", wanted)
        if not reference:
            raise PoolRefused("pool-vm-missing", vm=wanted)
        record = connection.record("VM", reference)
        if not is_ordinary(record):
            raise PoolRefused("pool-vm-kind", vm=record["name_label"])
        return reference, record
    vms = connection.records("VM")
    return _only_one(vms, wanted, "VM", "pool-vm-missing", is_ordinary)


def is_ordinary(vm: Record) -> bool:
    """Is this a VM that can be restored: no template, snapshot or control domain?"""
    return not (vm["is_a_template"] or vm["is_a_snapshot"] or vm["is_control_domain"])


def find_clone(connection: Connection, wanted: str) -> tuple[str, Record, str]:
    """Return reference and record of an attached clone, and the uuid of the SR it is a copy of.

    Raise PoolRefused (pool-sr-missing, pool-several, pool-sr-unmarked).
    """
    if is_uuid(wanted):
        reference = connection.find("SR", wanted)
        if not reference:
            raise PoolRefused("pool-sr-missing", sr=wanted)
        record = connection.record("SR", reference)
    else:
        reference, record = _only_one(
            connection.records("SR"), wanted, "SR", "pool-sr-missing", lambda _sr: True
        )
    original = record["other_config"].get(ORIGINAL_SR, "")
    if not original:
        raise PoolRefused("pool-sr-unmarked", sr=record["name_label"], uuid=record["uuid"])
    return reference, record, original


def find_network(connection: Connection, wanted: str) -> str:
    """Return a network's reference. Raise PoolRefused (pool-network-missing, pool-several)."""
    networks = connection.records("network")
    if is_uuid(wanted):
        for reference, network in networks.items():
            if network["uuid"] == wanted:
                return reference
        raise PoolRefused("pool-network-missing", network=wanted)
    missing = "pool-network-missing"
    reference, _record = _only_one(networks, wanted, "network", missing, lambda _network: True)
    return reference


def _only_one(
    records: Mapping[str, Record],
    name: str,
    kind: str,
    missing: str,
    counts: Callable[[Record], bool],
) -> tuple[str, Record]:
    named = [
        (reference, record)
        for reference, record in records.items()
        if record["name_label"] == name and counts(record)
    ]
    if not named:
        raise PoolRefused(missing, **{kind.lower(): name})
    if len(named) > 1:
        uuids = sorted(record["uuid"] for _reference, record in named)
        raise PoolRefused("pool-several", kind=kind, name=name, uuids=uuids)
    return named[0]
