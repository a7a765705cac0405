"""LVM2 in the guest, with activation: what it reports as rows, what it warns of as words."""

import json
from typing import NamedTuple

from lab.guest import Guest, Result, quote

Row = dict[str, str]


class Counters(NamedTuple):
    """What a block device has done, by the kernel's own counters (/sys/block/NAME/stat)."""

    bytes_read: int
    bytes_written: int
    flushes: int

    def since(self, before: "Counters") -> "Counters":
        """The difference between two readings."""
        return Counters(*(now - then for now, then in zip(self, before)))


def counters(guest: Guest, device: str) -> Counters:
    """Read the counters of a device such as /dev/sdb or /dev/mapper/<map>."""
    return parse_counters(
        guest.check("cat /sys/block/$(basename $(readlink -f {}))/stat".format(quote(device)))
    )


def parse_counters(text: str) -> Counters:
    """Parse a ``stat`` line; its sectors are of 512 bytes whatever the device's block size."""
    fields = [int(word) for word in text.split()]
    return Counters(fields[2] * 512, fields[6] * 512, fields[15])


class Lvm:
    """LVM2's commands in the guest."""

    def __init__(self, guest: Guest) -> None:
        """Use a booted guest whose target has been started."""
        self.guest = guest

    def run(self, command: str) -> Result:
        """Run one command, ``vgck NAME``; its exit code and words are the result."""
        return self.guest.run(command)

    def check(self, command: str) -> str:
        """Run one command that must succeed; returns its standard output."""
        return self.guest.check(command)

    def pvs(self, arguments: str = "") -> list[Row]:
        """Rows of ``pvs``, sizes in bytes."""
        return self._report("pv", "pvs -o pv_all,vg_name,vg_uuid " + arguments)

    def vgs(self, arguments: str = "") -> list[Row]:
        """Rows of ``vgs``, sizes in bytes."""
        return self._report("vg", "vgs -o vg_all " + arguments)

    def lvs(self, arguments: str = "") -> list[Row]:
        """Rows of ``lvs``, sizes in bytes."""
        return self._report("lv", "lvs -o lv_all,vg_name " + arguments)

    def warnings(self) -> str:
        """All that pvs, vgs, lvs and vgck say beside their reports; empty when all is well."""
        result = self.guest.run(
            "for command in pvs vgs lvs vgck; do\n"
            '  $command >/dev/null || echo "$command: exit code $?" >&2\ndone\n'
        )
        return result.err

    def activate(self, vg: str) -> None:
        """Activate all LVs of a VG."""
        self.guest.check("vgchange -q -ay {}".format(quote(vg)))

    def deactivate(self, vg: str) -> None:
        """Deactivate all LVs of a VG."""
        self.guest.check("vgchange -q -an {}".format(quote(vg)))

    def metadata(self, vg: str) -> str:
        """The VG's metadata text, without the lines that name the moment of the reading."""
        out = self.guest.check(
            "vgcfgbackup -f /tmp/metadata {} >/dev/null; cat /tmp/metadata".format(quote(vg))
        )
        return out[out.index("\n" + vg) :]

    def _report(self, kind: str, command: str) -> list[Row]:
        out = self.guest.check(command + " --reportformat json --units b --nosuffix")
        rows: list[Row] = json.loads(out)["report"][0][kind]
        return rows


def node(vg: str, lv: str) -> str:
    """Device node of an active LV."""
    return "/dev/mapper/{}-{}".format(vg.replace("-", "--"), lv.replace("-", "--"))
