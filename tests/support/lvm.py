"""LVM2's own tools over image files, through loop devices and a private configuration.

The kernel needs loop devices only: device-mapper stays out (``activation = 0``), so logical volumes
are listed, made, renamed and removed, but never activated. Every command is limited by a filter to
the devices attached here; without one, LVM would scan every block device of the machine.

``pvck --dump`` reads plain files, without loop devices and without root (``dump_metadata``).
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

# With activation = 0 every command says so; the line is no finding about the devices.
_EXPECTED = "WARNING: Activation disabled. No device-mapper interaction will be attempted."
# What LVM2 2.03 says of every label with an extension older than version 2.
OLD_HEADER = "is using an old PV header, modify the VG to update."

Images = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Row = dict[str, str]


class Result(NamedTuple):
    """One command's end: what it said, and its exit code."""

    command: tuple[str, ...]
    code: int
    out: str
    err: str  # without the line that tells of activation = 0

    @property
    def clean(self) -> bool:
        """Exit code 0 and not a word on standard error."""
        return self.code == 0 and not self.err

    def __str__(self) -> str:
        return f"{' '.join(self.command)}\nexit {self.code}\n{self.out}{self.err}"


class Segment(NamedTuple):
    """``extents`` extents from extent ``first`` of device ``pv``."""

    pv: str
    first: int
    extents: int


class Reports(NamedTuple):
    """What pvs, vgs and lvs tell; sizes in bytes as decimal strings."""

    pvs: list[Row]
    vgs: list[Row]
    lvs: list[Row]


class Lvm:
    """LVM2's commands, limited to ``devices`` (loop devices in the order of their images)."""

    def __init__(self, devices: Sequence[str], folder: str, tolerated: Sequence[str] = ()) -> None:
        self.devices = list(devices)
        self.folder = folder
        self.tolerated = (_EXPECTED, *tolerated)
        accept = ",".join(f'"a|^{re.escape(device)}$|"' for device in devices)
        rules = f'[{accept}{"," if accept else ""}"r|.*|"]'
        self.config = (
            f"devices {{ filter={rules} global_filter={rules} use_devicesfile=0 "
            'hints="none" obtain_device_list_from_udev=0 } '
            f'global {{ activation=0 locking_dir="{folder}" event_activation=0 }} '
            "backup { backup=0 archive=0 }"
        )
        # A command that reads lvm.conf itself (vgimportclone) finds the same limits there.
        Path(folder, "lvm.conf").write_text(self.config + "\n", encoding="utf-8")

    def environment(self) -> dict[str, str]:
        """Return the environment every LVM2 command must run in."""
        return dict(
            os.environ, LVM_SYSTEM_DIR=self.folder, LVM_SUPPRESS_FD_WARNINGS="1", LC_ALL="C"
        )

    def run(self, *command: str) -> Result:
        """Run one LVM2 command with the private configuration; never raises for its exit code."""
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=self.environment()
        )
        lines = [
            line
            for line in done.stderr.splitlines()
            if not any(words in line for words in self.tolerated)
        ]
        return Result(command, done.returncode, done.stdout, "\n".join(lines))

    def must(self, *command: str) -> Result:
        """Run one LVM2 command that has to end with exit code 0."""
        result = self.run(*command)
        assert result.code == 0, str(result)
        return result

    def pvs(self) -> list[Row]:
        """Return the physical volumes."""
        fields = "pv_name,pv_uuid,vg_name,pv_size,dev_size,pe_start,pv_mda_count,pv_attr,"
        fields += "pv_duplicate,pv_missing,pv_in_use,pv_ext_vsn,pv_pe_count"
        return self._report("pvs", "pv", fields)

    def vgs(self) -> list[Row]:
        """Return the volume groups."""
        fields = "vg_name,vg_uuid,vg_seqno,pv_count,lv_count,vg_extent_size,vg_extent_count,"
        fields += "vg_free_count,vg_mda_count,vg_tags,vg_missing_pv_count"
        return self._report("vgs", "vg", fields)

    def lvs(self) -> list[Row]:
        """Return the logical volumes, one row each."""
        return self._report("lvs", "lv", "vg_name,lv_name,lv_uuid,lv_size,lv_tags,lv_attr")

    def segments(self) -> dict[str, list[Segment]]:
        """Return every volume's segments in order, by ``VG/LV``."""
        rows = self._report(
            "lvs", "seg", "vg_name,lv_name,seg_start_pe,seg_pe_ranges", "--segments"
        )
        found: dict[str, list[Segment]] = {}
        for row in sorted(rows, key=lambda row: int(row["seg_start_pe"])):
            pv, _, extents = row["seg_pe_ranges"].rpartition(":")
            first, last = map(int, extents.split("-"))
            name = f"{row['vg_name']}/{row['lv_name']}"
            found.setdefault(name, []).append(Segment(pv, first, last - first + 1))
        return found

    def vgck(self, vg: str = "") -> Result:
        """Let LVM2 check one or all volume groups."""
        return self.run("vgck", *filter(None, [vg]))

    def pvck(self, device: str) -> Result:
        """Let LVM2 check label and metadata areas of one device."""
        return self.run("pvck", *_label(device), device)

    def dump(self, what: str, device: str) -> Result:
        """Return ``pvck --dump headers|metadata|metadata_all|metadata_search``."""
        return self.run("pvck", "--dump", what, *_label(device), device)

    def text(self, vg: str) -> str:
        """Return the volume group's text as vgcfgbackup writes it."""
        path = Path(self.folder, "backup.txt")
        self.must("vgcfgbackup", "-f", str(path), vg)
        return path.read_text(encoding="latin-1")

    def reports(self) -> Reports:
        """Return all three reports; asserts that none came with a warning."""
        return Reports(self.pvs(), self.vgs(), self.lvs())

    def _report(self, command: str, key: str, fields: str, *more: str) -> list[Row]:
        result = self.run(
            command, *more, "--reportformat", "json", "--units", "b", "--nosuffix", "-o", fields
        )
        assert result.clean, str(result)
        rows: list[Row] = json.loads(result.out)["report"][0][key]
        return rows


@contextlib.contextmanager
def attached(
    *images: Images,
    sector_size: int = 512,
    read_only: bool = False,
    tolerated: Sequence[str] = (),
) -> Iterator[Lvm]:
    """Attach image files to loop devices and yield LVM2's tools limited to them; always detach.

    ``sector_size`` is the logical block size the device shows; images of LUNs with 4096-byte blocks
    must be a multiple of it. Warnings with words of ``tolerated`` do not count. Needs root.
    """
    folder = tempfile.mkdtemp(prefix="lvm-")
    devices: list[str] = []
    try:
        for image in _flat(images):
            devices.append(attach(image, sector_size, read_only))
        yield Lvm(devices, folder, tolerated)
    finally:
        for device in devices:
            detach(device)
        shutil.rmtree(folder)


def attach(image: str | os.PathLike[str], sector_size: int = 512, read_only: bool = False) -> str:
    """Attach one image file and return its loop device."""
    command = ["losetup", "--find", "--show", "--sector-size", str(sector_size)]
    command += ["--read-only"] if read_only else []
    done = subprocess.run([*command, os.fspath(image)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.args}: {done.stderr}"
    return done.stdout.strip()


def detach(device: str) -> None:
    """Give one loop device back."""
    subprocess.run(["losetup", "--detach", device], check=True)


def clean_side_by_side(
    original: Images, clone: Images, sector_size: int = 512, tolerated: Sequence[str] = ()
) -> Reports:
    """Assert that LVM2 sees two separate, clean volume groups; return its reports.

    Both sides are attached read-only at the same time. Not one command may utter a warning, no
    device is a duplicate or missing, no uuid or name of a PV, VG or LV occurs twice, and pvck and
    vgck find nothing. ``tolerated``: words of warnings that say nothing of the two sides, such as
    ``OLD_HEADER`` where the original's label is of an older LVM2.
    """
    sides = [_flat([original]), _flat([clone])]
    with attached(
        *sides[0], *sides[1], sector_size=sector_size, read_only=True, tolerated=tolerated
    ) as lvm:
        reports = lvm.reports()
        for device in lvm.devices:
            for result in (lvm.pvck(device), lvm.dump("headers", device)):
                assert result.clean, str(result)
        result = lvm.vgck()
        assert result.clean and not result.out, str(result)
        devices = [lvm.devices[: len(sides[0])], lvm.devices[len(sides[0]) :]]
    groups = [{row["vg_name"] for row in reports.pvs if row["pv_name"] in part} for part in devices]
    assert [len(group) for group in groups] == [1, 1], f"volume groups: {groups}"
    assert groups[0] != groups[1], f"one volume group on both sides: {groups[0]}"
    assert len(reports.vgs) == 2, reports.vgs
    assert len(reports.pvs) == len(devices[0]) + len(devices[1]), reports.pvs
    for row in reports.pvs:
        assert not row["pv_duplicate"] and not row["pv_missing"], row
    for rows, field in (
        (reports.pvs, "pv_uuid"),
        (reports.vgs, "vg_uuid"),
        (reports.lvs, "lv_uuid"),
    ):
        values = [row[field] for row in rows]
        assert len(values) == len(set(values)), f"{field} twice: {sorted(values)}"
    return reports


def has_metadata(image: str | os.PathLike[str]) -> bool:
    """Tell whether the image's label lists a metadata area, and one that is not ignored."""
    flags = dump_headers(image).get("mda_header_1.raw_locn[0].flags")
    return flags is not None and not int(flags.split()[0], 16) & 1


def dump_metadata(image: str | os.PathLike[str]) -> str:
    """Return the VG text of the image's first metadata area as pvck tells it.

    Works on a plain file, needs neither root nor a loop device. Raises AssertionError with pvck's
    words when it finds none.
    """
    said = _dump("metadata", image)
    _, mark, body = said.partition("  ---\n")
    assert mark, f"no metadata on {os.fspath(image)}: {said}"
    return body.rpartition("  ---")[0]


def dump_headers(image: str | os.PathLike[str]) -> dict[str, str]:
    """Return ``pvck --dump headers`` of a plain file as field: value (later areas numbered)."""
    pairs = (line.strip().partition(" ") for line in _dump("headers", image).splitlines())
    return {field: value for field, _, value in pairs if "." in field and "at " not in value}


def _dump(what: str, image: str | os.PathLike[str]) -> str:
    config = "global { activation=0 } backup { backup=0 archive=0 }"
    done = subprocess.run(
        ["pvck", "--dump", what, *_label(image), os.fspath(image), "--config", config],
        capture_output=True,
        check=False,
        env=dict(os.environ, LVM_SYSTEM_DIR="", LVM_SUPPRESS_FD_WARNINGS="1", LC_ALL="C"),
    )
    out, err = done.stdout.decode("latin-1"), done.stderr.decode("latin-1")
    assert done.returncode == 0, f"{done.args}: {out}{err}"
    return out


def _label(device: str | os.PathLike[str]) -> list[str]:
    """Return pvck's option for a label that is not in sector 1 (pvck does not search)."""
    with open(device, "rb") as file:
        sectors = [file.read(512)[:8] for _ in range(4)]
    found = [number for number, start in enumerate(sectors) if start == b"LABELONE"]
    return ["--labelsector", str(found[0])] if found and found[0] != 1 else []


def _flat(images: Sequence[Images]) -> list[str]:
    paths: list[str] = []
    for image in images:
        if isinstance(image, str | os.PathLike):
            paths.append(os.fspath(image))
        else:
            paths += [os.fspath(part) for part in image]
    return paths
