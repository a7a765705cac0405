"""Names as SM gives them: volumes, journals and the references between images."""

import pytest

from relun.core.names import (
    Reference,
    VolumeName,
    dm_name,
    find_reference,
    find_uuids,
    is_uuid,
    parse_volume_name,
    rename_references,
    rename_uuids,
)
from support import golden

A = "11111111-2222-3333-4444-555555555555"
B = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
C = "01234567-89ab-cdef-0123-456789abcdef"
VG_DOUBLED = "VG_XenStorage--" + A.replace("-", "--")


def unexpected(old: str) -> str:
    """Stand in for a renaming that must not take place."""
    raise AssertionError(old)


@pytest.mark.parametrize("uuid", [A, B, C])
def test_uuids(uuid: str) -> None:
    assert is_uuid(uuid)


@pytest.mark.parametrize(
    "text",
    [
        "",
        A[:-1],
        A + "0",
        A + "\n",
        B.upper(),
        A.replace("-", "_"),
        A.replace("-", ""),
        "1111111-12222-3333-4444-555555555555",
        "1" * 36,
        "-" * 36,
        "g" + A[1:],
        A[:-1] + "é",
        "{" + A[1:-1] + "}",
    ],
)
def test_what_is_no_uuid(text: str) -> None:
    assert not is_uuid(text)


@pytest.mark.parametrize(
    "name, expected",
    [
        ("MGT", VolumeName("mgt")),
        ("VHD-" + A, VolumeName("vhd", A)),
        ("LV-" + A, VolumeName("raw", A)),
        ("QCOW2-" + A, VolumeName("qcow2", A)),
        ("VHD-OLD_" + A, VolumeName("vhd", A, True)),
        ("QCOW2-OLD_" + A, VolumeName("qcow2", A, True)),
        (A + ".cbtlog", VolumeName("cbtlog", A)),
        ("inflate_" + A + "_4194304", VolumeName("journal", A, False, "inflate", "4194304")),
        ("clone_" + A + "_1", VolumeName("journal", A, False, "clone", "1")),
        (
            "clone_{}_{}_{}".format(A, B, C),
            VolumeName("journal", A, False, "clone", B + "_" + C),
        ),
        ("jvhd_" + A, VolumeName("jvhd", A, False, "jvhd")),
    ],
)
def test_volume_names(name: str, expected: VolumeName) -> None:
    assert parse_volume_name(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "",
        "mgt",
        "VHD-",
        "VHD-" + A + "x",
        "VHD-" + B.upper(),
        "LV_" + A,
        A,
        A + ".cbtlogs",
        "x.cbtlog",
        "clone_" + A + "1",
        "other_" + A + "_1",
        "clone_x_1",
        "lvol0",
    ],
)
def test_unknown_volumes(name: str) -> None:
    assert parse_volume_name(name) == VolumeName("unknown")


def test_volumes_that_hold_an_image() -> None:
    images = [parse_volume_name(kind + A).is_image for kind in ("VHD-", "LV-", "QCOW2-", "jvhd_")]
    assert images == [True, True, True, False]


@pytest.mark.parametrize("name", [name for name in golden.names() if name != "ext"])
def test_every_volume_of_the_samples_is_known(name: str) -> None:
    facts = golden.manifest(name)
    for entry in facts["lvs"]:
        volume = parse_volume_name(entry["name"])
        assert volume.kind != "unknown"
        assert volume.is_image == (entry["name"] in facts["vdis"])
        if volume.is_image:
            assert volume.kind == facts["vdis"][entry["name"]]["kind"]
        if entry["tags"] == ["journaler"]:
            assert volume.kind == "journal"


def test_every_uuid_in_a_name_is_renamed() -> None:
    renamed = rename_uuids("clone_{}_{}_".format(A, B), {A: B, B: C}.__getitem__)
    assert renamed == "clone_{}_{}_".format(B, C)
    assert rename_uuids("a-VHD-" + A, {A: C}.__getitem__) == "a-VHD-" + C
    assert rename_uuids("MGT", unexpected) == "MGT"


def test_every_uuid_in_a_text_is_found() -> None:
    assert find_uuids("VHD-{}_{}{}-{}".format(A, B, C, B.upper())) == [A, B, C]
    assert find_uuids("MGT") == []


def test_dm_name_is_the_one_in_the_vhd() -> None:
    # The parent name and the path below come from an image that vhd-util wrote.
    name = dm_name("VG_XenStorage-" + A, "VHD-" + B)
    assert name == VG_DOUBLED + "-VHD--" + B.replace("-", "--")
    assert len(name) == 101


@pytest.mark.parametrize(
    "text, lv_name",
    [
        (VG_DOUBLED + "-VHD--" + B.replace("-", "--"), "VHD-" + B),
        ("file://./" + VG_DOUBLED + "-LV--" + B.replace("-", "--"), "LV-" + B),
        (".\\" + VG_DOUBLED + "-VHD--OLD_" + B.replace("-", "--"), "VHD-OLD_" + B),
        ("/dev/VG_XenStorage-" + A + "/QCOW2-" + B, "QCOW2-" + B),
        ("/dev/VG_XenStorage-" + A + "/LV-OLD_" + B, "LV-OLD_" + B),
        ("/dev/mapper/" + VG_DOUBLED + "-QCOW2--" + B.replace("-", "--"), "QCOW2-" + B),
        ("VG_XenStorage-x VG_XenStorage-" + A + "/VHD-" + B, "VHD-" + B),
    ],
)
def test_references(text: str, lv_name: str) -> None:
    assert find_reference(text) == Reference(A, lv_name)
    renamed = rename_references(text, {A: C}.__getitem__, {B: A}.__getitem__)
    assert find_reference(renamed) == Reference(C, lv_name.replace(B, A))
    assert len(renamed) == len(text)
    assert rename_references(renamed, {C: A}.__getitem__, {A: B}.__getitem__) == text


def test_several_references_in_one_text() -> None:
    path = "/dev/VG_XenStorage-{}/VHD-{}"
    text = "<" + path.format(A, B) + "|" + path.format(B, C) + ">"
    renamed = rename_references(text, {A: B, B: A}.__getitem__, {B: C, C: B}.__getitem__)
    assert renamed == "<" + path.format(B, C) + "|" + path.format(A, B) + ">"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "VHD-" + A,
        "/dev/sda",
        "/dev/VG_XenStorage-" + A,
        "/dev/VG_XenStorage-" + A + "/MGT",
        "/dev/VG_XenStorage-" + A + "-VHD-" + B,
        "/dev/VG_XenStorage-" + A + "/VHD-" + B[:-1],
        "/dev/VG_XenStorage-" + B.upper() + "/VHD-" + A,
        VG_DOUBLED + "-VHD-" + A,
        VG_DOUBLED + "/VHD--" + B.replace("-", "--"),
    ],
)
def test_no_reference(text: str) -> None:
    assert find_reference(text) is None
    assert rename_references(text, unexpected, unexpected) == text


@pytest.mark.parametrize("name", ["chain", "raw", "journals"])
def test_parent_names_in_the_samples_refer_to_volumes_of_the_sr(name: str) -> None:
    facts = golden.manifest(name)
    found = 0
    for vdi in facts["vdis"].values():
        texts = [vdi.get("parent_name", "")] + [item["text"] for item in vdi.get("locators", ())]
        for text in filter(None, texts):
            reference = find_reference(text)
            assert reference is not None and reference.sr_uuid == facts["sr_uuid"]
            assert reference.lv_name == vdi["parent_lv"]
            found += 1
    assert found
