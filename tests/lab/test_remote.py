"""The safest order: the clone is resigned over iSCSI before any host has seen it."""

from lab.lab import SR_UUID, Lab
from lab.lvm import node
from lab.target import PORTALS
from lab.test_clone import NEW_VG, renamed
from support import chain, compare, golden


def test_clone_that_is_resigned_before_a_host_sees_it(lab: Lab) -> None:
    """The pool's host then attaches both by open-iscsi, and LVM has never seen one SR twice."""
    facts = golden.manifest("chain")
    vg = facts["vg"]["vg_name"]
    files = [lab.lun_file("chain", name) for name in ("original", "clone")]
    _lun, original = lab.attach("original", files[0])
    lab.lvm.activate(vg)
    clone = lab.target.export("clone", files[1])
    address = f"iscsi://{PORTALS[1]}/{clone.iqn}/{clone.unit}"

    (conflict,) = lab.relun("conflicts", original, address)["conflicts"]
    roles = {copy["device"]: copy["role"] for copy in conflict["copies"]}
    assert roles == {original: "original", address: "clone"}
    outcome = lab.resign("--expect-serial", clone.serial, address)
    assert lab.lvm.warnings() == ""
    assert {row["vg_name"] for row in lab.lvm.pvs()} == {vg}, "no host has logged in to the clone"

    (device,) = lab.target.login(clone)
    assert lab.lvm.warnings() == ""
    assert {row["vg_name"]: row["pv_name"] for row in lab.lvm.pvs()} == {
        vg: original, NEW_VG: device,
    }  # fmt: skip
    lab.lvm.activate(NEW_VG)
    active = [row["lv_full_name"] for row in lab.lvm.lvs() if row["lv_active"] == "active"]
    assert len(active) == len(set(active)) == 2 * len(facts["lvs"])
    volume = next(iter(renamed(facts, outcome)))
    head = lab.guest.check(f"dd if={node(NEW_VG, volume)} bs=8 count=1 status=none")
    assert head == "conectix", "a VHD begins with its footer's copy"
    assert lab.relun("conflicts")["conflicts"] == []
    assert lab.relun("inspect", device)["repository"]["sr_uuid"] == SR_UUID
    lab.target.clear()

    assert compare.differences(golden.image("chain"), str(files[0])) == []
    assert chain.hashes_of(files[1]) == renamed(facts, outcome)
