"""The lab itself: each thing that the scenarios rely on is seen to be real."""

import hashlib
import time
from typing import Any

import pytest

from lab.guest import GuestError, Result
from lab.lab import Lab
from lab.lvm import counters, node
from lab.target import PORTALS
from support import golden


def test_job_ends_with_its_output_and_exit_code(lab: Lab) -> None:
    result = lab.guest.run("echo out; echo err >&2; exit 3")
    assert result[:3] == Result(3, "out\n", "err\n", 0)[:3]


def test_job_that_hangs_is_reported_and_the_next_test_gets_a_new_guest(lab: Lab) -> None:
    with pytest.raises(GuestError, match=r"had not ended after 0 s(.|\n)*sleep 60"):
        lab.guest.run("echo before; sleep 60", timeout=0.3)
    assert not lab.guest.alive
    lab.power_cycle()
    assert lab.guest.check("echo $((6 * 7))") == "42\n"


def test_python_function_runs_in_the_guest(lab: Lab) -> None:
    def kernel(prefix: str) -> list[str]:
        import os

        return [prefix, os.uname().nodename]

    assert lab.guest.call(kernel, "x") == ["x", "lab"]


def test_job_beside_others(lab: Lab) -> None:
    job = lab.guest.start("until [ -e /tmp/go ]; do sleep 0.01; done; rm /tmp/go; exit 5")
    lab.guest.check("touch /tmp/go")
    assert lab.guest.wait(job, 10).code == 5


def test_guest_cannot_change_the_host(lab: Lab) -> None:
    lab.guest.run("echo changed >/etc/hostname; touch {}/changed".format(golden.LUNS))
    with open("/etc/hostname", encoding="utf-8") as file:
        assert file.read() != "changed\n"
    assert "changed" not in golden.names()
    assert lab.guest.run("touch {}/changed".format(golden.LUNS)).code == 1


def test_sample_lun_is_seen_activated_and_readable(lab: Lab) -> None:
    facts = golden.manifest("single")
    lun = lab.target.export("a", lab.lun_file("single"))
    (device,) = lab.target.login(lun)
    (pv,) = lab.lvm.pvs()
    assert (pv["pv_name"], pv["pv_uuid"]) == (device, facts["pvs"][0]["pv_uuid"])
    assert [vg["vg_uuid"] for vg in lab.lvm.vgs()] == [facts["vg"]["vg_uuid"]]
    vg = facts["vg"]["vg_name"]
    lab.lvm.activate(vg)
    (disk,) = facts["vdis"]
    read = lab.guest.check("head -c 1048576 {} | sha256sum".format(node(vg, disk))).split()[0]
    assert read == hashlib.sha256(golden.read_lv("single", disk, 0, 1 << 20)).hexdigest()
    assert lab.lvm.warnings() == ""


def test_unsigned_clone_beside_the_original(lab: Lab) -> None:
    """What a user meets without relun; and that vgimportclone ends it for LVM."""
    facts = golden.manifest("single")
    vg, pv = facts["vg"]["vg_name"], facts["pvs"][0]["pv_uuid"]
    original, clone = (lab.target.export(name, lab.lun_file("single", name)) for name in "ab")
    (first,) = lab.target.login(original)
    lab.lvm.activate(vg)
    (second,) = lab.target.login(clone)
    words = lab.lvm.warnings()
    assert "WARNING: Not using device {} for PV {}.".format(second, pv) in words
    assert (
        "WARNING: PV {} prefers device {} because device is used by LV.".format(pv, first) in words
    )
    lab.lvm.deactivate(vg)
    refused = lab.lvm.run("vgchange -ay " + vg)
    assert refused.code == 5
    assert "Cannot activate LVs in VG" in refused.err
    assert "while PVs appear on duplicate devices." in refused.err

    lab.lvm.check("vgimportclone --basevgname {}x {}".format(vg, second))
    assert lab.lvm.warnings() == ""
    assert {row["pv_name"]: row["vg_name"] for row in lab.lvm.pvs()} == {
        first: vg,
        second: vg + "x",
    }
    lab.lvm.activate(vg)
    lab.lvm.activate(vg + "x")
    # It gives no LV a name or a uuid of its own: half the identity is still the original's.
    lvs = [(row["lv_name"], row["lv_uuid"]) for row in lab.lvm.lvs()]
    assert len(lvs) == 4
    assert len(set(lvs)) == 2


def test_ids_and_names_are_those_of_a_real_lun(lab: Lab) -> None:
    lun = lab.target.export("a", lab.lun_file("single"), serial="SER-1")
    (device,) = lab.target.login(lun)
    name = device.rsplit("/", 1)[-1]
    assert lab.guest.check("cat /sys/block/{}/device/wwid".format(name)) == "naa.{}\n".format(
        lun.scsi_id
    )
    links = lab.guest.check("ls /dev/disk/by-id").split()
    assert {"scsi-" + lun.wwid, "wwn-0x" + lun.scsi_id, "scsi-SLAB_ARRAY_SER-1"} <= set(links)


@pytest.mark.parametrize(
    ("options", "properties"),
    [
        ({}, "0 512 write back"),
        ({"write_cache": False}, "0 512 write through"),
        # The kernel takes a read-only disk for one without a write cache.
        ({"block_size": 4096, "read_only": True}, "1 4096 write through"),
    ],
)
def test_properties_of_a_lun(lab: Lab, options: dict[str, Any], properties: str) -> None:
    (device,) = lab.target.login(lab.target.export("a", lab.lun_file("single"), **options))
    seen = lab.guest.check(
        "cd /sys/block/{}; cat ro queue/logical_block_size queue/write_cache".format(
            device.rsplit("/", 1)[-1]
        )
    )
    assert seen.split("\n") == [*properties.split(" ", 2), ""]
    written = lab.guest.run("dd if=/dev/zero of={} bs=4096 count=1".format(device))
    assert (written.code == 0) == ("read_only" not in options)


def test_lun_grows_shrinks_vanishes_and_returns(lab: Lab) -> None:
    lun = lab.target.export("a", lab.lun_file("single"))
    (device,) = lab.target.login(lun)
    size = "blockdev --getsize64 " + device
    for gib in (2, 1):
        lab.target.resize(lun, gib << 30)
        assert int(lab.guest.check(size)) == gib << 30
    read = "dd if={} of=/dev/null bs=4096 count=1 iflag=direct".format(device)
    assert lab.guest.run(read).code == 0
    lab.target.remove(lun)
    assert lab.guest.run(read).code != 0
    lab.target.restore(lun)
    lab.target.rescan(lun)
    assert lab.guest.run(read).code == 0


def test_counters_tell_reads_writes_and_flushes(lab: Lab) -> None:
    lun = lab.target.export("a", lab.lun_file("single"))
    (device,) = lab.target.login(lun)
    before = counters(lab.guest, device)
    lab.guest.check(
        "dd if={0} of=/dev/null bs=64k count=3 iflag=direct skip=100\n"
        "dd if=/dev/zero of={0} bs=4k count=5 oflag=direct conv=fsync\n".format(device)
    )
    seen = counters(lab.guest, device).since(before)
    assert (seen.bytes_written, seen.flushes) == (20480, 1)
    # udev looks at a device again when its writer closes it, so there may be more reads.
    assert seen.bytes_read >= 3 * 65536


def test_multipath_map_over_two_portals_loses_a_path_and_gets_it_back(lab: Lab) -> None:
    vg = golden.manifest("single")["vg"]["vg_name"]
    lab.multipath.start()
    lun = lab.target.export("a", lab.lun_file("single"))
    devices = lab.target.login(lun, PORTALS)
    device = lab.multipath.map(lun)
    assert [row["pv_name"] for row in lab.lvm.pvs()] == [device]
    lab.lvm.activate(vg)
    read = "dd if={} of=/dev/null bs=1M count=1 iflag=direct".format(device)
    lab.target.cut(PORTALS[1])
    lab.guest.check(read, timeout=20)
    lab.multipath.map(lun, paths=1)
    lost = devices[1].rsplit("/", 1)[-1]
    assert lab.multipath.states(lun)[lost] == "failed"
    lab.target.set_state(devices[0], "offline")
    assert lab.guest.run(read, timeout=20).code != 0
    lab.target.set_state(devices[0], "running")
    lab.target.mend(PORTALS[1])
    lab.multipath.map(lun, paths=2)
    lab.guest.check(read)
    assert lab.lvm.warnings() == ""


def test_power_loss_keeps_the_lun_and_nothing_else(lab: Lab) -> None:
    file = lab.lun_file("single")
    lun = lab.target.export("a", file)
    (device,) = lab.target.login(lun)
    lab.guest.check(
        "echo kept | dd of={} bs=512 seek=2000000 conv=fsync,sync\ntouch /etc/gone".format(device)
    )
    lab.power_cycle()
    assert lab.guest.run("[ -e /etc/gone ] || [ -e {} ]".format(device)).code == 1
    (device,) = lab.target.login(lab.target.export("a", file))
    read = "dd if={} bs=512 skip=2000000 count=1 status=none | head -c 5".format(device)
    assert lab.guest.check(read) == "kept\n"
    assert len(lab.lvm.lvs()) == 2


def test_power_loss_takes_what_a_volatile_cache_had_not_flushed(lab: Lab) -> None:
    file = lab.lun_file("single")
    lun = lab.target.export("a", file, volatile=True)
    (device,) = lab.target.login(lun)
    write = "echo {} | dd of={} bs=4096 seek={} conv=sync{} oflag=direct status=none\n"
    lab.guest.check(write.format("flushed", device, 200000, ",fsync"))
    lab.guest.check(write.format("lost", device, 200001, ""))
    read = "dd if={} bs=4096 skip=200001 count=1 status=none iflag=direct | head -c 4"
    assert lab.guest.check(read.format(device)) == "lost"
    lab.guest.kill()
    time.sleep(0.1)
    with file.open("rb") as image:
        image.seek(200000 * 4096)
        assert image.read(8) == b"flushed\n"
        image.seek(200001 * 4096)
        assert image.read(4) == bytes(4)
