"""Kinds of LUN: block sizes, caches, sizes, numbers of volumes, and an SR over two LUNs."""

import subprocess
from typing import Any

import pytest

from lab.lab import SR_UUID, Lab
from lab.lvm import counters, node
from support import chain, compare, golden

NEW_VG = "VG_XenStorage-" + SR_UUID


@pytest.mark.parametrize(
    ("image", "options"),
    [("single", {"block_size": 4096}), ("raw", {"write_cache": False})],
)
def test_kind_of_lun(lab: Lab, image: str, options: dict[str, Any]) -> None:
    facts = golden.manifest(image)
    file = lab.lun_file(image)
    lun = lab.target.export("clone", file, **options)
    (device,) = lab.target.login(lun)
    lab.resign(device)
    assert lab.lvm.warnings() == ""
    lab.lvm.activate(NEW_VG)
    lab.target.clear()
    # Seen through another block size or cache, the bytes are those of the same resign of a file.
    assert compare.differences(str(file), str(lab.reference(image, lun))) == []
    assert set(chain.hashes_of(file).values()) == {v["sha256"] for v in facts["vdis"].values()}


def test_sparse_lun_of_16_tib(lab: Lab) -> None:
    """The file lies in the guest's memory: the largest that a host's file system holds is less."""
    file = lab.lun_file("single")
    lab.guest.check(
        "cp --sparse=always /chan/luns/{} /tmp/large; truncate -s 16T /tmp/large".format(file.name)
    )
    (device,) = lab.target.login(lab.target.export("large", "/tmp/large"))
    vg = golden.manifest("single")["vg"]["vg_name"]
    far = "LV-" + "1" * 8 + "-1111-4111-8111-" + "1" * 12
    lab.guest.check(
        "pvresize -q {device} >/dev/null\n"
        "lvcreate -q -Wn -Zn -n {far} -l 100%FREE {vg} >/dev/null\n"
        "echo far | dd of={node} bs=512 conv=sync,fsync seek=$(($(blockdev --getsz {node}) - 1)) "
        "status=none\nvgchange -q -an {vg} >/dev/null\n".format(
            device=device, far=far, vg=vg, node=node(vg, far)
        )
    )
    before = counters(lab.guest, device)
    ids = lab.resign(device)["ids"]["vdi"]
    used = counters(lab.guest, device).since(before)
    assert used.bytes_read + used.bytes_written < 2 << 20
    assert lab.lvm.warnings() == ""
    lab.lvm.activate(NEW_VG)
    read = "dd if={0} bs=512 skip=$(($(blockdev --getsz {0}) - 1)) status=none | head -c 3"
    assert lab.guest.check(read.format(node(NEW_VG, "LV-" + ids[far[3:]]))) == "far"
    lab.target.clear()
    lab.guest.check("rm /tmp/large")


def test_300_vdis(lab: Lab) -> None:
    file = lab.lun_file("many")
    _lun, device = lab.attach("clone", file)
    assert len(lab.resign(device)["ids"]["vdi"]) >= 300
    assert lab.lvm.warnings() == ""
    assert lab.relun("verify", device)["differences"] == []
    assert {row["vg_name"] for row in lab.lvm.pvs()} == {NEW_VG}


def test_sr_over_two_luns(lab: Lab) -> None:
    vg = golden.manifest("single")["vg"]["vg_name"]
    second = lab.target.folder / "second"
    with second.open("wb") as image:
        image.truncate(256 << 20)
    files = [lab.lun_file("single", "first"), second]
    luns = [lab.target.export(name, file) for name, file in zip(("first", "second"), files)]
    devices = [lab.target.login(lun)[0] for lun in luns]
    raw = "LV-" + "2" * 8 + "-2222-4222-8222-" + "2" * 12
    lab.guest.check(
        "vgextend -q {vg} {device} >/dev/null\n"
        "lvcreate -q -Wn -Zn -n {raw} -l 100%FREE {vg} >/dev/null\n"
        "echo first | dd of={node} conv=notrunc,fsync status=none\n"
        "vgchange -q -an {vg} >/dev/null\n".format(
            vg=vg, device=devices[1], raw=raw, node=node(vg, raw)
        )
    )
    clones = []
    for number, file in enumerate(files):
        copy = lab.target.folder / "clone{}".format(number)
        subprocess.run(["cp", "--sparse=always", str(file), str(copy)], check=True)
        clones.append(lab.attach(copy.name, copy)[1])
    for clone in clones:
        lab.refused("resign", "--yes", clone)
    ids = lab.resign(*clones)["ids"]["vdi"]
    assert lab.lvm.warnings() == ""
    assert {row["pv_name"]: row["vg_name"] for row in lab.lvm.pvs()} == {
        **dict.fromkeys(devices, vg),
        **dict.fromkeys(clones, NEW_VG),
    }
    lab.lvm.activate(vg)
    lab.lvm.activate(NEW_VG)
    read = lab.guest.check("head -c 5 {}".format(node(NEW_VG, "LV-" + ids[raw[3:]])))
    assert read == "first"
