"""What a VM is made of: its own record, disks, drives and NICs, as xapi's database has them."""

from collections.abc import Mapping
from typing import NamedTuple

from relun.pool.connection import NULL, Connection, Record
from relun.pool.lookup import find_vm

# Records by class and reference.
Tables = Mapping[str, Mapping[str, Record]]

# What a VM may have that no call of xapi copies, by the field that lists or names it.
_UNCOPIED = {"VTPMs": "VTPM", "VGPUs": "vGPU", "VUSBs": "USB device"}


class Disk(NamedTuple):
    """A disk and how it is connected (``vbd``). ``sr_uuid``: the SR that its VDI stands on."""

    userdevice: str
    vdi_uuid: str
    sr_uuid: str
    name: str
    vbd: Record


class Nic(NamedTuple):
    """A virtual NIC and the network it is on."""

    device: str
    network_uuid: str
    network_name: str
    vif: Record


class VmRecord(NamedTuple):
    """``drives``: VBDs of CD drives. ``uncopied``: what else it has, e.g. a VTPM."""

    uuid: str
    name: str
    vm: Record
    disks: tuple[Disk, ...]
    drives: tuple[Record, ...]
    nics: tuple[Nic, ...]
    uncopied: tuple[str, ...]


def from_pool(connection: Connection, wanted: str) -> VmRecord:
    """Return a VM of the pool, by uuid or name. Raise PoolRefused."""
    reference, record = find_vm(connection, wanted)
    tables = {kind: connection.records(kind) for kind in ("VBD", "VDI", "SR", "VIF", "network")}
    return assembled({**tables, "VM": {reference: record}}, reference)


def assembled(tables: Tables, reference: str) -> VmRecord:
    """Put a VM together from the records it refers to."""
    vm = tables["VM"][reference]
    vbds = [tables["VBD"][each] for each in vm["VBDs"]]
    vifs = [tables["VIF"][each] for each in vm["VIFs"]]
    return VmRecord(
        uuid=vm["uuid"],
        name=vm["name_label"],
        vm=vm,
        disks=tuple(_disk(tables, vbd) for vbd in _ordered(vbds) if vbd["type"] == "Disk"),
        drives=tuple(vbd for vbd in _ordered(vbds) if vbd["type"] == "CD"),
        nics=tuple(_nic(tables, vif) for vif in sorted(vifs, key=lambda vif: int(vif["device"]))),
        uncopied=_uncopied(vm),
    )


def _ordered(vbds: list[Record]) -> list[Record]:
    return sorted(vbds, key=lambda vbd: int(vbd["userdevice"]))


def _disk(tables: Tables, vbd: Record) -> Disk:
    # A VDI or SR that is gone leaves a reference that leads nowhere.
    vdi = tables["VDI"].get(vbd["VDI"], {})
    sr = tables["SR"].get(vdi.get("SR", NULL), {})
    return Disk(
        vbd["userdevice"],
        vdi.get("uuid", ""),
        sr.get("uuid", ""),
        vdi.get("name_label", "") or f"disk {vbd['userdevice']}",
        vbd,
    )


def _nic(tables: Tables, vif: Record) -> Nic:
    network = tables["network"].get(vif["network"], {})
    return Nic(vif["device"], network.get("uuid", ""), network.get("name_label", ""), vif)


def _uncopied(vm: Record) -> tuple[str, ...]:
    found = [word for field, word in _UNCOPIED.items() if vm.get(field)]
    return (*found, "PCI device") if vm["other_config"].get("pci") else tuple(found)
