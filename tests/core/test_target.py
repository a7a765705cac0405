"""Is it the right LUN? Every word of the caller's that does not fit is a refusal."""

import os
from typing import Any

import pytest

from relun.core import verbs
from relun.core.errors import Refused
from relun.core.sysfs import BlockNode
from relun.core.target import expect_original, expect_serial
from support.builder import Pv, Sr
from support.clone import TREE, made, resign
from support.memory import MemoryDevice


def described(device: MemoryDevice, node: BlockNode) -> MemoryDevice:
    """Let a device be a block device that the kernel describes so."""
    device.describe = lambda: node  # type: ignore[method-assign]
    return device


def test_serial_or_scsi_id(tmpdir: Any) -> None:
    (device,) = made(Sr(TREE, "serial"), tmpdir)[1]
    described(device, BlockNode("sda", serial="6001", scsi_id="36001"))
    expect_serial(device, "6001")
    expect_serial(device, "36001")
    for wrong in ("", "600", "36002"):
        with pytest.raises(Refused) as caught:
            expect_serial(device, wrong)
        assert caught.value.code == "serial-differs"
        assert caught.value.fields["serial"] == "6001"


@pytest.mark.parametrize("naa", ["600a098038303053", "600a098038303053743f4a4c4d4e4f50"])
def test_naa_name_in_every_spelling(tmpdir: Any, naa: str) -> None:
    (device,) = made(Sr(TREE, "naa"), tmpdir)[1]
    described(device, BlockNode("sda", scsi_id="3" + naa))
    for spelled in (naa, "3" + naa, "naa." + naa, naa.upper()):
        expect_serial(device, spelled)
    for wrong in ("4" + naa, "33" + naa, naa[1:]):
        with pytest.raises(Refused):
            expect_serial(device, wrong)


def test_file_has_no_serial(tmpdir: Any) -> None:
    (device,) = made(Sr(TREE, "file"), tmpdir)[1]
    for wrong in ("", "6001"):
        with pytest.raises(Refused):
            expect_serial(device, wrong)


def copies(folder: Any) -> Any:
    """Return two devices over two files that hold the same, and the second's own path."""
    built, devices = made(Sr(TREE, "t"), folder, "sda")
    twin = str(folder.join("sdb"))
    os.symlink(built.path, twin + ".link")
    os.link(built.path, twin + ".hard")
    with open(built.path, "rb") as source, open(twin, "wb") as target:
        target.truncate(os.path.getsize(built.path))
        target.write(source.read(12 << 20))
    return devices[0], MemoryDevice(twin)


def same(clone: MemoryDevice, original: MemoryDevice) -> None:
    expect_original(verbs.inspect([clone]), verbs.inspect([original]))


def test_original_is_another_lun_with_the_same_ids(tmpdir: Any) -> None:
    clone, original = copies(tmpdir)
    same(clone, original)


def test_clone_itself_by_any_name(tmpdir: Any) -> None:
    clone, original = copies(tmpdir)
    for path in (clone.path, original.path + ".link", original.path + ".hard"):
        with pytest.raises(Refused) as caught:
            same(clone, MemoryDevice(path))
        assert caught.value.code == "original-same"


@pytest.mark.parametrize(
    "mine, theirs, code",
    [
        (BlockNode("a", number="8:0"), BlockNode("b", number="8:0"), "original-same"),
        (BlockNode("a", scsi_id="36001"), BlockNode("b", scsi_id="36001"), "original-same"),
        (BlockNode("a", number="8:0"), BlockNode("b", number="8:16"), ""),
        (BlockNode("a"), BlockNode("b"), ""),
    ],
)
def test_two_paths_of_one_lun(mine: BlockNode, theirs: BlockNode, code: str, tmpdir: Any) -> None:
    clone, original = copies(tmpdir)
    described(clone, mine)
    described(original, theirs)
    if not code:
        same(clone, original)
        return
    with pytest.raises(Refused) as caught:
        same(clone, original)
    assert caught.value.code == code


def test_device_against_a_file(tmpdir: Any) -> None:
    clone, original = copies(tmpdir)
    same(described(clone, BlockNode("a", number="8:0")), original)


def test_resigned_clone_or_another_sr(tmpdir: Any) -> None:
    clone, original = copies(tmpdir)
    other = made(Sr(TREE, "other", pvs=(Pv(),)), tmpdir, "other")[1][0]
    with pytest.raises(Refused) as caught:
        same(clone, other)
    assert caught.value.code == "original-differs"
    resign([clone])
    with pytest.raises(Refused) as caught:
        same(clone, original)
    assert caught.value.code == "original-differs"
