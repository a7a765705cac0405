"""What the kernel says about a block device: holders, mounts, multipath, identity.

Facts come from sysfs and procfs alone; nothing is run. ``ROOT`` can be replaced by a test.
"""

import os
import stat

from relun.core.hints import List, NamedTuple, Tuple

ROOT = "/"


class BlockNode(NamedTuple):
    """One block device as the kernel sees it."""

    name: str  # kernel name: sdb, dm-3, loop0
    holders: Tuple[str, ...] = ()  # names of what is mapped on top: LVs, RAID
    mounted_on: str = ""
    multipath: str = ""  # name of the multipath map this device is a path of
    serial: str = ""
    scsi_id: str = ""
    logical_volumes: Tuple[str, ...] = ()  # LVs ("VG-LV" dm names) active through this device
    number: str = ""  # major:minor


def is_block(path: str) -> bool:
    """Tell whether ``path`` is a block device node."""
    return stat.S_ISBLK(os.stat(path).st_mode)


def describe(path: str) -> BlockNode:
    """Describe the block device node at ``path``."""
    status = os.stat(path)
    number = "{}:{}".format(os.major(status.st_rdev), os.minor(status.st_rdev))
    link = os.path.join(ROOT, "sys/dev/block", number)
    return describe_sysfs(os.path.realpath(link), number)


def describe_sysfs(folder: str, number: str = "") -> BlockNode:
    """Describe the block device of a sysfs folder such as /sys/block/sdb."""
    holders = [_holder(folder, name) for name in _names(os.path.join(folder, "holders"))]
    maps = [name for name, uuid in holders if uuid.startswith("mpath-")]
    lvs = [name for name, uuid in holders if uuid.startswith("LVM-")]
    numbers = [number or _text(folder, "dev")]
    kernel_name = os.path.basename(folder)
    for partition in _names(folder):  # their names begin with the disk's (block, disk_name)
        if partition.startswith(kernel_name) and _text(folder, partition, "partition"):
            numbers.append(_text(folder, partition, "dev"))
    return BlockNode(
        kernel_name,
        tuple(name for name, _uuid in holders),
        _mounted_on(numbers),
        "/dev/mapper/" + maps[0] if maps else "",
        _serial(folder),
        _scsi_id(folder),
        tuple(lvs),
        numbers[0],
    )


def all_disks() -> List[str]:
    """Return the paths of all whole block devices, a multipath map instead of its paths."""
    paths = []
    block = os.path.join(ROOT, "sys/block")
    for name in _names(block):
        folder = os.path.join(block, name)
        if name.startswith(("ram", "zram", "sr", "fd", "nbd")) or _text(folder, "size") in (
            "",
            "0",
        ):
            continue
        uuid = _text(folder, "dm", "uuid")
        if name.startswith("dm-") and not uuid.startswith("mpath-"):
            continue  # LVs and the like: parts of a PV, not LUNs
        if describe_sysfs(folder).multipath:
            continue
        mapped = _text(folder, "dm", "name")
        paths.append("/dev/mapper/" + mapped if mapped else "/dev/" + name)
    return paths


def _holder(folder: str, name: str) -> Tuple[str, str]:
    base = os.path.join(folder, "holders", name)
    return _text(base, "dm", "name") or name, _text(base, "dm", "uuid")


def _mounted_on(numbers: List[str]) -> str:
    for line in _text(ROOT, "proc/self/mountinfo").splitlines():
        fields = line.split()
        if fields[2] in numbers:
            return fields[4]
    return ""


def _serial(folder: str) -> str:
    page = os.path.join(folder, "device", "vpd_pg80")
    try:
        with open(page, "rb") as file:
            return file.read()[4:].decode("ascii", "replace").strip(" \0")
    except OSError:
        return _text(folder, "device", "serial") or _text(folder, "serial")


def _scsi_id(folder: str) -> str:
    uuid = _text(folder, "dm", "uuid")
    if uuid.startswith("mpath-"):
        return uuid[len("mpath-") :]
    wwid = _text(folder, "device", "wwid")
    if wwid.startswith("naa."):
        return "3" + wwid[4:]  # scsi_id(8) puts the identifier type before an NAA name
    return wwid


def _names(folder: str) -> List[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _text(*parts: str) -> str:
    try:
        with open(os.path.join(*parts), encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
