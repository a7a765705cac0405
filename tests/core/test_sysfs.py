"""What the kernel says about block devices, from a made-up sysfs and from the real one."""

import os
import subprocess
from typing import Any, Dict, Union

import pytest

from relun.core import sysfs
from relun.core.sysfs import BlockNode

TREE: Dict[str, Union[str, bytes]] = {
    # a disk with a partition that is mounted, NAA name, serial number page 0x80
    "sys/block/sda/size": "2048\n",
    "sys/block/sda/dev": "8:0\n",
    "sys/block/sda/sda1/partition": "1\n",
    "sys/block/sda/sda1/dev": "8:1\n",
    "sys/block/sda/device/wwid": "naa.600140512345\n",
    "sys/block/sda/device/vpd_pg80": b"\0\x80\0\x08 SER1\0 ",
    # two paths of a map, which an LV uses
    "sys/block/sdb/size": "4096\n",
    "sys/block/sdb/dev": "8:16\n",
    "sys/block/sdb/holders/dm-0/dm/name": "36001405\n",
    "sys/block/sdb/holders/dm-0/dm/uuid": "mpath-36001405\n",
    "sys/block/sdb/device/wwid": "t10.ATA disk\n",
    "sys/block/sdb/device/serial": "SER2\n",
    "sys/block/dm-0/size": "4096\n",
    "sys/block/dm-0/dev": "253:0\n",
    "sys/block/dm-0/dm/name": "36001405\n",
    "sys/block/dm-0/dm/uuid": "mpath-36001405\n",
    "sys/block/dm-0/holders/dm-1/dm/name": "vg-lv\n",
    "sys/block/dm-0/holders/dm-1/dm/uuid": "LVM-x\n",
    "sys/block/dm-1/size": "8\n",
    "sys/block/dm-1/dm/name": "vg-lv\n",
    "sys/block/dm-1/dm/uuid": "LVM-x\n",
    # a paravirtual disk under a RAID, and what is no LUN
    "sys/block/vda/size": "2048\n",
    "sys/block/vda/serial": "SER3\n",
    "sys/block/vda/holders/md0/size": "",
    "sys/block/loop0/size": "0\n",
    "sys/block/sr0/size": "2048\n",
    "sys/block/ram0/size": "2048\n",
    "sys/dev/block/placeholder": "",
    "proc/self/mountinfo": "25 1 9:9 / / rw - ext4 /dev/x rw\n"
    "26 25 8:1 / /mnt rw,relatime shared:1 - ext4 /dev/sda1 rw\n",
}


@pytest.fixture
def root(tmpdir: Any, monkeypatch: Any) -> str:
    """A made-up root with the tree above."""
    for path, content in TREE.items():
        target = os.path.join(str(tmpdir), path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(content.encode("ascii") if isinstance(content, str) else content)
    monkeypatch.setattr(sysfs, "ROOT", str(tmpdir))
    return str(tmpdir)


def node(root: str, name: str) -> BlockNode:
    """Return the description of one device."""
    return sysfs.describe_sysfs(os.path.join(root, "sys/block", name))


def test_disk_with_a_mounted_partition(root: str) -> None:
    assert node(root, "sda") == BlockNode(
        "sda", mounted_on="/mnt", serial="SER1", scsi_id="3600140512345", number="8:0"
    )


def test_path_of_a_multipath_map(root: str) -> None:
    assert node(root, "sdb") == BlockNode(
        "sdb",
        holders=("36001405",),
        multipath="/dev/mapper/36001405",
        serial="SER2",
        scsi_id="t10.ATA disk",
        number="8:16",
    )


def test_map_with_an_active_lv(root: str) -> None:
    assert node(root, "dm-0") == BlockNode(
        "dm-0",
        holders=("vg-lv",),
        scsi_id="36001405",
        logical_volumes=("vg-lv",),
        number="253:0",
    )


def test_disk_below_a_raid(root: str) -> None:
    assert node(root, "vda") == BlockNode("vda", holders=("md0",), serial="SER3")


def test_device_that_sysfs_does_not_know(root: str) -> None:
    assert node(root, "sdz") == BlockNode("sdz")


def test_all_disks_with_maps_in_place_of_their_paths(root: str) -> None:
    assert sysfs.all_disks() == ["/dev/mapper/36001405", "/dev/sda", "/dev/vda"]


def test_no_sysfs_at_all(tmpdir: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(sysfs, "ROOT", str(tmpdir))
    assert sysfs.all_disks() == []


def test_real_loop_device(tmpdir: Any) -> None:
    if os.geteuid() != 0:
        pytest.skip("a loop device needs root")
    image = tmpdir.join("lun.img")
    image.write_binary(bytes(1 << 20))
    command = ["losetup", "--find", "--show", str(image)]
    path = subprocess.check_output(command, stdin=subprocess.DEVNULL).decode("ascii").strip()
    try:
        with open("/sys/block/{}/dev".format(os.path.basename(path))) as file:
            number = file.read().strip()
        assert sysfs.describe(path) == BlockNode(os.path.basename(path), number=number)
        assert sysfs.is_block(path) and not sysfs.is_block(str(image))
        assert path in sysfs.all_disks()
    finally:
        subprocess.check_call(["losetup", "--detach", path])
