"""The whole lab in one object: a guest, its target, multipath and LVM, and the LUN files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.guest import INSIDE, Guest, GuestError, relun_command
from lab.lvm import Lvm
from lab.target import PORTALS, Lun, Multipath, Target
from support import golden

SR_UUID = "5eed5eed-0000-4000-8000-0000000000ff"


class Lab:
    """All that a scenario needs."""

    def __init__(self, guest: Guest) -> None:
        """Start the daemons of a booted guest."""
        self.guest = guest
        self.target = Target(guest)
        self.multipath = Multipath(self.target)
        self.lvm = Lvm(guest)
        self.target.start()

    def lun_file(self, image: str, called: str = "") -> Path:
        """A fresh copy of a sample image, where the target can export it."""
        return Path(golden.copy(image, self.target.folder, called))

    def attach(
        self, name: str, file: Path, portals: Sequence[str] = PORTALS[:1]
    ) -> tuple[Lun, str]:
        """Export a LUN file and log in to it; returns the LUN and its first device."""
        lun = self.target.export(name, file)
        return lun, self.target.login(lun, portals)[0]

    def relun(self, *words: str) -> Any:
        """Run a verb that must succeed, with ``--json``; returns what it printed."""
        return json.loads(self.guest.check(relun_command([*words, "--json"])))

    def refused(self, *words: str) -> str:
        """Run a verb that must refuse and change nothing; returns its words."""
        result = self.guest.relun(*words)
        assert result.code == 1, result
        assert "Nothing was changed." in result.err, result
        return result.err

    def resign(self, *words: str) -> Any:
        """Resign to the tests' SR uuid; returns the outcome as JSON."""
        return self.relun("resign", "--yes", "--sr-uuid", SR_UUID, *words)["outcome"]

    def reference(self, image: str, lun: Lun) -> Path:
        """What one undisturbed resign makes of a fresh copy, on a plain LUN with ``lun``'s ids.

        Nothing else may be attached any more: two LUNs with one SCSI id are not for one host.
        """
        self.target.clear()
        file = self.lun_file(image, "reference")
        copy = self.target.export("reference", file, scsi_id=lun.scsi_id, serial=lun.serial)
        self.resign(*self.target.login(copy))
        self.target.clear()
        return file

    def stepped(self, how: str, *words: str) -> str:
        """The command of a relun that stops itself between two operations: inside/stepped.py."""
        return relun_command([how, *words], program=str(INSIDE / "stepped.py"))

    def power_cycle(self, udev: bool = True) -> None:
        """Cut the guest's power and start it again; only the LUN files are left."""
        self.guest.reboot()
        self.target.start(udev)

    def clear(self) -> None:
        """Leave nothing to the next test, if need be by a reboot."""
        try:
            if not self.guest.alive:
                raise GuestError("the test ended the guest")
            self.target.clear()
        except GuestError:
            self.power_cycle()
        for path in self.target.folder.iterdir():
            path.unlink()
