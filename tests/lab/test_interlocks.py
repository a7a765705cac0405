"""Living devices that relun must not touch, or only when it is sure: each refusal and its words."""

from lab.lab import Lab
from lab.lvm import node
from support import compare, golden


def test_device_in_use_is_refused(lab: Lab) -> None:
    facts = golden.manifest("ext")
    vg, lv = facts["vg"]["vg_name"], facts["lvs"][0]["name"]
    file = lab.lun_file("ext")
    _lun, device = lab.attach("clone", file)
    lab.lvm.activate(vg)
    assert "is held by" in lab.refused("resign", "--yes", "--lvm-only", device)
    lab.guest.check("mkdir -p /tmp/m; mount -o ro,noload {} /tmp/m".format(node(vg, lv)))
    assert "is held by" in lab.refused("resign", "--yes", "--lvm-only", device)
    lab.guest.check("umount /tmp/m")
    lab.lvm.deactivate(vg)

    size = "$(blockdev --getsz {})".format(device)
    lab.guest.check('dmsetup create other --table "0 {} linear {} 0"'.format(size, device))
    assert "is held by" in lab.refused("resign", "--yes", "--lvm-only", device)
    lab.guest.check("dmsetup remove other; udevadm settle")
    # Any other exclusive user, such as a second relun, is enough.
    keep = "import os, time; os.open('{}', os.O_RDONLY | os.O_EXCL); time.sleep(60)".format(device)
    holder = 'python3 -c "{}" & sleep 0.5\n'.format(keep)
    lab.guest.start(holder + "wait")
    lab.guest.check("sleep 1")
    assert "is in use" in lab.refused("resign", "--yes", "--lvm-only", device)
    lab.target.clear()
    assert compare.differences(golden.image("ext"), str(file)) == []


def test_whole_disk_with_a_filesystem_in_use_is_refused(lab: Lab) -> None:
    file = lab.target.folder / "disk"
    with file.open("wb") as image:
        image.truncate(64 << 20)
    _lun, device = lab.attach("disk", file)
    lab.guest.check("mkfs.ext4 -q {0}; mkdir -p /tmp/m; mount {0} /tmp/m".format(device))
    assert "is mounted on /tmp/m" in lab.refused("resign", "--yes", device)


def test_serial_guards_against_swapped_names(lab: Lab) -> None:
    """Names go by the order of logins; the serial and the SCSI id stay with the LUN."""
    first = lab.target.export("first", lab.lun_file("single", "first"))
    second = lab.target.export("second", lab.lun_file("single", "second"))
    (device,) = lab.target.login(first)
    assert lab.target.login(second) != [device]
    lab.target.logout(first)
    lab.target.logout(second)
    assert lab.target.login(second) == [device]
    refused = lab.refused("resign", "--yes", "--expect-serial", first.serial, device)
    assert second.serial in refused
    assert second.wwid in refused
    assert compare.differences(golden.image("single"), str(second.file)) == []
    assert lab.resign("--expect-serial", second.wwid, device)["action"] == "resigned"


def test_original_is_never_its_own_clone(lab: Lab) -> None:
    _lun, original = lab.attach("original", lab.lun_file("single", "original"))
    _lun, clone = lab.attach("clone", lab.lun_file("single", "clone"))
    lab.refused("resign", "--yes", "--original", original, original)
    assert lab.resign("--original", original, clone)["action"] == "resigned"


def test_read_only_lun_is_refused(lab: Lab) -> None:
    lun = lab.target.export("clone", lab.lun_file("single"), read_only=True)
    (device,) = lab.target.login(lun)
    assert "cannot be written to" in lab.refused("resign", "--yes", device)


def test_lun_that_shrank_or_vanished_is_refused(lab: Lab) -> None:
    lun, device = lab.attach("clone", lab.lun_file("single"))
    lab.target.resize(lun, 200 << 20)
    lab.refused("resign", "--yes", device)
    lab.target.remove(lun)
    lab.refused("resign", "--yes", device)
    lab.target.logout(lun)
    lab.refused("resign", "--yes", device)


def test_lun_that_vanishes_in_the_middle_is_recovered(lab: Lab) -> None:
    lun, device = lab.attach("clone", lab.lun_file("single"))
    stopped = lab.stepped("flush=3", "resign", "--yes", device)
    # The third flush ends in the middle of the edits; then the array takes the LUN away.
    lab.guest.check(
        stopped + " >/tmp/relun.out 2>&1 &\necho $! >/tmp/pid\n"
        "until read -r stat </proc/$!/stat; [[ $stat = *') '[TZ]' '* ]]; do sleep 0.02; done\n"
        "[[ $stat = *') T '* ]] || cat /tmp/relun.out >&2\n"
    )
    lab.target.remove(lun)
    told = lab.guest.check(
        "read -r pid </tmp/pid; kill -CONT $pid\n"
        "while [ -e /proc/$pid ]; do sleep 0.02; done; cat /tmp/relun.out"
    )
    assert "relun recover" in told
    lab.target.restore(lun)
    lab.target.rescan(lun)
    assert lab.relun("recover", device)["outcome"]["action"] == "recovered"
    assert lab.relun("verify", device)["differences"] == []
