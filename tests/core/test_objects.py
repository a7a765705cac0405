"""Plain objects for JSON, held against the manifests that other tools wrote."""

import json
from typing import Any, Mapping

import pytest

from relun.core import objects, verbs
from relun.core.catalogue import filled
from relun.core.errors import DeviceError
from relun.core.image_tree import records, walk
from relun.core.options import Options
from support import golden
from support.builder import Raw, Sr, Vhd
from support.clone import NEW_SR, TREE, made, resign, sample


def title(code: str, fields: Mapping[str, Any]) -> str:
    """Return a title that shows what it was made of."""
    return "{} {}".format(code, sorted(fields))


def test_filled() -> None:
    """Fields by name, lists in a row, a dash for what is not there."""
    said = filled("{a}, {b}; {c}; {d}; {e}", {"a": 1, "b": ["x", 2], "c": "", "d": ()})
    assert said == "1, x, 2; -; -; -"


@pytest.mark.parametrize("image", ["chain", "raw", "qcow2"])
def test_repository(image: str) -> None:
    """Volumes, sizes and parents are those that LVM and vhd-util tell."""
    facts = golden.manifest(image)
    found = objects.repository_object(verbs.inspect([sample(image)]), title)
    assert json.loads(json.dumps(found)) == found
    assert found["sr_uuid"] == facts["sr_uuid"]
    assert found["sr_name"] == facts["mgt"]["sr"]["name_label"]
    assert found["allocation"] == facts["mgt"]["sr"]["allocation"]
    assert found["vg"]["name"] == facts["vg"]["vg_name"]
    assert [pv["device"] for pv in found["vg"]["pvs"]] == [image]
    assert {image["lv"] for image in found["images"]} == set(facts["vdis"])
    records_by_uuid = {record["uuid"]: record for record in facts["mgt"]["vdis"].values()}
    for shown in found["images"]:
        vdi = facts["vdis"][shown["lv"]]
        assert shown["virtual_size"] == vdi["virtual_size"]
        assert shown["size"] == golden.lv(facts, shown["lv"])["size"]
        record = records_by_uuid.get(shown["vdi"])
        assert shown["snapshot"] == (record is not None and record["is_a_snapshot"] == "1")
        assert shown["cbt"] == (shown["vdi"] + ".cbtlog" in {lv["name"] for lv in facts["lvs"]})
        assert not shown["damaged"]
    names = {shown["lv"] for shown in found["images"]} | {vol["lv"] for vol in found["volumes"]}
    assert names == {entry["name"] for entry in facts["lvs"]}


def test_no_sr() -> None:
    """What is not there is empty, not absent."""
    device = sample("single")
    device.write(0, bytes(128 * 1024))
    found = objects.repository_object(verbs.inspect([device]), title)
    assert (found["kind"], found["vg"], found["images"]) == ("empty", None, [])
    (finding,) = found["findings"]
    assert finding["title"] == "lun-empty ['type']"
    assert (finding["severity"], finding["offset"]) == ("refuse", None)


def test_plan_and_outcome() -> None:
    """The edits are those of the plan, with their bytes if asked; traffic is the device's."""
    plan = verbs.plan([sample("single")], Options(sr_uuid=NEW_SR))
    short, long = (objects.plan_object(plan, title, with_bytes) for with_bytes in (False, True))
    assert short["edits"] == [
        {"device": "single", "offset": edit.offset, "length": len(edit.new), "what": edit.what}
        for edit in plan.edits
    ]
    assert [(bytes.fromhex(e["old"]), bytes.fromhex(e["new"])) for e in long["edits"]] == [
        (edit.old, edit.new) for edit in plan.edits
    ]
    assert short["bytes"] == sum(edit["length"] for edit in short["edits"])
    assert short["journal"]["device"] == "single"
    device = sample("single")
    done = objects.outcome_object(resign([device]), [device], title)
    assert (done["action"], done["new_sr"], done["flushes"]) == ("resigned", NEW_SR, 5)
    assert done["ids"]["sr"] == {done["old_sr"]: NEW_SR}
    assert done["bytes_written"] == device.traffic.bytes_written
    undone = objects.outcome_object(verbs.undo([device]), [device], title)
    assert undone["action"] == "undone"
    assert "ids" not in undone


def test_fields() -> None:
    """Numbers, texts and lists stay; anything else becomes text; the cause is told elsewhere."""
    fields = {"a": 1, "b": "x", "c": [1], "d": ("y",), "cause": DeviceError("x"), "trace": "…"}
    assert objects.fields_object(fields) == {"a": 1, "b": "x", "c": [1], "d": "('y',)"}


def test_tree(tmpdir: Any) -> None:
    """Parents come before children, siblings by name; branches tell the last of them."""
    ring = (Vhd("ring", parent="other"), Vhd("other", parent="ring"))
    volumes = (*TREE, Vhd("below", parent="left"), Raw("alone"), *ring)
    built, devices = made(Sr(volumes, "tree"), tmpdir)
    repository = verbs.inspect(devices)
    names = {lv: key for key, lv in built.names.items()}
    nodes = list(walk(repository))
    assert [(names[node.volume.lv.name], node.lasts) for node in nodes] == [
        ("base", ()),
        ("left", (False,)),
        ("below", (False, True)),
        ("right", (True,)),
        ("alone", ()),
        ("ring", ()),
        ("other", ()),
    ]
    known = records(repository)
    assert known == {node.volume.name.vdi: node.record for node in nodes if node.record}
    assert len(known) == len(volumes) - 1, "the base is in no record"
