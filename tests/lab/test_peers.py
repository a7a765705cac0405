"""The measured ways do what they are measured for."""

import re

from lab import peers
from lab.guest import INSIDE
from lab.lab import Lab
from support import golden


def test_measures_of_one_lun(lab: Lab) -> None:
    measures = {one.way: one for one in peers.compare(lab, ["single"])}
    assert set(measures) == {"relun", "ancestor", "vgimportclone"}
    assert measures["relun"].lvm_commands == 0
    # pvdisplay, vgcfgbackup, pvcreate, vgcfgrestore, MGT and one volume activated, deactivation.
    assert measures["ancestor"].lvm_commands == 7
    for one in measures.values():
        assert 0 < one.bytes_written < 64 << 20
        assert one.bytes_read > 0
        assert 0 < one.seconds < 60
    assert measures["relun"].bytes_written < measures["vgimportclone"].bytes_written
    rows = peers.table(list(measures.values())).splitlines()
    assert len(rows) == 5
    assert re.match(r"\| single \| relun \| [0-9.]+ \| 1\.0 \| 0 \|", rows[2])


def test_ancestor_gives_parents_and_names_that_hold(lab: Lab) -> None:
    """So that its time is that of work well done."""
    facts = golden.manifest("raw")
    file = lab.lun_file("raw")
    _lun, device = lab.attach("clone", file)
    lab.guest.check("bash {} {} {}".format(INSIDE / "ancestor.sh", device, peers.NEW_SR))
    assert lab.lvm.warnings() == ""
    seen = lab.relun("inspect", device)["repository"]
    assert seen["sr_uuid"] == peers.NEW_SR
    snapshots = {
        record["uuid"] for record in facts["mgt"]["vdis"].values() if record["is_a_snapshot"] == "1"
    }
    assert len(snapshots) == 2
    old = {volume[-36:] for volume in facts["vdis"]} - snapshots
    vdis = {image["vdi"] for image in seen["images"]}
    assert len(vdis) == len(old)
    assert not vdis & old
    parents = {image["parent"][-36:] for image in seen["images"] if image["parent"]}
    assert parents
    assert parents <= vdis
    assert [finding["code"] for finding in seen["findings"] if "parent" in finding["code"]] == []
