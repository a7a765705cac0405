"""A site for a test: storage network with LUN files, a pool of hosts, a client of its xapi."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import XenAPI

from support import golden
from xapi.pool import Host, Pool
from xapi.server import PASSWORD, USER, Server
from xapi.worlds import Dom0

TARGET = "192.0.2.200"
SECOND_TARGET = "192.0.2.201"


class Lun:
    """A LUN file on the storage network."""

    def __init__(
        self,
        file: Path,
        scsi_id: str,
        iqn: str,
        number: int,
        target: str = TARGET,
        port: int = 3260,
    ) -> None:
        self.file = file
        self.scsi_id = scsi_id
        self.iqn = iqn
        self.number = number
        self.target = target
        self.port = port

    @property
    def config(self) -> dict[str, str]:
        """The device-config that reaches it."""
        port = {} if self.port == 3260 else {"port": str(self.port)}
        return {"target": self.target, "targetIQN": self.iqn, "SCSIid": self.scsi_id, **port}


class Site:
    """Starts all of it; a context that stops it."""

    def __init__(self, folder: Path, world: str, python: str, hosts: int = 2) -> None:
        self.folder = folder
        self.python = python
        self.world = world
        self.fabric: dict[str, Any] = {"iqns": {}, "hba": [], "faults": {}}
        self.pool = Pool()
        self.server = Server(self.pool)
        self._fabric_file = folder / "fabric.json"
        self._write()
        for number in range(hosts):
            self.pool.add_host(self._dom0(number), python)

    def __enter__(self) -> "Site":
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.server.close()

    def install(self, **parts: bool) -> None:
        """Install relun on every host and restart the toolstacks, the master's last."""
        for host in reversed(self.pool.hosts):
            host.runner.dom0.install(**parts)
            self.pool.restart_toolstack(host)
        for host in self.pool.hosts:  # while one host lacked the types it took the pool's records
            self.pool.register(host)

    def client(self) -> Any:
        """Return a session of the official Python client."""
        session = XenAPI.Session(self.server.url)
        session.xenapi.login_with_password(USER, PASSWORD)
        return session

    def lun(self, image: str, iqn: str = "", chap: tuple[str, str] | None = None) -> Lun:
        """Put a copy of a sample image on the network; an IQN of its own unless one is given."""
        number = len(list(self.folder.glob("lun*.img")))
        file = golden.copy(image, self.folder, f"lun{number}.img")
        return self.export(Path(file), iqn, chap)

    def export(self, file: Path, iqn: str = "", chap: tuple[str, str] | None = None) -> Lun:
        """Put a file on the network, over iSCSI and Fibre Channel both."""
        number = len(self.fabric["hba"])
        scsi_id = f"36f47acc1000000006{number:014x}"
        iqn = iqn or f"iqn.2010-01.com.solidfire:vol.{number}"
        offered = self.fabric["iqns"].setdefault(iqn, {"targets": [TARGET], "luns": []})
        if chap:
            offered["chap"] = list(chap)
        entry: dict[str, Any] = {
            "SCSIid": scsi_id,
            "LUNid": str(len(offered["luns"])),
            "file": str(file),
            "size": os.path.getsize(file),
            "vendor": "SolidFir",
            "serial": f"{number:08d}",
        }
        offered["luns"].append(entry)
        self.fabric["hba"].append(entry)
        self._write()
        return Lun(file, scsi_id, iqn, int(entry["LUNid"]))

    def fault(self, name: str, value: Any = True) -> None:
        """Make something of the network or of a host go wrong; None ends it."""
        self.fabric["faults"][name] = value
        self._write()

    def multipathing(self) -> None:
        """Switch multipathing on, on every host."""
        for host in self.pool.hosts:
            config = self.pool.db.get("host", host.reference)["other_config"]
            config.update(multipathing="true", multipathhandle="dmp")

    @property
    def master(self) -> Host:
        """The pool's master."""
        return self.pool.master

    def traces(self) -> list[dict[str, list[str]]]:
        """Return what is left on the hosts, one entry a host that is not clean."""
        found = [host.runner.dom0.traces() for host in self.pool.hosts]
        return [left for left in found if left]

    def _dom0(self, number: int) -> Dom0:
        folder = self.folder / f"host{number}"
        return Dom0(folder, self.world, self._fabric_file, self.server.url)

    def _write(self) -> None:
        new = self._fabric_file.with_suffix(".new")
        new.write_text(json.dumps(self.fabric))
        new.replace(self._fabric_file)  # drivers may be reading it
