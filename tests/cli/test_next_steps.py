"""The commands for the pool, with the values that the kernel knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.conftest import NEW_SR, Relun
from relun.cli.next_steps import _connection
from relun.core import sysfs
from relun.core.sysfs import BlockNode
from support.builder import build, filesystem_sr

SESSION = "sys/devices/platform/host3/session7/target3:0:0/3:0:0:1"


def fake(root: Path, place: str, name: str = "sdc") -> None:
    """Make a disk in a sysfs of its own."""
    (root / place).mkdir(parents=True)
    block = root / "sys/class/block" / name
    block.mkdir(parents=True)
    (block / "device").symlink_to(root / place)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let sysfs be below a folder."""
    monkeypatch.setattr(sysfs, "ROOT", str(tmp_path))
    return tmp_path


def test_iscsi(root: Path) -> None:
    """Address and IQN are those of the session."""
    fake(root, SESSION)
    for kind, name, value in (
        ("iscsi_session/session7", "targetname", "iqn.2026-01.com.example:lun\n"),
        ("iscsi_connection/connection7:0", "persistent_address", "10.0.0.1\n"),
    ):
        folder = root / "sys/class" / kind
        folder.mkdir(parents=True)
        (folder / name).write_text(value)
    expected = {"target": "10.0.0.1", "targetIQN": "iqn.2026-01.com.example:lun", "SCSIid": "3600"}
    assert _connection(BlockNode("sdc", scsi_id="3600")) == ("lvmoiscsi", expected)
    mapped = root / "sys/class/block/dm-0/slaves/sdc"
    mapped.mkdir(parents=True)
    assert _connection(BlockNode("dm-0", scsi_id="3600")) == ("lvmoiscsi", expected)


def test_iscsi_without_facts(root: Path) -> None:
    """What is not known is left to be filled in."""
    fake(root, SESSION)
    found = _connection(BlockNode("sdc"))
    assert found == ("lvmoiscsi", {"target": "", "targetIQN": "", "SCSIid": ""})


def test_fibre_channel_and_others(root: Path) -> None:
    """A SCSI id without a session is a host bus adapter; without one it is a local disk."""
    fake(root, "sys/devices/pci/host1/rport-1:0-0/target1:0:0/1:0:0:0")
    assert _connection(BlockNode("sdc", scsi_id="3600")) == ("lvmohba", {"SCSIid": "3600"})
    assert _connection(BlockNode("vdb")) == ("lvm", {"device": "/dev/vdb"})


def test_steps_of_a_resign(relun: Relun, lun: str) -> None:
    """Every step has its values; what is not known stands in capitals."""
    steps = relun("resign", "--json", "--sr-uuid", NEW_SR, lun).object["outcome"]["next_steps"]
    config = "device-config:target=ADDRESS device-config:targetIQN=IQN device-config:SCSIid=SCSI_ID"
    assert steps == [
        f"xe sr-probe type=lvmoiscsi {config}",
        f"xe sr-introduce uuid={NEW_SR} name-label='Büro' type=lvmoiscsi shared=true "
        "content-type=user",
        "for host in $(xe host-list --minimal | tr , ' '); do",
        f"    pbd=$(xe pbd-create sr-uuid={NEW_SR} host-uuid=$host {config})",
        "    xe pbd-plug uuid=$pbd",
        "done",
        f"xe sr-scan uuid={NEW_SR}",
    ]


@pytest.mark.parametrize(
    ("prefix", "kind"), [("XSLocalEXT-", "ext"), ("XSLocalLargeBlock-", "largeblock")]
)
def test_steps_of_a_filesystem(relun: Relun, tmp_path: Path, prefix: str, kind: str) -> None:
    """Its LVM identity alone is changed, and it is no shared SR."""
    path = build(filesystem_sr(prefix), tmp_path / "lun.img").path
    assert relun("resign", path).code == 1
    run = relun("resign", "--json", "--lvm-only", path)
    steps = run.object["outcome"]["next_steps"]
    assert f"type={kind} shared=false" in steps[0]
    assert "device-config:device=DEVICE" in steps[2]
