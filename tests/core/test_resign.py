"""A whole resign: what changes, what does not, and the way back, on real images and built ones."""

import re
import uuid
from typing import Any, Dict, Iterator, List, Set, Tuple

import pytest

from relun.core import verbs
from relun.core.errors import Interrupted
from relun.core.lvm2.label import find_labels
from relun.core.options import Options
from relun.core.repository import DONE, LVM_SR, ORIGINAL
from support import golden
from support.builder import (
    Cbt,
    Journal,
    Pv,
    Qcow2,
    Raw,
    Record,
    Ring,
    Sr,
    Vhd,
    filesystem_sr,
    guest,
    make_uuid,
    special,
)
from support.clone import (
    GAP,
    NEW_SR,
    TREE,
    Devices,
    clones,
    codes,
    get_lv,
    made,
    put_lv,
    resign,
    retext,
    sample,
    states,
    text_of,
)
from support.memory import SECTOR, MemoryDevice

SAMPLES = ["single", "raw", "chain", "journals", "qcow2", "twomda", "wrapped"]
UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def new_vdi(old: str) -> str:
    """Return the VDI uuid that a resign gives, by the standard library."""
    return str(uuid.uuid5(uuid.UUID(NEW_SR), old))


def new_footer(old: str) -> bytes:
    """Return the footer uuid that a resign gives, by the standard library."""
    return uuid.uuid5(uuid.uuid5(uuid.UUID(NEW_SR), "image"), old).bytes


def changed(device: MemoryDevice) -> Iterator[Tuple[int, int]]:
    for number in device.sectors:
        yield number * SECTOR, number * SECTOR + SECTOR


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_there_and_back(name: str) -> None:
    device = sample(name)
    facts = golden.manifest(name)
    outcome = resign([device], force_journals=True)
    assert (outcome.action, outcome.new_sr) == ("resigned", NEW_SR)
    plan = outcome.plan
    assert plan is not None
    assert device.dropped_caches == 1
    allowed = [(edit.offset, edit.end) for edit in plan.edits] + [(GAP, GAP + SECTOR)]
    region = plan.space.region
    allowed.append((region.offset, region.offset + len(plan.space.content)))
    for start, end in changed(device):
        assert any(a <= start and end <= b for a, b in allowed), start
    clone = verbs.inspect([device])
    assert (clone.kind, clone.state, clone.sr_uuid) == (LVM_SR, DONE, NEW_SR)
    assert clone.vg is not None
    assert clone.vg.seqno == int(facts["vg"]["vg_seqno"]) + 1
    assert len(clone.volumes) == len(facts["lvs"])
    expected = {UUID.sub(renamed, e["name"].encode("ascii")).decode("ascii") for e in facts["lvs"]}
    assert set(clone.vg.lvs) == expected
    before = codes(verbs.inspect([sample(name)]).findings)
    assert codes(clone.findings) == [code for code in before if code != "vhd-primary-dead"]
    undone = verbs.undo([device])
    assert (undone.action, undone.new_sr) == ("undone", facts["vg"]["vg_name"][-36:])
    assert device.state() == {}


def renamed(match: Any) -> bytes:
    return new_vdi(match.group().decode("ascii")).encode("ascii")


@pytest.mark.parametrize("name", ["single", "raw", "chain", "journals", "qcow2"])
def test_guest_data_is_not_touched(name: str) -> None:
    """The blocks in which guests' data lie, by the manifest, have no changed sector."""
    device = sample(name)
    facts = golden.manifest(name)
    resign([device], force_journals=True)
    touched = {start for start, _end in changed(device)}
    ranges = list(guest_ranges(name, facts))
    assert ranges
    for start, end in ranges:
        assert not any(start <= at < end for at in touched)


def guest_ranges(name: str, facts: Dict[str, Any]) -> Iterator[Tuple[int, int]]:
    """Yield (start, end) on the LUN of raw disks and of the data blocks that a VHD's BAT lists."""
    for entry in facts["lvs"]:
        runs = list(golden.lv_runs(facts, entry["name"]))
        if entry["name"].startswith("LV-"):
            yield from ((start, start + size) for start, size in runs)
        if not entry["name"].startswith("VHD-"):
            continue
        bat = golden.read_lv(name, entry["name"], 1536, 4096)
        blocks = [int.from_bytes(bat[at : at + 4], "big") for at in range(0, 4096, 4)]
        for block in blocks:
            if block != 0xFFFFFFFF:
                at, left = block * SECTOR + SECTOR, 2 << 20  # behind the block's bitmap
                for start, size in runs:
                    take = max(0, min(left, size - at))
                    if take:
                        yield start + at, start + at + take
                    at, left = max(0, at - size), left - take


def test_traffic_of_one_disk() -> None:
    device = sample("single")
    resign([device])
    assert device.traffic.flushes <= 5
    assert device.traffic.bytes_written <= 64 * 1024
    flushes = device.traffic.flushes
    verbs.undo([device])
    # Marker, edits, second marker; journal's space, pointer, label.
    assert device.traffic.flushes - flushes == 6


EVERYTHING = (
    Vhd("base", hidden=True, in_mgt=False),
    Vhd("leaf", parent="base"),
    Vhd("snap", parent="base", record=Record("snap", is_a_snapshot=1, snapshot_of="leaf")),
    Vhd("dead", footers="dead-primary"),
    Vhd("nocopy", footers="dead-copy"),
    Vhd("differ", footers="differ"),
    Vhd("lost", parent="gone", in_mgt=False, prefix="VHD-OLD_"),
    Raw("raw"),
    Vhd("onraw", parent="raw"),
    Qcow2("qbase", hidden=True, in_mgt=False),
    Qcow2("qleaf", parent="qbase"),
    Qcow2("qmapper", parent="qbase", mapper_path=True),
    Qcow2("qfar", parent="raw", name_first=True, cluster_bits=18),
    Qcow2("qsmall", parent="qbase", cluster_bits=12),
    Cbt("leaf", parent="snap", child="never"),
    Cbt("only"),
    Journal("relink", "base"),
    Journal("inflate", "leaf", value="4194304"),
    Journal("clone", "leaf", payload=("base", "snap")),
    Journal("clone", "raw", payload=("base", "")),
    Journal("leaf", "snap", payload=("base",)),
    Journal("leaf", "leaf", payload=("base",), in_name=True),
    Journal("jvhd", "leaf", state="committed"),
    Journal("jvhd", "snap", state="empty"),
    special("redo_log", "redo"),
    special("metadata", "dr", metadata_of_pool="OpaqueRef:12345678-1234-1234-1234-123456789abc"),
)
RECORDS = (
    Record("only", name="cbt only", is_a_snapshot=1, snapshot_of="leaf", vdi_type="vhd"),
    Record("former", name="deleted", deleted=1, snapshot_of="leaf", vdi_type="vhd"),
)
FULL = Sr(
    EVERYTHING,
    "full",
    records=RECORDS,
    stale_records=(Record("stale", snapshot_of="leaf", vdi_type="vhd"),),
    pvs=(Pv(device_id="naa.600"),),
    ring=Ring(history=3, precommitted=True, offset=20480),
    command="Created *before* executing 'vgcreate VG_XenStorage /dev/sdb'",
)


def old_ids(built: Any) -> Tuple[Set[str], Set[str]]:
    """Return (uuids, LVM uuids) of everything in a built SR, also what is only referred to."""
    uuids = {built.sr_uuid, *built.uuids.values(), *built.footers.values()}
    uuids |= {make_uuid(built.sr.seed, "vdi/" + key) for key in ("gone", "never", "only", "former")}
    uuids |= {make_uuid(built.sr.seed, "vdi/stale"), make_uuid(built.sr.seed, "footer/gone")}
    lvm = {built.vg_uuid, *built.pv_uuids, *(place.uuid for place in built.lvs.values())}
    return uuids, lvm


def leftovers(devices: Devices, built: Any, skip: Tuple[str, ...] = ()) -> List[str]:
    """Return which old ids stand anywhere on the LUNs, in whatever encoding; by brute force."""
    uuids, lvm = old_ids(built)
    forms: Dict[bytes, str] = {}
    for text in uuids:
        plain = text.encode("ascii")
        for form in (plain, plain.replace(b"-", b"--")):
            wide = form.decode("ascii")
            for found in (form, wide.encode("utf-16-le"), wide.encode("utf-16-be")):
                forms[found] = text
        forms[uuid.UUID(text).bytes] = text
    for text in lvm:
        cuts = (0, 6, 10, 14, 18, 22, 26, 32)
        forms[text.encode("ascii")] = text
        forms["-".join(text[a:b] for a, b in zip(cuts, cuts[1:])).encode("ascii")] = text
    hidden = [
        (pv, start, start + size) for name in skip for pv, start, size in built.lvs[name].runs
    ]
    leftovers: List[str] = []
    for number, device in enumerate(devices):
        for offset, data in device.whole():
            for form, text in forms.items():
                at = data.find(form)
                while at >= 0:
                    place = offset + at
                    if not any(n == number and a <= place < b for n, a, b in hidden):
                        leftovers.append("{} at {} of LUN {}".format(text, place, number))
                    at = data.find(form, at + 1)
    return leftovers


SPECIAL = ("redo", "dr")  # the pool's own database: told, not touched


def test_no_old_id_is_left_where_anybody_reads(tmpdir: Any) -> None:
    """On all LUNs, outside of the ring's history and relun's journal."""
    built, devices = made(FULL, tmpdir)
    before = leftovers(devices, built)
    assert len(before) > 200  # the search finds what there is
    resign(devices, force_journals=True)
    verbs.seal(devices)
    assert leftovers(devices, built, tuple(built.names[key] for key in SPECIAL)) == []


def test_everything_comes_back(tmpdir: Any) -> None:
    built, devices = made(FULL, tmpdir)
    resign(devices, force_journals=True)
    assert verbs.verify(devices, clones(built)) == ()
    verbs.undo(devices)
    assert states(devices) == [{}]


def test_new_ids_are_where_they_belong(tmpdir: Any) -> None:
    built, devices = made(FULL, tmpdir)
    resign(devices, force_journals=True)

    def at(key: str, offset: int, length: int) -> bytes:
        return get_lv(built, devices, built.names[key], offset, length)

    for key in ("leaf", "dead", "nocopy", "differ"):
        assert at(key, 68, 16) == new_footer(built.footers[key])
        assert at(key, 0, 512) == at(key, -512, 512)
        size = built.sr.volumes[[getattr(v, "key", "") for v in EVERYTHING].index(key)].size
        assert int.from_bytes(at(key, 48, 8), "big") == size
    assert at("leaf", 512 + 40, 16) == at("base", 68, 16)
    assert at("onraw", 512 + 40, 16) == bytes(16)
    name = at("leaf", 512 + 64, 512).decode("utf-16-be").rstrip("\0")
    vg, base = "VG_XenStorage-" + NEW_SR, "VHD-" + new_vdi(built.uuids["base"])
    assert name == vg.replace("-", "--") + "-" + base.replace("-", "--")
    cbt = built.uuids["leaf"] + ".cbtlog"
    assert get_lv(built, devices, cbt, 0, 16) == uuid.UUID(new_vdi(built.uuids["snap"])).bytes
    never = new_vdi(make_uuid("full", "vdi/never"))
    assert get_lv(built, devices, cbt, 16, 16) == uuid.UUID(never).bytes
    payload = get_lv(built, devices, "clone_{}_1".format(built.uuids["leaf"]), 0, 80)
    value = "{}_{}".format(*(new_vdi(built.uuids[key]) for key in ("base", "snap")))
    assert payload == "73 {}".format(value).encode("ascii").ljust(80)
    for key, form in (("qleaf", "/dev/{}/QCOW2-{}"), ("qsmall", "/dev/{}/QCOW2-{}")):
        where = int.from_bytes(at(key, 8, 8), "big")
        path = form.format(vg, new_vdi(built.uuids["qbase"])).encode("ascii")
        assert at(key, where, len(path)) == path
    where = int.from_bytes(at("qfar", 8, 8), "big")
    assert where > 64 * 1024
    path = "/dev/{}/LV-{}".format(vg, new_vdi(built.uuids["raw"])).encode("ascii")
    assert at("qfar", where, len(path)) == path


def test_metadata_text_is_another_only_in_its_ids(tmpdir: Any) -> None:
    """With every id blotted out, nothing differs but seqno, device id and command line."""
    devices = made(FULL, tmpdir)[1]
    old = text_of(devices[0])
    assert b"device_id = " in old and b"vgcreate" in old
    resign(devices, force_journals=True)
    new = text_of(devices[0])
    assert b"device_id" not in new and b"vgcreate" not in new
    assert b'device = "/dev/disk/by-id' in new

    def blotted(text: bytes) -> List[bytes]:
        text = UUID.sub(b"UUID", text)
        text = re.sub(rb'id = "[0-9A-Za-z-]{38}"', b'id = "LVM"', text)
        text = re.sub(rb"seqno = \d+", b"seqno", text)
        text = re.sub(rb'description = ".*"', b"description", text)
        lines = text.rstrip(b"\0").split(b"\n")
        return [line for line in lines if b"device_id" not in line and line.strip()]

    assert blotted(old) == blotted(new)


def test_mgt_keeps_names_and_empties_the_pool(tmpdir: Any) -> None:
    built, devices = made(FULL, tmpdir)
    old = verbs.inspect(devices).mgt
    resign(devices, force_journals=True)
    new = verbs.inspect(devices).mgt
    assert old is not None and new is not None
    assert new.content.sr_uuid == NEW_SR
    assert [r.name for r in new.content.records] == [r.name for r in old.content.records]
    pools = [r.elements.get("metadata_of_pool", "") for r in old.content.records]
    assert any(pools)
    for before, after in zip(old.content.records, new.content.records):
        assert after.uuid == new_vdi(before.uuid)
        origin = before.elements["snapshot_of"]
        assert after.elements["snapshot_of"] == (new_vdi(origin) if origin else "")
        assert after.elements["metadata_of_pool"] == ""
        assert after.elements["deleted"] == before.elements["deleted"]
        assert len(after.raw) == len(before.raw)
    assert built.sr.name == new.content.sr_name


def test_guests_see_the_same_bytes(tmpdir: Any) -> None:
    built, devices = made(Sr((Vhd("disk", data=((0, 4096), (1 << 20, 512))),), "g"), tmpdir)
    resign(devices)
    name = built.names["disk"]
    bat = int.from_bytes(get_lv(built, devices, name, 1536, 4), "big")
    block = get_lv(built, devices, name, bat * 512 + 512, 2 << 20)
    assert block == guest(built, "disk")


def test_device_hint_is_of_the_users_choice(tmpdir: Any) -> None:
    devices = made(Sr(TREE, "hint"), tmpdir)[1]
    resign(devices, device_hint="/dev/mapper/clone")
    vg = verbs.inspect(devices).vg
    assert vg is not None and vg.pvs["pv0"].device_hint == "/dev/mapper/clone"


def test_clone_of_a_clone(tmpdir: Any) -> None:
    built, devices = made(Sr(TREE, "twice"), tmpdir)
    resign(devices, sr_uuid=make_uuid("first", "sr"))
    first = states(devices)
    resign(devices)
    assert verbs.inspect(devices).sr_uuid == NEW_SR
    assert verbs.undo(devices).new_sr == make_uuid("first", "sr")
    assert states(devices) == first
    assert verbs.undo(devices).new_sr == built.sr_uuid
    assert states(devices) == [{}]
    assert verbs.undo(devices).action == "nothing"


def test_several_luns_in_any_order(tmpdir: Any) -> None:
    volumes = (*TREE, Vhd("wide", segments=3), Raw("flat", size=16 << 20, segments=4))
    built, devices = made(Sr(volumes, "wide", pvs=(Pv(),) * 3), tmpdir)
    mixed = [devices[2], devices[0], devices[1]]
    plan = resign(mixed).plan
    assert plan is not None and plan.change.switch == 0
    originals = clones(built)
    assert verbs.verify(devices, originals) == ()
    assert verbs.verify([devices[1], devices[2], devices[0]], originals[::-1]) == ()
    assert leftovers(devices, built) != []
    assert verbs.undo(devices[::-1]).action == "undone"
    assert states(devices) == [{}, {}, {}]
    resign(devices)
    verbs.seal(devices)
    assert leftovers(devices, built) == []
    assert verbs.verify(mixed, originals) == ()


@pytest.mark.parametrize("mdas", [(2, 2), (1, 0), (0, 1)])
def test_areas_wherever_they_are(mdas: Tuple[int, int], tmpdir: Any) -> None:
    pvs = tuple(Pv(mdas=count, mda_size=1 << 20) for count in mdas)
    built, devices = made(
        Sr((Vhd("disk", segments=2), Raw("raw", segments=2)), "m", pvs=pvs), tmpdir
    )
    plan = resign(devices).plan
    assert plan is not None and plan.change.switch == (1 if mdas == (0, 1) else 0)
    assert verbs.verify(devices, clones(built)) == ()
    verbs.undo(devices)
    assert states(devices) == [{}, {}]


@pytest.mark.parametrize("sector", [0, 2, 3])
@pytest.mark.parametrize("extension", [0, 1, 2])
def test_label_wherever_it_is(sector: int, extension: int, tmpdir: Any) -> None:
    pvs = (Pv(label_sector=sector, extension=extension),)
    _built, devices = made(Sr(TREE, "label", pvs=pvs), tmpdir)
    resign(devices)
    (label,) = find_labels(devices[0].get(0, 2048))
    assert (label.sector, label.extension_version) == (sector, extension)
    verbs.undo(devices)
    assert states(devices) == [{}]


def test_stale_area_and_ignored_one(tmpdir: Any) -> None:
    """A stale copy of the text is brought up to date; an ignored area stays ignored."""
    pvs = (Pv(mdas=2, mda_size=1 << 20), Pv(ignored=True, mda_size=1 << 20))
    built, devices = made(Sr((Vhd("disk", segments=2),), "stale", pvs=pvs), tmpdir)
    retext(devices[0], lambda text: re.sub(rb"seqno = \d+", b"seqno = 1", text))
    before = states(devices)
    found = verbs.inspect(devices)
    assert codes(found.findings) == ["mda-ignored", "mda-stale"]
    resign(devices)
    clone = verbs.inspect(devices)
    assert codes(clone.findings) == ["mda-ignored"]
    assert clone.vg is not None and clone.vg.seqno == 5
    verbs.undo(devices)
    assert states(devices) == before
    assert built.sr_uuid == verbs.inspect(devices).sr_uuid


def test_same_text_written_a_second_later_is_the_same(tmpdir: Any) -> None:
    """LVM puts the time behind the VG, area by area."""
    devices = made(Sr(TREE, "time", pvs=(Pv(mdas=2, mda_size=1 << 20),)), tmpdir)[1]

    def later(text: bytes) -> bytes:
        head, found, tail = text.rpartition(b"creation_time = 1")
        assert found
        return head + found + b"8" + tail[1:]

    retext(devices[0], later)
    assert len({text_of(devices[0]), text_of(devices[0], devices[0].size - (1 << 20))}) == 2
    assert verbs.inspect(devices).findings == ()


def test_sr_without_mgt(tmpdir: Any) -> None:
    """An old SR of raw disks only. With lvm_only, which is not for it, all the same."""
    for options in ({}, {"lvm_only": True}):  # type: Dict[str, Any]
        volumes = (Raw("raw"), Vhd("child", parent="raw"))
        built, devices = made(Sr(volumes, "nomgt", mgt=False), tmpdir)
        assert codes(verbs.inspect(devices).findings) == ["mgt-missing"]
        resign(devices, **options)
        verbs.seal(devices)
        assert leftovers(devices, built) == []


@pytest.mark.parametrize("prefix", ["XSLocalEXT-", "XSLocalLargeBlock-"])
def test_lvm_only(prefix: str, tmpdir: Any) -> None:
    """Of an SR whose disks are files: the VG, its one volume, and not a byte of the filesystem."""
    built, devices = made(filesystem_sr(prefix), tmpdir)
    resign(devices, lvm_only=True)
    clone = verbs.inspect(devices)
    assert (clone.kind, clone.filesystem, clone.state) == ("file-sr", "ext", DONE)
    assert clone.vg is not None and clone.vg.name == prefix + NEW_SR
    assert list(clone.vg.lvs) == [NEW_SR]
    ((_pv, start, size),) = built.lvs[built.sr_uuid].runs
    assert not any(start <= at < start + size for at, _end in changed(devices[0]))
    assert verbs.verify(devices, clones(built)) == ()
    verbs.undo(devices)
    assert states(devices) == [{}]


def test_random_sr_uuid_differs_each_time(tmpdir: Any) -> None:
    built, devices = made(Sr(TREE, "random"), tmpdir)
    found = {verbs.resign(clones(built), Options()).new_sr for _ in range(3)}
    assert len(found) == 3
    assert verbs.plan(devices, Options()).change.new_sr not in found


def test_repeated_run_makes_the_same_bytes(tmpdir: Any) -> None:
    built, devices = made(FULL, tmpdir)
    resign(devices, force_journals=True)
    again = clones(built)
    resign(again, force_journals=True)
    assert states(again) == states(devices)


def test_plan_tells_all_and_changes_nothing(tmpdir: Any) -> None:
    built, devices = made(Sr(TREE, "plan"), tmpdir)
    plan = verbs.plan(devices, Options(sr_uuid=NEW_SR))
    assert states(devices) == [{}] and devices[0].traffic.writes == 0
    ids = plan.new_ids
    assert ids["sr"] == {built.sr_uuid: NEW_SR}
    assert ids["vdi"] == {old: new_vdi(old) for old in built.uuids.values()}
    assert set(ids["image"]) == set(built.footers.values())
    assert len(ids["lvm"]) == 1 + 1 + len(built.lvs)
    assert plan.edits[-1].what == "PV label"
    assert plan.change.seqno == verbs.inspect(devices).vg.seqno  # type: ignore[union-attr]


def test_lun_in_progress_is_not_resigned(tmpdir: Any) -> None:
    (device,) = made(Sr(TREE, "busy"), tmpdir)[1]
    device.failing_flushes[2] = OSError(5, "gone")
    with pytest.raises(Interrupted):
        resign([device])
    device.failing_flushes.clear()
    before = states([device])
    for verb in (resign, verbs.seal):
        with pytest.raises(Interrupted) as caught:
            verb([device])
        assert caught.value.code == "lun-in-progress"
        assert states([device]) == before


def test_untouched_is_said_to_be_original(tmpdir: Any) -> None:
    devices = made(Sr(TREE, "new"), tmpdir)[1]
    assert verbs.inspect(devices).state == ORIGINAL
    assert verbs.recover(devices).action == "nothing"


def test_foreign_parent_is_renamed_too(tmpdir: Any) -> None:
    """Nothing on the clone may name any volume of the original, not even of a third SR."""
    other = make_uuid("third", "sr")
    vg = "VG_XenStorage-" + other
    lv = "VHD-" + make_uuid("third", "vdi")
    name = vg.replace("-", "--") + "-" + lv.replace("-", "--")
    volumes = (Vhd("disk", parent="gone", parent_name=name), Vhd("twin"))
    built, devices = made(Sr(volumes, "foreign"), tmpdir)
    assert codes(verbs.inspect(devices).findings) == ["parent-foreign"]
    resign(devices)
    new = get_lv(built, devices, built.names["disk"], 512 + 64, 512).decode("utf-16-be")
    assert other.replace("-", "--") not in new
    assert str(uuid.uuid5(uuid.UUID(NEW_SR), other)).replace("-", "--") in new


def test_locators_far_apart(tmpdir: Any) -> None:
    """libvhd puts them side by side; nobody has to."""
    built, devices = made(
        Sr((Vhd("base"), Vhd("leaf", parent="base", lv_size=8 << 20)), "far"), tmpdir
    )
    name = built.names["leaf"]
    raw = bytearray(get_lv(built, devices, name, 512, 1024))
    entry = 576 + 2 * 24
    old = int.from_bytes(raw[entry + 16 : entry + 24], "big")
    where = 6 << 20
    raw[entry + 16 : entry + 24] = where.to_bytes(8, "big")
    raw[36:40] = bytes(4)
    raw[36:40] = (~sum(raw) & 0xFFFFFFFF).to_bytes(4, "big")
    put_lv(built, devices, name, where, get_lv(built, devices, name, old, 512))
    put_lv(built, devices, name, old, bytes(512))
    put_lv(built, devices, name, 512, bytes(raw))
    resign(devices)
    verbs.seal(devices)
    assert leftovers(devices, built) == []
