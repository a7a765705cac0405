"""Storage for the guest: LUNs behind an iSCSI target of its own, logged in to by its own initiator.

tgt is the target, open-iscsi the initiator. As at most arrays one target holds one LUN (number 1).
The portals are addresses of the loopback interface, so each can be taken away like a cable.
"""

import itertools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lab.guest import CHANNEL, Guest, GuestError, quote

PORTALS = ("127.0.0.1", "127.0.0.2")
IQN = "iqn.2024-01.lab:"

# Mode page 8 (caching) as tgt's own tgt-admin sets it; bit 2 of its first byte is "write cache".
_CACHING = "mode_page=8:0:18:{:#x}:0:0xff:0xff:0:0:0xff:0xff:0xff:0xff:0x80:0x14:0:0:0:0:0:0"

# Timeouts short enough for tests: a lost path is reported after about two seconds.
_UDEV = "[ -e /run/udev/control ] || /lib/systemd/systemd-udevd --daemon\n"
_START = r"""
modprobe -a sd_mod iscsi_tcp dm-mod loop
sed -i -e 's/^\(node.session.timeo.replacement_timeout\).*/\1 = 1/' \
  -e 's/^\(node.conn\[0\].timeo.noop_out_\(interval\|timeout\)\).*/\1 = 1/' \
  -e 's/^\(node.session.err_timeo.[a-z_]*\).*/\1 = 2/' /etc/iscsi/iscsid.conf
tgtd --iscsi portal=127.0.0.1:3260,portal=127.0.0.2:3260
iscsid
for try in {1..100}; do
  tgtadm --lld iscsi --mode system --op show >/dev/null 2>&1 && break
  sleep 0.05
done
tgtadm --lld iscsi --mode system --op show >/dev/null
"""

# Everything that one test may leave behind, from the top of the stack down. Needs no state.
_CLEAR = r"""
for job in /run/lab/*; do
  [ -e $job ] && read -r group <$job && kill -KILL -- -$group
  rm -f $job
done
for address in 127.0.0.1 127.0.0.2; do
  ip address add $address/32 dev lo 2>/dev/null
done
for state in /sys/block/sd*/device/state; do
  [ -e $state ] && echo running >$state
done
awk '$1 ~ "^/dev/(mapper|sd|dm)" {print $2}' /proc/mounts | xargs -r umount
if [ -e /etc/multipath.conf ]; then
  pid=$(pidof multipathd) && kill $pid && while [ -e /proc/$pid ]; do sleep 0.02; done
  rm -f /etc/multipath.conf /etc/multipath/wwids /etc/multipath/bindings
fi
for try in 1 2 3; do
  compgen -G '/sys/block/dm-*' >/dev/null || break
  dmsetup remove_all --force --noudevsync
done 2>/dev/null
[ -e /etc/iscsi/nodes ] && iscsiadm -m node --logout >/dev/null 2>&1
rm -rf /etc/iscsi/nodes /etc/iscsi/send_targets
rm -f /dev/mapper/VG_* ; rm -rf /dev/VG_*
for tid in $(tgtadm --lld iscsi --mode target --op show | sed -n 's/^Target \([0-9]*\):.*/\1/p'); do
  tgtadm --lld iscsi --mode target --op delete --force --tid $tid
done
losetup -D
udevadm settle
echo 3 >/proc/sys/vm/drop_caches
! compgen -G '/sys/block/sd*' && ! compgen -G '/sys/block/dm-*'
"""


class Lun(NamedTuple):
    """One exported LUN."""

    name: str
    number: int  # of the target
    file: Path  # on the host, in the channel's luns folder
    backing: str  # what the target opens in the guest: the file, or a loop device over it
    scsi_id: str  # NAA identifier, 32 hex digits; the kernel calls it naa.<digits>, udev 3<digits>
    serial: str
    unit: int = 1  # its number in the target

    @property
    def iqn(self) -> str:
        """Name of the target that holds the LUN."""
        return IQN + self.name

    @property
    def wwid(self) -> str:
        """The id as multipath and udev spell it: also the name of the multipath map."""
        return "3" + self.scsi_id


class Target:
    """The guest's iSCSI target and initiator."""

    def __init__(self, guest: Guest) -> None:
        """Use a booted guest; :meth:`start` it before anything else."""
        self.guest = guest
        self._count = 0

    @property
    def folder(self) -> Path:
        """Host folder for LUN files."""
        return self.guest.folder / "luns"

    def start(self, udev: bool = True) -> None:
        """Load the modules, start tgtd, iscsid and, unless told otherwise, udevd.

        Without udevd a LUN has its kernel name alone; a login takes a fraction of the time.
        """
        self.guest.check((_UDEV if udev else "") + _START)

    def stop_udev(self) -> None:
        """End udevd, until :meth:`clear` or :meth:`start`."""
        self.guest.check(
            "udevadm control --exit; while pidof -q systemd-udevd; do sleep 0.02; done"
        )

    def clear(self) -> None:
        """Take everything down that a test left: maps, sessions, targets. Raises GuestError."""
        result = self.guest.run(_UDEV + _CLEAR, timeout=40)
        if result.code != 0:
            raise GuestError("devices are left in the guest:\n" + result.words)

    def export(
        self,
        name: str,
        file: Path | str,
        *,
        scsi_id: str = "",
        serial: str = "",
        block_size: int = 512,
        read_only: bool = False,
        write_cache: bool = True,
        volatile: bool = False,
    ) -> Lun:
        """Offer a LUN file at all portals.

        ``file`` lies in :attr:`folder`, or is a path inside the guest (a string). ``volatile`` puts
        the guest's page cache between target and file: what was written and not flushed is lost
        with the guest, as in an array whose cache has no battery.
        """
        self._count += 1
        number = self._count
        lun = Lun(
            name,
            number,
            file if isinstance(file, Path) else Path(file),
            file if isinstance(file, str) else CHANNEL + "/luns/" + file.name,
            scsi_id or "600a0b8000{:06x}{:016x}".format(number, 0xC10E0000 + number),
            serial or "LAB{:05d}".format(number),
        )
        if volatile:
            options = "--sector-size {}".format(block_size)
            loop = self.guest.check(
                "losetup --find --show {} {}".format(options, quote(lun.backing))
            )
            lun = lun._replace(backing=loop.strip())
        self.guest.check(
            't() {{ tgtadm --lld iscsi --tid {} "$@"; }}\n'.format(number)
            + "t --mode target --op new --targetname {}\n".format(lun.iqn)
            + self._unit_commands(lun, block_size, read_only, write_cache)
            + "t --mode target --op bind --initiator-address ALL\n"
        )
        return lun

    def export_many(self, name: str, files: Sequence[Path]) -> list[Lun]:
        """Offer many LUN files as units of one target, each behind a volatile cache.

        All have the same SCSI id and serial: they are one LUN at several moments. Only the kernel's
        names tell them apart, so keep udev, multipath and LVM away from them.
        """
        self._count += 1
        script = (
            't() {{ tgtadm --lld iscsi --tid {} "$@"; }}\n'
            "t --mode target --op new --targetname {}{}\n"
            "t --mode target --op bind --initiator-address ALL\n"
        ).format(self._count, IQN, name)
        luns = []
        for unit, file in enumerate(files, 1):
            loop = "/dev/loop{}".format(unit)
            lun = Lun(name, self._count, file, loop, "600a0b80" + "5" * 24, "LAB-MANY", unit)
            script += "losetup {} {}/luns/{}\n".format(loop, CHANNEL, file.name)
            script += self._unit_commands(lun, 512, False, True)
            luns.append(lun)
        self.guest.check(script)
        return luns

    def login_many(self, luns: Sequence[Lun]) -> list[str]:
        """Log in to the target of :meth:`export_many`; returns the devices in the LUNs' order."""
        self.guest.check(
            "iscsiadm -m node -o new -T {0} -p {1} >/dev/null\n"
            "iscsiadm -m node -T {0} -p {1} --login >/dev/null\n".format(luns[0].iqn, PORTALS[0])
            + _await_disks(luns[0], len(luns))
            + "udevadm settle\n"
        )
        return [self.paths(lun)[PORTALS[0]] for lun in luns]

    def replace_unit(
        self,
        lun: Lun,
        *,
        block_size: int = 512,
        read_only: bool = False,
        write_cache: bool = True,
    ) -> None:
        """Take the LUN's unit away and offer it anew: after a resize, or with other properties.

        The initiator notices with its next command or with :meth:`rescan`.
        """
        self.guest.check(
            't() {{ tgtadm --lld iscsi --tid {} "$@"; }}\n'.format(lun.number)
            + "t --mode logicalunit --op delete --lun 1\n"
            + self._unit_commands(lun, block_size, read_only, write_cache)
        )

    def resize(self, lun: Lun, size: int) -> None:
        """Grow or shrink a LUN to ``size`` bytes, and let the initiator see it."""
        with lun.file.open("r+b") as image:
            image.truncate(size)
        self.replace_unit(lun)
        self.rescan(lun)

    def remove(self, lun: Lun) -> None:
        """Take the unit out of its target, under running sessions: the array unmaps the LUN."""
        self.guest.check(
            "tgtadm --lld iscsi --tid {} --mode logicalunit --op delete --lun 1".format(lun.number)
        )

    def restore(self, lun: Lun) -> None:
        """Put the unit back after :meth:`remove`."""
        self.guest.check(
            't() {{ tgtadm --lld iscsi --tid {} "$@"; }}\n'.format(lun.number)
            + self._unit_commands(lun, 512, False, True)
        )

    def login(self, lun: Lun, portals: Sequence[str] = PORTALS[:1]) -> list[str]:
        """Log in through each portal; returns the device paths, one a portal (/dev/sdX)."""
        script = "".join(
            "iscsiadm -m node -o new -T {0} -p {1} >/dev/null\n"
            "iscsiadm -m node -T {0} -p {1} --login >/dev/null\n".format(lun.iqn, portal)
            for portal in portals
        )
        self.guest.check(script + _await_disks(lun, len(portals)) + "udevadm settle\n")
        found = self.paths(lun)
        return [found[portal] for portal in portals]

    def logout(self, lun: Lun) -> None:
        """Log out of all sessions to the LUN."""
        self.guest.check(
            "iscsiadm -m node -T {} --logout >/dev/null\nudevadm settle\n".format(lun.iqn)
        )

    def withdraw(self, lun: Lun) -> None:
        """Log out and take the whole target away; its name may be used again."""
        self.logout(lun)
        self.guest.check(
            "tgtadm --lld iscsi --mode target --op delete --force --tid {}".format(lun.number)
        )

    def rescan(self, lun: Lun) -> None:
        """Let the initiator look again at a LUN's size and state."""
        self.guest.check(
            "iscsiadm -m node -T {} -R >/dev/null\n"
            "for disk in $(lab_disks={}; {}); do echo 1 >/sys/block/$disk/device/rescan; done\n"
            "udevadm settle\n".format(lun.iqn, lun.iqn, _DISKS)
        )

    def paths(self, lun: Lun) -> dict[str, str]:
        """The LUN's device paths by portal, as of now."""
        out = self.guest.check("lab_disks={}\n{}".format(lun.iqn, _DISKS_WITH_PORTALS))
        found = (line.split() for line in out.splitlines())
        return {portal: "/dev/" + disk for portal, unit, disk in found if int(unit) == lun.unit}

    def cut(self, portal: str) -> None:
        """Pull the cable of a portal; the initiator finds out by its own timeouts."""
        self.guest.check("ip address del {}/32 dev lo".format(portal))

    def mend(self, portal: str) -> None:
        """Plug the cable in again."""
        self.guest.check("ip address add {}/32 dev lo".format(portal))

    def set_state(self, device: str, state: str) -> None:
        """Set a SCSI device's state: ``offline`` fails every command, ``running`` ends that."""
        self.guest.check(
            "echo {} >/sys/block/{}/device/state".format(state, device.rsplit("/", 1)[-1])
        )

    def _unit_commands(self, lun: Lun, block_size: int, read_only: bool, cache: bool) -> str:
        parameters = [
            "scsi_id=" + lun.scsi_id,
            "scsi_sn=" + lun.serial,
            "vendor_id=LAB",
            "product_id=ARRAY",
            "readonly={:d}".format(read_only),
            _CACHING.format(0x14 if cache else 0x10),
        ]
        return (
            "t --mode logicalunit --op new --lun {0} --backing-store {1} --blocksize {2}\n"
            "t --mode logicalunit --op update --lun {0} --params {3}\n"
        ).format(lun.unit, quote(lun.backing), block_size, ",".join(parameters))


# Disks of one target: names that bash finds in sysfs, without a process.
_DISKS_WITH_PORTALS = r"""
for session in /sys/class/iscsi_session/session*; do
  [ -e $session/targetname ] && read -r name <$session/targetname || continue
  [ $name = $lab_disks ] || continue
  for connection in $session/device/connection*/iscsi_connection/connection*; do
    read -r portal <$connection/persistent_address
  done
  for disk in $session/device/target*/*/block/*; do
    address=${disk%/block/*}
    [ -e $disk ] && echo $portal ${address##*:} ${disk##*/}
  done
done
true
"""
_DISKS = "for each in 1; do {}\ndone | while read -r portal unit disk; do echo $disk; done".format(
    _DISKS_WITH_PORTALS
)


def _await_disks(lun: Lun, count: int) -> str:
    return (
        "lab_disks={}\nfor try in {{1..200}}; do\n"
        "found=$({}\n)\nset -- $found\n[ $# -ge {} ] && break; sleep 0.02\ndone\n"
    ).format(lun.iqn, _DISKS_WITH_PORTALS, 3 * count)


class Multipath:
    """dm-multipath in the guest, set up as XenServer does: every LUN a map named by its SCSI id."""

    def __init__(self, target: Target) -> None:
        """Serve the LUNs of one target."""
        self.target = target
        self.guest = target.guest

    def start(self) -> None:
        """Write the configuration, start multipathd; LUNs logged in to, now or later, get maps."""
        self.guest.check(
            "cat >/etc/multipath.conf <<'CONF'\n"
            "defaults {\n"
            "  user_friendly_names no\n  find_multipaths no\n  polling_interval 1\n"
            "  max_polling_interval 1\n  no_path_retry fail\n  fast_io_fail_tmo 1\n"
            "  path_grouping_policy multibus\n}\n"
            "CONF\n"
            "modprobe -a dm-multipath dm-service-time dm-round-robin\n"
            "multipathd\n"
            "for try in {1..100}; do multipathd show daemon 2>/dev/null | grep -q idle && break\n"
            "sleep 0.05; done\n"
        )

    def stop(self) -> None:
        """Remove all maps and end multipathd."""
        self.guest.check("multipath -F; multipathd shutdown; rm -f /etc/multipath.conf")

    def map(self, lun: Lun, paths: int = 2, seconds: float = 15.0) -> str:
        """Wait until the LUN's map has so many usable paths; returns its device path."""
        deadline = time.monotonic() + seconds
        while True:
            states = self.states(lun)
            if list(states.values()).count("active") == paths:
                return "/dev/mapper/" + lun.wwid
            if time.monotonic() > deadline:
                words = self.guest.run("multipath -ll; multipathd show paths").words
                raise GuestError(
                    "map {} has not {} usable paths:\n{}".format(lun.wwid, paths, words)
                )
            time.sleep(0.1)

    def states(self, lun: Lun) -> dict[str, str]:
        """State of each path, by kernel name (sdb): ``active`` or ``failed``, as dm sees it."""
        result = self.guest.run("dmsetup status --target multipath {}".format(lun.wwid))
        words = result.out.split()
        states = {}
        # Each path of the status line is "major:minor state failures …".
        for number, state in itertools.pairwise(words):
            if ":" in number and state in ("A", "F"):
                name = self.guest.check("basename $(readlink /sys/dev/block/{})".format(number))
                states[name.strip()] = "active" if state == "A" else "failed"
        return states
