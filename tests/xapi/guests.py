"""What runs inside VMs: whether an agent speaks up, what addresses it has, how it goes down."""

import threading
import uuid
import xmlrpc.client
from datetime import UTC, datetime
from typing import NamedTuple

from xapi.database import NULL, Database, Record


class Guest(NamedTuple):
    """A guest. ``agent``: seconds from the start until its agent reports, None for never.

    ``address``: what it has on every NIC that lets it through. ``obeys``: it goes down when asked.
    """

    agent: float | None = 0.0
    address: str = "192.0.2.77"
    obeys: bool = True


def now() -> xmlrpc.client.DateTime:
    """Return the time as xapi writes it."""
    return xmlrpc.client.DateTime(datetime.now(UTC).strftime("%Y%m%dT%H:%M:%SZ"))


class Guests:
    """The guests of a pool: the last one noted under the start of a VM's name is its guest."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._known: list[tuple[str, Guest]] = [("", Guest())]
        self._timers: list[threading.Timer] = []

    def put(self, name: str, guest: Guest) -> None:
        """Let all VMs whose names start like this have a guest."""
        self._known.append((name, guest))

    def of(self, vm: Record) -> Guest:
        """Return the guest of a VM."""
        return [guest for name, guest in self._known if vm["name_label"].startswith(name)][-1]

    def started(self, vm: str) -> None:
        """Let the guest of a VM that was just started come up."""
        record = self.db.get("VM", vm)
        guest = self.of(record)
        if guest.agent is not None:
            arguments = (vm, record["domid"], guest)
            timer = threading.Timer(guest.agent, self._report, arguments)
            timer.daemon = True
            self._timers.append(timer)
            timer.start()

    def stop(self) -> None:
        """Let no guest report any more."""
        for timer in self._timers:
            timer.cancel()

    def _report(self, vm: str, domid: str, guest: Guest) -> None:
        with self.db.lock:
            record = self.db.table("VM").get(vm)
            if record is None or record["domid"] != domid or record["power_state"] != "Running":
                return
            networks = {}
            for vif in self.db.find("VIF", VM=vm):
                each = self.db.get("VIF", vif)
                if each["locking_mode"] != "disabled" and each["currently_attached"]:
                    networks[f"{each['device']}/ip"] = guest.address
                    networks[f"{each['device']}/ipv4/0"] = guest.address
            self.db.remove("VM_guest_metrics", record["guest_metrics"])
            record["guest_metrics"] = self.db.add(
                "VM_guest_metrics",
                uuid=str(uuid.uuid4()),
                os_version={"name": "Debian GNU/Linux 12", "distro": "debian", "major": "12"},
                PV_drivers_version={"major": "8", "minor": "4", "micro": "0", "build": "1"},
                PV_drivers_up_to_date=True,
                PV_drivers_detected=True,
                networks=networks,
                other={"feature-shutdown": "1", "feature-reboot": "1", "feature-suspend": "1"},
                live=True,
                last_updated=now(),
            )


def drivers_detected(db: Database, vm: Record) -> bool:
    """Tell whether a VM's guest has reported PV drivers since its start."""
    metrics = db.table("VM_guest_metrics").get(vm["guest_metrics"], {})
    return bool(metrics.get("PV_drivers_detected"))


def forget(db: Database, vm: Record) -> None:
    """Forget what a guest reported: it may be another one after the next start."""
    db.remove("VM_guest_metrics", vm["guest_metrics"])
    vm["guest_metrics"] = NULL
