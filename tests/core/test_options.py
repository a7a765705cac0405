"""What a user may ask of a resign: ids, names by pattern, snapshots and CBT logs dropped."""

from typing import Any, Dict, List, Set

import pytest

from relun.core import verbs
from relun.core.options import FORCED_BY, Options
from relun.core.repository import Repository
from support.builder import Cbt, Journal, Qcow2, Raw, Record, Sr, Vhd, make_uuid
from support.clone import (
    NEW_SR,
    TREE,
    clones,
    codes,
    get_lv,
    lv_at,
    made,
    resign,
    sample,
    states,
)

SNAPSHOTS = Sr(
    (
        Vhd("root", hidden=True, in_mgt=False),
        Vhd("base", parent="root", hidden=True, in_mgt=False),
        Vhd("leaf", parent="base"),
        Vhd("snap1", parent="root", record=Record("snap1", is_a_snapshot=1, snapshot_of="leaf")),
        Vhd("snap2", parent="base", record=Record("snap2", is_a_snapshot=1, snapshot_of="leaf")),
        Vhd("alone", hidden=True, in_mgt=False),
        Vhd("orphan", parent="alone", record=Record("orphan", is_a_snapshot=1)),
        Vhd("kept", record=Record("kept", is_a_snapshot=1)),
        Vhd("onkept", parent="kept"),
        Qcow2("qsnap", record=Record("qsnap", is_a_snapshot=1)),
        Raw("rsnap", record=Record("rsnap", is_a_snapshot=1)),
        Cbt("leaf", parent="snap1"),
        Cbt("ghost", child="leaf"),
        Journal("relink", "snap1"),
        Journal("coalesce", "base"),
        Journal("jvhd", "orphan", state="committed"),
    ),
    "snapshots",
    records=(
        Record("ghost", is_a_snapshot=1, snapshot_of="leaf", vdi_type="vhd"),
        Record("former", is_a_snapshot=1, deleted=1, vdi_type="vhd"),
    ),
)
GONE = {"snap1", "snap2", "alone", "orphan", "qsnap", "rsnap"}
STAY = {"root", "base", "leaf", "kept", "onkept"}


def live(repository: Repository) -> Set[str]:
    """Return the VDI uuids of MGT's records in use."""
    assert repository.mgt is not None
    return {r.uuid for r in repository.mgt.content.records if not r.deleted}


def names(repository: Repository) -> List[str]:
    assert repository.mgt is not None
    return [r.name for r in repository.mgt.content.records if not r.deleted]


def renamed(plan: Any, built: Any, keys: Set[str]) -> Set[str]:
    return {plan.new_ids["vdi"][built.uuids[key]] for key in keys}


def test_drop_snapshots_and_what_they_alone_need(tmpdir: Any) -> None:
    built, devices = made(SNAPSHOTS, tmpdir)
    plan = resign(devices, drop_snapshots=True).plan
    assert plan is not None
    expected = {built.names[key] for key in GONE}
    expected |= {built.uuids["leaf"] + ".cbtlog", make_uuid("snapshots", "vdi/ghost") + ".cbtlog"}
    expected |= {"relink_{}_1".format(built.uuids["snap1"]), "jvhd_" + built.uuids["orphan"]}
    assert set(plan.dropped) == expected
    clone = verbs.inspect(devices)
    images = {v.name.vdi for v in clone.volumes if v.name.is_image}
    assert images == renamed(plan, built, STAY)
    assert live(clone) == renamed(plan, built, {"leaf", "kept", "onkept"})
    assert codes(clone.findings) == ["journal-pending"]
    verbs.undo(devices)
    assert states(devices) == [{}]


def test_ids_of_what_goes_are_wiped(tmpdir: Any) -> None:
    built, devices = made(SNAPSHOTS, tmpdir)
    before = clones(built)
    resign(devices, drop_snapshots=True)
    for key in ("snap1", "snap2", "alone", "orphan"):
        name = built.names[key]
        assert get_lv(built, devices, name, 0, 1536) == bytes(1536)
        assert get_lv(built, devices, name, -512, 512) == bytes(512)
        for locator in range(3) if key != "alone" else ():
            entry = get_lv(built, before, name, 512 + 576 + 24 * locator, 24)
            where = int.from_bytes(entry[16:], "big")
            assert any(get_lv(built, before, name, where, 512))
            assert not any(get_lv(built, devices, name, where, 512))
    assert get_lv(built, devices, built.uuids["leaf"] + ".cbtlog", 0, 512) == bytes(512)
    assert get_lv(built, devices, "jvhd_" + built.uuids["orphan"], 0, 512) == bytes(512)
    assert get_lv(built, devices, built.names["qsnap"], 0, 4096) == bytes(4096)
    # A raw disk is all the guest's: nothing in it is looked at.
    pv, at = lv_at(built, built.names["rsnap"])
    assert devices[pv].get(at, 4096) == before[pv].get(at, 4096) != bytes(4096)


def test_wiped_is_metadata_only(tmpdir: Any) -> None:
    """The data blocks of what goes stay as they are; freed extents are the array's to discard."""
    built, devices = made(SNAPSHOTS, tmpdir)
    before = clones(built)
    plan = resign(devices, drop_snapshots=True).plan
    assert plan is not None
    for key in ("snap1", "qsnap"):
        ((pv, start, size),) = built.lvs[built.names[key]].runs
        inside = [e for e in plan.edits if e.device == pv and start <= e.offset < start + size]
        assert sum(len(edit.new) for edit in inside) <= 64 * 1024
    bat = int.from_bytes(get_lv(built, before, built.names["snap1"], 1536, 4), "big") * 512
    block = get_lv(built, before, built.names["snap1"], bat, 8192)
    assert any(block) and get_lv(built, devices, built.names["snap1"], bat, 8192) == block


def test_drop_cbt_alone(tmpdir: Any) -> None:
    built, devices = made(SNAPSHOTS, tmpdir)
    plan = resign(devices, drop_cbt=True).plan
    assert plan is not None
    assert {name[36:] for name in plan.dropped} == {".cbtlog"} and len(plan.dropped) == 2
    clone = verbs.inspect(devices)
    keys = {"leaf", "snap1", "snap2", "orphan", "kept", "onkept", "qsnap", "rsnap"}
    assert live(clone) == renamed(plan, built, keys)  # all but the VDI that was a log only
    verbs.undo(devices)
    assert states(devices) == [{}]


def test_drop_snapshots_where_nothing_tells_which_are(tmpdir: Any) -> None:
    devices = made(Sr((Raw("raw"),), "nomgt", mgt=False), tmpdir)[1]
    plan = resign(devices, drop_snapshots=True).plan
    assert plan is not None and plan.dropped == ()


def test_drop_snapshots_of_a_cycle_ends(tmpdir: Any) -> None:
    """Two images that are each other's parent: a fault of the SR's own, told and kept."""
    volumes = (
        Vhd("a", parent="b", record=Record("a", is_a_snapshot=1)),
        Vhd("b", parent="a", record=Record("b", is_a_snapshot=1)),
    )
    devices = made(Sr(volumes, "cycle"), tmpdir)[1]
    assert codes(verbs.inspect(devices).findings) == ["parent-cycle"]
    plan = resign(devices, drop_snapshots=True).plan
    assert plan is not None and len(plan.dropped) == 2


def test_drop_snapshots_of_the_sample() -> None:
    device = sample("chain")
    plan = resign([device], drop_snapshots=True).plan
    assert plan is not None and plan.dropped
    clone = verbs.inspect([device])
    assert not {"parent-missing", "mgt-dead-record"} & set(codes(clone.findings))
    assert clone.mgt is not None
    records = clone.mgt.content.records
    assert not [r for r in records if not r.deleted and r.elements.get("is_a_snapshot") == "1"]
    verbs.undo([device])
    assert device.state() == {}


def test_label_pattern(tmpdir: Any) -> None:
    volumes = (Vhd("disk", record=Record("disk", name="a & b <c>")), Raw("raw"))
    sr = Sr(volumes, "l", name="Gold & 1", description="the SR's own words")
    built, devices = made(sr, tmpdir)
    description = get_lv(built, devices, "MGT", 3 * 512, 512)
    assert b"the SR's own words" in description
    resign(devices, label="{name} (clone of {sr}, {date})", date="2026-01-31")
    clone = verbs.inspect(devices)
    assert clone.mgt is not None
    assert clone.mgt.content.sr_name == "Gold & 1 (clone of Gold & 1, 2026-01-31)"
    assert names(clone) == [
        "a & b <c> (clone of Gold & 1, 2026-01-31)",
        "raw (clone of Gold & 1, 2026-01-31)",
    ]
    assert clone.findings == ()
    assert get_lv(built, devices, "MGT", 3 * 512, 512) == description
    verbs.undo(devices)
    assert states(devices) == [{}]


def test_label_that_does_not_fit_is_told_and_left(tmpdir: Any) -> None:
    volumes = (
        Vhd("long", record=Record("long", name="x" * 200, description="d" * 200)),
        Raw("raw"),
    )
    built, devices = made(Sr(volumes, "long", name="s" * 470), tmpdir)
    plan = resign(devices, label="{name}" + "!" * 60).plan
    assert plan is not None
    assert codes(plan.findings) == ["label-too-long", "label-too-long"]
    of_sr, of_record = plan.findings
    assert (of_sr.where, of_sr.offset, of_sr.fields) == ("MGT: SR record", -1, {})
    assert (of_record.where, of_record.offset) == ("MGT record at 2048", -1)
    assert of_record.fields == {"vdi": built.uuids["long"]}
    clone = verbs.inspect(devices)
    assert names(clone) == ["x" * 200, "raw" + "!" * 60]
    assert clone.mgt is not None and clone.mgt.content.sr_name == "s" * 470


def test_label_of_a_damaged_record_is_left(tmpdir: Any) -> None:
    """SM cuts long names after escaping: half an entity is left, and the record is no XML."""
    first = b"<vdi><name_label>a &am</name_label><name_description></name_description>"
    devices = made(Sr((Vhd("cut", record=Record("cut", first=first)),), "cut"), tmpdir)[1]
    plan = resign(devices, label="{name}-2").plan
    assert plan is not None
    assert codes(plan.findings) == ["label-too-long", "mgt-record"]
    assert names(verbs.inspect(devices)) == ["a &am"]


def test_labels_of_dropped_and_deleted_records_do_not_matter(tmpdir: Any) -> None:
    long = "x" * 400
    volumes = (Vhd("leaf"), Vhd("snap", record=Record("snap", name=long, is_a_snapshot=1)))
    records = (Record("former", name=long, deleted=1, vdi_type="vhd"),)
    stale = (Record("stale", name=long, vdi_type="vhd"),)
    sr = Sr(volumes, "d", records=records, stale_records=stale)
    devices = made(sr, tmpdir)[1]
    plan = resign(devices, label="{name}" + "!" * 90, drop_snapshots=True).plan
    assert plan is not None and plan.findings == ()
    clone = verbs.inspect(devices)
    assert clone.mgt is not None
    assert [r.name for r in clone.mgt.content.records if r.deleted] == [long, long]


def test_force_mgt_drops_dead_records_as_sm_would(tmpdir: Any) -> None:
    records = (
        Record("gone", name="gone", vdi_type="vhd"),
        Record("x", second=b"<uuid></uuid><deleted>0</deleted></vdi>"),
    )
    built, devices = made(Sr(TREE, "dead", records=records), tmpdir)
    plan = resign(devices, force_mgt=True).plan
    assert plan is not None
    clone = verbs.inspect(devices)
    assert clone.findings == ()
    assert live(clone) == renamed(plan, built, {"left", "right"})
    assert verbs.verify(devices, clones(built)) == ()
    verbs.undo(devices)
    assert states(devices) == [{}]


def test_id_map_of_every_kind(tmpdir: Any) -> None:
    built, devices = made(Sr(TREE, "map"), tmpdir)
    wanted = {
        built.sr_uuid: make_uuid("w", "sr"),
        built.uuids["left"]: make_uuid("w", "left"),
        built.footers["base"]: make_uuid("w", "image"),
        built.vg_uuid: "w" * 32,
    }
    plan = resign(devices, sr_uuid="", id_map=wanted).plan
    assert plan is not None and plan.change.new_sr == make_uuid("w", "sr")
    ids = plan.new_ids
    assert ids["vdi"][built.uuids["left"]] == make_uuid("w", "left")
    assert ids["image"][built.footers["base"]] == make_uuid("w", "image")
    assert ids["lvm"][built.vg_uuid] == "w" * 32
    clone = verbs.inspect(devices)
    assert clone.vg is not None
    assert clone.vg.uuid == "w" * 32 and "VHD-" + make_uuid("w", "left") in clone.vg.lvs
    assert clone.findings == ()


def test_id_map_and_sr_uuid_that_agree(tmpdir: Any) -> None:
    built, devices = made(Sr(TREE, "agree"), tmpdir)
    assert resign(devices, id_map={built.sr_uuid: NEW_SR}).new_sr == NEW_SR


@pytest.mark.parametrize("code, option", sorted(FORCED_BY.items()))
def test_each_force_lifts_its_own_refusal_only(code: str, option: str) -> None:
    given: Dict[str, Any] = {option: True}
    assert [c for c in FORCED_BY if Options(**given).lifts(c)] == [code]
    assert not any(Options().lifts(c) for c in FORCED_BY)
    assert not Options(**given).lifts("vg-exported")


def test_forced_journals_of_the_sample() -> None:
    device = sample("journals")
    resign([device], force_journals=True)
    clone = verbs.inspect([device])
    old = {v.lv.name for v in verbs.inspect([sample("journals")]).volumes}
    journals = [v for v in clone.volumes if v.name.kind in ("journal", "jvhd")]
    assert journals and not {v.lv.name for v in journals} & old
