"""Verify: an old id in whatever encoding, a byte outside the plan, a fault of the clone's own."""

import uuid
from typing import Any, List, Tuple

import pytest

from relun.core import verbs
from relun.core.errors import Refused
from relun.core.finding import NOTE, REFUSE
from support.builder import (
    Cbt,
    Journal,
    Plain,
    Pv,
    Qcow2,
    Raw,
    Record,
    Ring,
    Sr,
    Vhd,
    filesystem_sr,
    plain_group,
)
from support.clone import (
    MDA,
    NEW_SR,
    TREE,
    Devices,
    clones,
    codes,
    lv_at,
    made,
    put_lv,
    relabel,
    resign,
    retext,
    revhd,
    sample,
    states,
)
from support.memory import MemoryDevice

MIXED = Sr(
    (*TREE, Raw("raw"), Qcow2("qbase"), Qcow2("q", parent="qbase"), Cbt("left", parent="right")),
    "mixed",
)


def shown(lvm: str) -> str:
    cuts = (0, 6, 10, 14, 18, 22, 26, 32)
    return "-".join(lvm[a:b] for a, b in zip(cuts, cuts[1:]))


def resigned(folder: Any, sr: Sr = MIXED, **options: Any) -> Tuple[Any, Devices, Devices]:
    """Return what was built, its resigned clone, and the originals; verified both ways."""
    built, devices = made(sr, folder)
    resign(devices, **options)
    originals = clones(built)
    assert verbs.verify(devices) == ()
    assert verbs.verify(devices, originals) == ()
    return built, devices, originals


def old_ids(devices: Devices, originals: Devices) -> List[Tuple[str, str, int]]:
    """Return what old ids verify finds: (id, where, offset)."""
    found = [f for f in verbs.verify(devices, originals) if f.code == "old-id"]
    assert all(finding.severity == REFUSE for finding in found)
    return [(f.fields["id"], f.where, f.offset) for f in found]


@pytest.mark.parametrize("form", ["text", "doubled", "utf-16-le", "utf-16-be", "raw", "undashed"])
def test_old_id_in_every_encoding(form: str, tmpdir: Any) -> None:
    built, devices, originals = resigned(tmpdir)
    old = built.uuids["right"]
    forms = {
        "text": old.encode("ascii"),
        "doubled": old.replace("-", "--").encode("ascii"),
        "utf-16-le": old.replace("-", "--").encode("utf-16-le"),
        "utf-16-be": old.encode("utf-16-be"),
        "raw": uuid.UUID(old).bytes,
        "undashed": old.replace("-", "").encode("ascii"),
    }
    before = states(devices)
    for key, offset in (("left", 512 + 780), ("q", 240)):
        name = built.names[key]
        data = forms[form].ljust(200, b"\0")
        if key == "left":
            revhd(built, devices, name, offset, data)
        else:
            put_lv(built, devices, name, offset, data)
        new_name = name[:-36] + str(uuid.uuid5(uuid.UUID(NEW_SR), name[-36:]))
        ((found, where, at),) = old_ids(devices, originals)
        assert (found, where) == (old, new_name)
        structure = lv_at(built, name, 512 if key == "left" else 0)[1]
        assert at == (lv_at(built, name, offset)[1] if form == "raw" else structure)
        devices[0].sectors = dict(before[0])
    assert verbs.verify(devices, originals) == ()


def test_old_ids_in_mgt_cbt_text_and_label(tmpdir: Any) -> None:
    built, devices, originals = resigned(tmpdir)
    before = states(devices)
    put_lv(built, devices, "MGT", 900, built.uuids["raw"].encode("ascii"))
    cbt = built.uuids["left"] + ".cbtlog"
    put_lv(built, devices, cbt, 16, uuid.UUID(built.uuids["q"]).bytes)
    comment = b"# " + shown(built.vg_uuid).encode("ascii") + b"\n# Gen"
    retext(devices[0], lambda text: text.replace(b"# Gen", comment, 1))
    found = {text: (where, at) for text, where, at in old_ids(devices, originals)}
    assert set(found) == {built.uuids["raw"], built.uuids["q"], built.vg_uuid}
    assert found[built.uuids["raw"]] == ("MGT", lv_at(built, "MGT")[1])
    assert found[built.uuids["q"]][1] == lv_at(built, cbt, 16)[1]
    assert found[built.vg_uuid] == (devices[0].path, MDA)
    devices[0].sectors = dict(before[0])
    lvm = built.pv_uuids[0].encode("ascii")
    relabel(devices[0], lambda raw: raw[:300] + lvm + raw[332:])
    assert old_ids(devices, originals) == [(built.pv_uuids[0], devices[0].path, 0)]


def test_untouched_clone_is_full_of_old_ids(tmpdir: Any) -> None:
    built, devices = made(MIXED, tmpdir)
    found = {text for text, _where, _at in old_ids(devices, clones(built))}
    assert {built.sr_uuid, built.vg_uuid, *built.pv_uuids} <= found
    assert set(built.uuids.values()) | set(built.footers.values()) <= found
    assert "bytes-differ" not in codes(verbs.verify(devices, clones(built)))


def test_byte_outside_of_the_plan(tmpdir: Any) -> None:
    """In guest data, in a structure that is not to change; the first of several is told."""
    built, devices, originals = resigned(tmpdir)
    places = [
        lv_at(built, built.names["left"], 2 << 20)[1],
        lv_at(built, built.names["raw"], 4096)[1],
        lv_at(built, built.names["left"], 1536 + 512)[1],
    ]
    for at in places:
        own = devices[0].get(at, 1)
        devices[0].put(at, bytes([own[0] ^ 0x80]))
        (finding,) = verbs.verify(devices, originals)
        assert (finding.code, finding.severity, finding.offset) == ("bytes-differ", REFUSE, at)
        assert finding.fields["original"] == originals[0].path
        devices[0].put(at, own)
    for at in places:
        devices[0].put(at, bytes([devices[0].get(at, 1)[0] ^ 0x80]))
    (finding,) = verbs.verify(devices, originals)
    assert finding.offset == min(places)


def test_bytes_that_both_have_are_no_difference(tmpdir: Any) -> None:
    built, devices, originals = resigned(tmpdir)
    for offset in (0, 1024, 1 << 20):
        at = lv_at(built, built.names["raw"], offset)[1]
        for device in (devices[0], originals[0]):
            device.put(at, b"the same")
    assert verbs.verify(devices, originals) == ()


def test_byte_that_the_original_has_and_the_clone_not(tmpdir: Any) -> None:
    built, devices, originals = resigned(tmpdir)
    at = lv_at(built, built.names["raw"], 1 << 20)[1]
    originals[0].put(at + 5, b"\1")
    (finding,) = verbs.verify(devices, originals)
    assert (finding.code, finding.offset) == ("bytes-differ", at + 5)


def test_with_its_journal_the_plan_is_known_to_the_sector(tmpdir: Any) -> None:
    """The MGT sector of an unchanged name; sealed, all of MGT is taken for relun's to change."""
    built, devices, originals = resigned(tmpdir)
    put_lv(built, devices, "MGT", 2 * 512 + 400, b"!")
    assert codes(verbs.verify(devices, originals)) == ["bytes-differ"]
    verbs.seal(devices)
    assert verbs.verify(devices, originals) == ()


@pytest.mark.parametrize(
    "options",
    [
        {"label": "{name} of {sr}"},
        {"drop_snapshots": True},
        {"drop_cbt": True},
        {"id_map": {}},
        {"device_hint": "/dev/mapper/clone"},
    ],
)
@pytest.mark.parametrize("pvs", [1, 2])
def test_every_kind_of_resign_verifies_sealed_or_not(options: Any, pvs: int, tmpdir: Any) -> None:
    snap = Vhd("snap", record=Record("snap", is_a_snapshot=1), segments=2)
    sr = Sr((*TREE, snap, Cbt("left", parent="snap")), "kinds", pvs=(Pv(),) * pvs)
    _built, devices, originals = resigned(tmpdir, sr, **options)
    verbs.seal(devices)
    assert verbs.verify(devices[::-1], originals) == ()


def test_mapped_ids_verify(tmpdir: Any) -> None:
    built, devices = made(MIXED, tmpdir)
    resign(devices, id_map={built.uuids["left"]: str(uuid.uuid4())})
    assert verbs.verify(devices, clones(built)) == ()


def test_clone_of_a_clone_against_the_first_original(tmpdir: Any) -> None:
    """The last journal alone does not tell all that was changed since."""
    _built, devices, originals = resigned(tmpdir)
    resign(devices, sr_uuid=str(uuid.uuid4()))
    assert verbs.verify(devices, originals) == ()


def test_fault_of_the_clones_own(tmpdir: Any) -> None:
    built, devices, originals = resigned(tmpdir)
    revhd(built, devices, built.names["left"], 512 + 40, bytes(15) + b"\1")
    assert codes(verbs.verify(devices)) == ["parent-uuid"]
    assert "parent-uuid" in codes(verbs.verify(devices, originals))


def test_faults_that_the_original_has_too_are_none(tmpdir: Any) -> None:
    volumes = (Vhd("a", parent="gone"), Vhd("b", footers="differ"), Plain("unknown"))
    built, devices = made(Sr(volumes, "faults"), tmpdir)
    resign(devices)
    assert codes(verbs.verify(devices)) == ["parent-missing"]
    assert verbs.verify(devices, clones(built)) == ()


def test_one_fault_more_than_the_original_has(tmpdir: Any) -> None:
    volumes = (*TREE, Vhd("a", parent="gone"))
    built, devices = made(Sr(volumes, "more"), tmpdir)
    resign(devices)
    name = built.names["left"]
    revhd(built, devices, name, 512 + 40, bytes(15) + b"\1")
    assert codes(verbs.verify(devices)) == ["parent-missing", "parent-uuid"]
    assert codes(verbs.verify(devices, clones(built))) == ["parent-uuid"]


def test_dead_record_is_a_fault_and_a_pending_journal_is_none(tmpdir: Any) -> None:
    record = Record("gone", vdi_type="vhd")
    volumes = (*TREE, Journal("clone", "left", payload=("base", "right")))
    devices = made(Sr(volumes, "pending", records=(record,)), tmpdir)[1]
    assert codes(verbs.verify(devices)) == ["mgt-dead-record"]


def test_against_what_cannot_be_planned_for(tmpdir: Any) -> None:
    devices = resigned(tmpdir)[1]
    original = made(plain_group(), tmpdir, "other")[1]
    with pytest.raises(Refused):
        verbs.verify(devices, original)


def test_clone_without_a_group(tmpdir: Any) -> None:
    _built, devices, originals = resigned(tmpdir)
    devices[0].put(0, bytes(4096))
    assert codes(verbs.verify(devices, originals)) == ["lun-foreign"]


def test_volume_that_cannot_be_read_any_more(tmpdir: Any) -> None:
    built, devices, originals = resigned(tmpdir, Sr(TREE, "pair", pvs=(Pv(), Pv())))
    assert [run[0] for run in built.lvs["MGT"].runs] == [0]
    found = codes(verbs.verify(devices[1:], originals))
    assert "pv-missing" in found and "bytes-differ" not in found


def test_lun_of_another_size(tmpdir: Any) -> None:
    sr = Sr(TREE, "odd", pvs=(Pv(size=(65 << 20) + 4096),))
    _built, devices, originals = resigned(tmpdir, sr)
    devices[0].size -= 512
    (finding,) = verbs.verify(devices, originals)
    assert (finding.code, finding.severity) == ("size-differs", NOTE)
    assert finding.fields == {"size": devices[0].size, "original": originals[0].size}


def test_pv_that_the_original_has_not(tmpdir: Any) -> None:
    devices = resigned(tmpdir, Sr(TREE, "pair", pvs=(Pv(), Pv())))[1]
    alone = made(Sr(TREE, "alone"), tmpdir, "alone")[1]
    assert "pv-foreign" in codes(verbs.verify(devices, alone))


def test_filesystem_sr(tmpdir: Any) -> None:
    built, devices, originals = resigned(tmpdir, filesystem_sr(), lvm_only=True)
    at = lv_at(built, built.sr_uuid, 4 << 20)[1]
    devices[0].put(at, b"\1")
    assert codes(verbs.verify(devices, originals)) == ["bytes-differ"]


def test_full_ring_over_old_texts(tmpdir: Any) -> None:
    """relun's journal and LVM's history are no leftovers."""
    ring = Ring(filled=True, history=3)
    resigned(tmpdir, Sr(TREE, "ring", pvs=(Pv(mda_size=64 * 1024),), ring=ring))


@pytest.mark.parametrize("name", ["single", "chain", "journals", "qcow2", "twomda"])
def test_samples(name: str) -> None:
    device = sample(name)
    resign([device], force_journals=True)
    original: List[MemoryDevice] = [sample(name)]
    assert verbs.verify([device], original) == ()
    verbs.seal([device])
    assert verbs.verify([device], original) == ()
    assert original[0].state() == {}
