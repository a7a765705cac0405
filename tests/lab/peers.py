"""relun's peers on the same living LUN: time, LVM commands, bytes and flushes of each.

``vgimportclone`` changes a quarter of the identities (VG name and uuid, PV uuid). The ancestor's
method is the one of the ReLVHDoISCSISR driver of 2015, as commands (``inside/ancestor.sh``).
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

from lab.guest import INSIDE, Guest, GuestError, quote, relun_command
from lab.lab import Lab
from lab.lvm import parse_counters

NEW_SR = "5eed5eed-0000-4000-8000-0000000000ff"


class Measure(NamedTuple):
    """One way on one LUN, from the start of its first process to the end of its last."""

    way: str
    image: str
    seconds: float
    lvm_commands: int
    processes: int
    bytes_read: int
    bytes_written: int
    flushes: int


def vgimportclone(lab: Lab, image: str) -> Measure:
    """LVM2's own: a new name for the VG, new uuids for VG and PV."""
    command = "vgimportclone --basevgname VG_XenStorage-{} $device; echo commands 1".format(NEW_SR)
    return _on_a_fresh_lun(lab, "vgimportclone", image, command)


def ancestor(lab: Lab, image: str) -> Measure:
    """The method of the driver of 2015: LVM tools for the text, one process for each volume."""
    command = "bash {} $device {}".format(INSIDE / "ancestor.sh", NEW_SR)
    return _on_a_fresh_lun(lab, "ancestor", image, command)


def relun(
    lab: Lab,
    image: str,
    words: Sequence[str] = ("resign", "--yes", "--drop-snapshots", "--sr-uuid", NEW_SR),
) -> Measure:
    """relun's command line, whole process; the device follows ``words``.

    Snapshots are dropped, as the ancestor dropped them.
    """
    command = relun_command(words) + " $device; echo commands 0"
    return _on_a_fresh_lun(lab, "relun", image, command)


def compare(lab: Lab, images: Sequence[str]) -> list[Measure]:
    """Measure every way on a fresh clone of each image, in one guest."""
    return [way(lab, image) for image in images for way in (relun, ancestor, vgimportclone)]


def table(measures: Sequence[Measure]) -> str:
    """A Markdown table of the measures, times also as multiples of relun's on the same image."""
    own = {measure.image: measure.seconds for measure in measures if measure.way == "relun"}
    rows = [
        "| LUN | way | seconds | x relun | LVM commands | processes | read | written | flushes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in measures:
        ratio = "{:.1f}".format(one.seconds / own[one.image]) if one.image in own else "–"
        rows.append(
            "| {} | {} | {:.2f} | {} | {} | {} | {} | {} | {} |".format(
                one.image,
                one.way,
                one.seconds,
                ratio,
                one.lvm_commands,
                one.processes,
                _kib(one.bytes_read),
                _kib(one.bytes_written),
                one.flushes,
            )
        )
    return "\n".join(rows) + "\n"


def _kib(count: int) -> str:
    return "{:,} KiB".format(round(count / 1024))


def _on_a_fresh_lun(lab: Lab, way: str, image: str, command: str) -> Measure:
    file = lab.lun_file(image, way + ".img")
    with file.open("rb") as copied:  # else the first flush of the guest would wait for the copy
        os.fsync(copied.fileno())
    lun = lab.target.export("{}-{}".format(image, way), file)
    (device,) = lab.target.login(lun)
    try:
        return _measure(lab.guest, way, image, device, command)
    finally:
        lab.target.withdraw(lun)
        lun.file.unlink()


def _measure(guest: Guest, way: str, image: str, device: str, command: str) -> Measure:
    """Run a command on a device with cold caches, between two readings of the counters."""
    result = guest.run(
        "device={}\nstat=/sys/block/${{device##*/}}/stat\n".format(quote(device))
        + "udevadm settle\necho 3 >/proc/sys/vm/drop_caches\n"
        + "forks() { while read -r n count; do [ $n = processes ] && break; done </proc/stat; }\n"
        + "read -r before <$stat; forks; first=$count\n"
        + "began=$EPOCHREALTIME\n"
        + "( {}\n)\n".format(command)
        + "code=$?\nended=$EPOCHREALTIME\n"
        + "read -r after <$stat; forks\n"
        + 'printf "\\n%s\\n" "$before" "$after" "$began $ended $((count - first))"\n'
        + "udevadm settle\nexit $code\n",
        timeout=600,
    )
    if result.code != 0:
        raise GuestError("{} on {} failed:\n{}".format(way, image, result.words))
    lines = [line for line in result.out.splitlines() if line]
    before, after = (parse_counters(line) for line in lines[-3:-1])
    began, ended, processes = lines[-1].split()
    used = after.since(before)
    count = next(line.split()[1] for line in lines if line.startswith("commands "))
    return Measure(way, image, float(ended) - float(began), int(count), int(processes), *used)
