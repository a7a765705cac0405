"""The whole lab in one object: a guest, its target, multipath and LVM, and the LUN files."""

from pathlib import Path

from lab.guest import Guest, GuestError
from lab.lvm import Lvm
from lab.target import Multipath, Target
from support import golden


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

    def power_cycle(self) -> None:
        """Cut the guest's power and start it again; only the LUN files are left."""
        self.guest.reboot()
        self.target.start()

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
