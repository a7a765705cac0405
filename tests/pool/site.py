"""A site for tests of ``relun pool``: a pool, and LUNs that it and relun both reach.

A LUN's file is on the stand-in's storage network, where the hosts' drivers find it, and behind a
real iSCSI target on the loopback interface, where relun finds it: at the same portal, with the
same IQN, number and SCSI id.
"""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import XenAPI

from pool import certificate
from remote.servers import HOST, IQN, Tgt
from support import compare, golden
from xapi import faults
from xapi.faults import Call, Fault
from xapi.guests import Guest
from xapi.pool import Host
from xapi.server import Server
from xapi.site import Lun, Site

Chap = tuple[str, str]
GIB = 1 << 30
# Records as clients give them to VM.create, VBD.create and VIF.create.
VM_RECORD: dict[str, Any] = {
    "name_label": "vm",
    "name_description": "a file server",
    "user_version": "1",
    "is_a_template": False,
    "affinity": "OpaqueRef:NULL",
    "memory_static_min": str(GIB),
    "memory_dynamic_min": str(2 * GIB),
    "memory_dynamic_max": str(2 * GIB),
    "memory_static_max": str(4 * GIB),
    "VCPUs_params": {"weight": "512"},
    "VCPUs_max": "4",
    "VCPUs_at_startup": "2",
    "actions_after_shutdown": "destroy",
    "actions_after_reboot": "restart",
    "actions_after_crash": "restart",
    "PV_bootloader": "",
    "PV_kernel": "",
    "PV_ramdisk": "",
    "PV_args": "",
    "PV_bootloader_args": "",
    "PV_legacy_args": "",
    "HVM_boot_policy": "BIOS order",
    "HVM_boot_params": {"order": "cd", "firmware": "uefi"},
    "HVM_shadow_multiplier": 1.0,
    "platform": {"viridian": "true", "device-model": "qemu-upstream-uefi", "vga": "std"},
    "PCI_bus": "",
    "other_config": {"auto_poweron": "true", "base_template_name": "Debian Bookworm 12"},
    "recommendations": "<restrictions/>",
    "xenstore_data": {"vm-data/role": "files"},
    "ha_restart_priority": "restart",
    "tags": ["backup"],
    "start_delay": "5",
    "order": "1",
    "NVRAM": {"EFI-variables": "AAAA"},
}
VBD_RECORD: dict[str, Any] = {
    "bootable": False,
    "mode": "RW",
    "type": "Disk",
    "unpluggable": True,
    "empty": False,
    "other_config": {},
    "qos_algorithm_type": "",
    "qos_algorithm_params": {},
}
VIF_RECORD: dict[str, Any] = {
    "MAC": "",
    "MTU": "1500",
    "other_config": {},
    "qos_algorithm_type": "",
    "qos_algorithm_params": {},
}
_NUMBERS = itertools.count()  # one target daemon serves many sites, one after the other


class PoolLun(Lun):
    """A LUN of the site. ``source``: the file it is a copy of."""

    def __init__(
        self, file: Path, scsi_id: str, iqn: str, number: int, port: int, source: Path, chap: Chap
    ) -> None:
        super().__init__(file, scsi_id, iqn, number, HOST, port)
        self.source = source
        self.chap = chap

    @property
    def address(self) -> str:
        """Where relun finds it, as it may be shown: the user's name in it, the password not."""
        user = self.chap[0] + "@" if self.chap[0] else ""
        return f"iscsi://{user}{HOST}:{self.port}/{self.iqn}/{self.number}"

    @property
    def typed(self) -> str:
        """The address as a user types it, with the password in it."""
        return self.address.replace("@", f"%{self.chap[1]}@", 1) if self.chap[0] else self.address

    @property
    def config(self) -> dict[str, str]:
        """The device-config that reaches it."""
        user, password = self.chap
        given = {"chapuser": user, "chappassword": password} if user else {}
        return super().config | given

    def unchanged(self) -> bool:
        """Tell whether no byte differs from what it is a copy of."""
        return not compare.differences(str(self.file), str(self.source))


class Held:
    """A driver's command that waits. ``reached``: it does by now."""

    def __init__(self, command: str) -> None:
        self.command = command
        self.reached = threading.Event()
        self._released = threading.Event()

    def wait(self, command: str) -> None:
        """Wait, if it is this command."""
        if command == self.command:
            self.reached.set()
            self._released.wait()

    def release(self) -> None:
        """Let it go on."""
        self._released.set()


class PoolSite(Site):
    """A pool of hosts without relun on them, their drivers run by the Python of the tests.

    ``address`` of the pool for clients is ``url``; with ``tls`` it shows a certificate of its own,
    which ``ca`` holds.
    """

    def __init__(
        self, folder: Path, tgt: Tgt, hosts: int = 3, world: str = "renamed", tls: bool = False
    ) -> None:
        super().__init__(folder, world, sys.executable, hosts)
        self.tgt = tgt
        self._number = next(_NUMBERS)
        self.ca = folder / "ca.pem"
        self._targets: dict[str, int] = {}  # IQN -> tgt's number
        self._units: dict[str, int] = {}  # IQN -> LUNs so far
        addresses = [f"127.0.0.{number + 1}" for number in range(hosts)]
        self._certificate = certificate.make(folder, *addresses) if tls else None
        for host, address in zip(self.pool.hosts, addresses):
            self.pool.db.get("host", host.reference)["address"] = address
            self.pool.restart_toolstack(host)
        self._held: list[Held] = []
        self._servers = [Server(self.pool, HOST, 0, self.master, self._certificate)]

    @property
    def url(self) -> str:
        """The address of the pool's master."""
        return self._servers[0].url

    def url_of(self, host: Host) -> str:
        """Return another host's address; it answers from now on."""
        address = self.pool.db.get("host", host.reference)["address"]
        if host is self.master:
            return self.url
        port = self._servers[0].port
        self._servers.append(Server(self.pool, address, port, host, self._certificate))
        return self._servers[-1].url

    def close(self) -> None:
        """Stop everything; calls that hang lose their connection."""
        self.mend()
        self.pool.guests.stop()
        for server in (*self._servers, self.server):
            server.close()
        for target in self._targets.values():
            self.tgt.remove(target)

    def __exit__(self, *_exc: Any) -> None:
        self.close()

    def client(self) -> Any:
        """Return a session of the official Python client. It makes no calls that are noted."""
        session = XenAPI.Session(self.server.url)
        session._session = self.pool.new_session()
        return session

    # --- LUNs

    def lun(self, image: str, iqn: str = "", chap: Chap | None = None) -> PoolLun:
        """Put a copy of a sample image on the network; an IQN of its own unless one is given."""
        return self.export(Path(golden.image(image)), iqn, chap)

    def clone(self, lun: PoolLun, iqn: str = "", chap: Chap | None = None) -> PoolLun:
        """Do what an array does: a copy of a LUN as it is now, at another address."""
        return self.export(lun.file, iqn, chap)

    def export(self, file: Path, iqn: str = "", chap: Chap | None = None) -> PoolLun:
        """Put a copy of a file on the network."""
        count = len(self.fabric["hba"])
        copy = self.folder / f"lun{count}.img"
        subprocess.check_call(["cp", "--sparse=always", str(file), str(copy)])
        copy.chmod(0o644)
        source = file if file.parent != self.folder else self._kept(copy)
        iqn = iqn or f"{IQN}site{self._number}-lun{count}"
        offered = self.fabric["iqns"].setdefault(
            iqn, {"targets": [HOST], "port": self.tgt.port, "luns": []}
        )
        user, password = chap or tuple(offered.get("chap", ("", "")))
        if iqn not in self._targets:
            login = {"user": user, "password": password} if user else {}
            self._targets[iqn] = self.tgt.target(iqn[len(IQN) :], **login)
            if user:
                offered["chap"] = [user, password]
        unit = self._units[iqn] = self._units.get(iqn, 0) + 1  # LUN 0 is tgt's own controller
        scsi_id = f"6f47acc1{self.tgt.port:08x}{count:016x}"
        serial = f"{count:08d}"
        self.tgt.lun(self._targets[iqn], copy, unit, scsi_id=scsi_id, scsi_sn=serial)
        entry = {
            "SCSIid": "3" + scsi_id,
            "LUNid": str(unit),
            "file": str(copy),
            "size": copy.stat().st_size,
            "vendor": "SolidFir",
            "serial": serial,
        }
        offered["luns"].append(entry)
        self.fabric["hba"].append(entry)
        self._write()
        return PoolLun(copy, "3" + scsi_id, iqn, unit, self.tgt.port, source, (user, password))

    def _kept(self, file: Path) -> Path:
        """Return a copy of a LUN's file as it is now: the LUN it comes from will change."""
        kept = file.with_suffix(".source")
        subprocess.check_call(["cp", "--sparse=always", str(file), str(kept)])
        return kept

    def hide(self, lun: Lun, *hosts: Host) -> None:
        """Let some hosts not see a LUN, as if the array had not mapped it to them."""
        for entry in self.fabric["hba"]:
            if entry["SCSIid"] == lun.scsi_id:
                entry["hidden"] = [str(host.runner.dom0.root) for host in hosts]
        self._write()

    def power_off(self, host: Host) -> None:
        """Let a host be down: xapi sends it nothing any more."""
        with self.pool.db.lock:
            metrics = self.pool.db.get("host", host.reference)["metrics"]
            self.pool.db.get("host_metrics", metrics)["live"] = False

    def attach(self, lun: PoolLun, name: str = "original") -> str:
        """Attach a LUN's SR as it is, on every host; return its reference."""
        api = self.client().xenapi
        found = api.SR.probe(self.master.reference, lun.config, "lvmoiscsi", {})
        uuids = re.findall(r"<UUID>\s*(\S+)\s*</UUID>", found)
        assert len(uuids) == 1, found
        sr = api.SR.introduce(uuids[0], name, "", "lvmoiscsi", "user", True, {})
        for host in self.pool.hosts:
            record = {"SR": sr, "host": host.reference, "device_config": lun.config}
            api.PBD.plug(api.PBD.create(record))
        api.SR.scan(sr)
        return str(sr)

    # --- VMs

    def disks(self, sr: str) -> list[str]:
        """Return an SR's disks that a VM may have: managed, no snapshots, by name and uuid."""
        records = self.client().xenapi.VDI.get_all_records().items()
        found = [
            (record["name_label"], record["uuid"], vdi)
            for vdi, record in records
            if record["SR"] == sr
            and record["managed"]
            and not record["is_a_snapshot"]
            and record["type"] == "user"
        ]
        return [vdi for _name, _uuid, vdi in sorted(found)]

    def network(self, name: str, nics: bool = True) -> str:
        """Return the network of a name, made if need be: with a NIC of every host, or internal."""
        api = self.client().xenapi
        for known in api.network.get_by_name_label(name):
            return str(known)
        network = api.network.create(
            {"name_label": name, "name_description": "", "MTU": "1500", "other_config": {}}
        )
        if nics:
            with self.pool.db.lock:
                pifs = [f"OpaqueRef:nic-{name}-{number}" for number in range(len(self.pool.hosts))]
                self.pool.db.get("network", network)["PIFs"] = pifs
        return str(network)

    def vm(
        self, name: str, vdis: Sequence[str], networks: Sequence[str] = ("LAN",), **fields: Any
    ) -> str:
        """Return a VM with disks at 0, 1, …, an empty drive at 3, NICs on networks of these names.

        ``fields``: other values for fields of its record, see ``VM_RECORD``.
        """
        api = self.client().xenapi
        vm = api.VM.create({**VM_RECORD, "name_label": name, **fields})
        places = [number for number in range(len(vdis) + 1) if number != 3]
        for place, vdi in zip(places, vdis):
            own = {"VM": vm, "VDI": vdi, "userdevice": str(place), "bootable": place == 0}
            api.VBD.create({**VBD_RECORD, **own})
        drive = {"VM": vm, "VDI": "OpaqueRef:NULL", "userdevice": "3", "empty": True}
        api.VBD.create({**VBD_RECORD, **drive, "mode": "RO", "type": "CD"})
        for number, network in enumerate(networks):
            own = {"VM": vm, "device": str(number), "network": self.network(network)}
            api.VIF.create({**VIF_RECORD, **own})
        return str(vm)

    def guest(
        self,
        name: str = "",
        agent: float | None = 0.0,
        address: str = "192.0.2.77",
        obeys: bool = True,
    ) -> None:
        """Say what runs in the VMs whose names start like this.

        ``agent``: seconds from the start until the guest agent reports, None for never.
        ``address``: of every NIC that lets it through. ``obeys``: it shuts down when asked.
        """
        self.pool.guests.put(name, Guest(agent, address, obeys))

    # --- what goes wrong, and what was done

    def fail(
        self,
        name: str = faults.ANY,
        at: int = 1,
        code: tuple[str, ...] = ("INTERNAL_ERROR", "wanted by the test"),
        after: bool = False,
        times: int = 1,
    ) -> Fault:
        """Make the ``at``-th call of this name (``*``: any) from now on fail with xapi's error.

        ``after``: when it has done its work. ``times``: so many in a row, 0 for all.
        """
        return self.pool.faults.fail(name, at, code, after, times)

    def drop(self, name: str = faults.ANY, at: int = 1, after: bool = False) -> Fault:
        """Make the connection end during a call, without an answer."""
        return self.pool.faults.fail(name, at, (), after, kind=faults.DROP)

    def hang(self, name: str = faults.ANY, at: int = 1, after: bool = False) -> Fault:
        """Make a call have no answer, until ``mend`` or the end of the site."""
        return self.pool.faults.fail(name, at, (), after, kind=faults.HANG)

    def hold(self, command: str, host: Host) -> Held:
        """Let a host's driver not begin with its next command of this name until released."""
        held = Held(command)
        host.runner.before = held.wait
        self._held.append(held)
        return held

    def mend(self) -> None:
        """Let nothing more go wrong, and nothing wait."""
        self.pool.faults.clear()
        for held in self._held:
            held.release()

    @property
    def calls(self) -> list[Call]:
        """All calls of clients so far."""
        return self.pool.faults.calls

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of the pool's database, to be compared with a later one."""
        return self.pool.db.snapshot()

    @property
    def sessions(self) -> list[str]:
        """The sessions of clients that have not been closed."""
        with self.pool.db.lock:
            sessions = self.pool.db.table("session").items()
            return [each for each, record in sessions if not record["other_config"]]
