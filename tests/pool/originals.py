"""VMs as a pool in use has them: with everything that a restored one must not take over."""

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from pool.site import PoolLun, PoolSite
from relun.core.identity import uuid5
from relun.pool.attach import attach
from relun.pool.connection import Address, Connection, connect
from relun.pool.lun import target_of
from relun.pool.marks import Attached
from remote.servers import Tgt
from xapi.schema import NULL
from xapi.server import PASSWORD, USER

_QOS: dict[str, Any] = {"qos_algorithm_type": "", "qos_algorithm_params": {}}


class Scene(NamedTuple):
    """An original SR with a VM on it, and an attached clone of its LUN."""

    site: PoolSite
    lun: PoolLun
    clone_lun: PoolLun
    clone: Attached
    vm: str  # references
    sr: str
    network: str
    vdis: dict[str, str]  # by name; references

    def record(self, kind: str, reference: str) -> dict[str, Any]:
        """Return a record as it is now."""
        found: dict[str, Any] = self.site.pool.db.get(kind, reference)
        return found

    def parts(self, kind: str, vm: str) -> list[dict[str, Any]]:
        """Return VBDs or VIFs of a VM, by device."""
        field = "userdevice" if kind == "VBD" else "device"
        found = [self.record(kind, each) for each in self.site.pool.db.find(kind, VM=vm)]
        return sorted(found, key=lambda record: str(record[field]))

    def copy_of(self, name: str) -> str:
        """Return the reference of the copy of a disk."""
        old = self.record("VDI", self.vdis[name])["uuid"]
        found: str = self.site.pool.db.by_uuid("VDI", uuid5(self.clone.sr_uuid, old))
        return found


def staged(folder: Path, tgt: Tgt) -> Iterator[Scene]:
    """A scene for all tests of a module; on two hosts."""
    site = PoolSite(folder, tgt, hosts=2)
    with site:
        with login(site) as connection:
            made = scene(site, connection)
        yield made


def as_before(there: Scene) -> Iterator[Scene]:
    """Give back the pool's database as it was, after a test that only made calls of VMs."""
    db = there.site.pool.db
    with db.lock:
        kept = {name: copy.deepcopy(db.table(name)) for name in db.tables if name != "session"}
    yield there
    there.site.mend()
    with db.lock:
        for name in set(db.tables) - {"session"}:
            table = db.table(name)
            table.clear()
            table.update(kept.get(name, {}))


def login(site: PoolSite) -> AbstractContextManager[Connection]:
    """A session with the site's pool."""
    return connect(Address(site.url, USER, PASSWORD))


def scene(site: PoolSite, connection: Connection, image: str = "chain") -> Scene:
    """Make it: the original is attached, cloned by the array, the clone is attached beside it."""
    lun = site.lun(image)
    sr = site.attach(lun, "iSCSI")
    network = site.pool.db.add("network", name_label="LAN", bridge="xenbr0", other_config={})
    vdis = disks_of(site, sr)
    vm = add_vm(site, "files", list(vdis.values())[:2], network)
    clone_lun = site.clone(lun)
    clone = attach(connection, target_of(clone_lun.typed))
    return Scene(site, lun, clone_lun, clone, vm, sr, network, vdis)


def disks_of(site: PoolSite, sr: str) -> dict[str, str]:
    """Return an SR's disks, snapshots and base copies left out, by name."""
    db = site.pool.db
    found = {}
    for reference in db.find("VDI", SR=sr, managed=True, is_a_snapshot=False):
        record = db.get("VDI", reference)
        found[f"{record['name_label']} {record['uuid'][:4]}"] = reference
    return dict(sorted(found.items()))


def add_vm(site: PoolSite, name: str, vdis: list[str], network: str = "") -> str:
    """Add a VM with these disks, a CD in its drive, and one NIC."""
    db = site.pool.db
    appliance = db.add("VM_appliance", name_label="the office", name_description="")
    vm: str = db.add(
        "VM",
        name_label=name,
        name_description="Größe & <Farbe>",
        user_version="1",
        is_a_template=False,
        affinity=site.master.reference,
        memory_target="0",
        memory_static_max="2147483648",
        memory_dynamic_max="2147483648",
        memory_dynamic_min="1073741824",
        memory_static_min="536870912",
        VCPUs_params={"weight": "256"},
        VCPUs_max="2",
        VCPUs_at_startup="2",
        actions_after_shutdown="destroy",
        actions_after_reboot="restart",
        actions_after_crash="restart",
        PV_bootloader="",
        PV_kernel="",
        PV_ramdisk="",
        PV_args="",
        PV_bootloader_args="",
        PV_legacy_args="",
        HVM_boot_policy="BIOS order",
        HVM_boot_params={"order": "cdn", "firmware": "uefi"},
        HVM_shadow_multiplier=1.0,
        domain_type="hvm",
        platform={"timeoffset": "0", "viridian": "true", "vtpm": "true"},
        NVRAM={"EFI-variables": "AAAA"},
        PCI_bus="",
        other_config={
            "auto_poweron": "true",
            "mac_seed": "11111111-0000-4000-8000-000000000000",
            "folder": "/office",
            "pci": "0/0000:3b:00.0",
            "xo:backup:job": "nightly",
        },
        recommendations="<restrictions/>",
        xenstore_data={"vm-data/role": "files", "device/vbd": "x"},
        ha_always_run=True,
        ha_restart_priority="restart",
        tags=["backup"],
        appliance=appliance,
        start_delay="10",
        shutdown_delay="20",
        order="3",
        version="0",
        generation_id="1:2",
        has_vendor_device=True,
        reference_label="windows-server-2022-64bit",
    )
    for number, vdi in enumerate(vdis):
        db.add(
            "VBD",
            VM=vm,
            VDI=vdi,
            userdevice=str(number),
            bootable=number == 0,
            mode="RW",
            type="Disk",
            empty=False,
            unpluggable=True,
            other_config={"owner": "true"},
            qos_algorithm_type="ionice",
            qos_algorithm_params={"sched": "rt"},
        )
    iso = db.add(
        "VDI", SR=NULL, name_label="tools.iso", type="user", read_only=True, virtual_size="1"
    )
    drive = {"userdevice": "3", "bootable": False, "mode": "RO", "type": "CD", "empty": False}
    db.add("VBD", VM=vm, VDI=iso, unpluggable=True, other_config={}, **drive, **_QOS)
    if network:
        db.add(
            "VIF",
            VM=vm,
            network=network,
            device="0",
            MAC="00:16:3e:00:00:01",
            MTU="1500",
            other_config={"ethtool-gso": "off"},
            locking_mode="locked",
            ipv4_allowed=["192.0.2.17"],
            **_QOS,
        )
    return vm
