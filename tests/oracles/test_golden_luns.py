"""The oracles themselves: what the foreign tools say of the sample images equals their manifests.

If these tests pass, a wrong byte that a resign leaves behind is told by the same functions.
"""

import struct
from pathlib import Path

import pytest

from support import chain, golden, lvm
from support.layout import host_folder, layout
from support.tools import needs

on_files = needs("pvck", "qemu-img", "/usr/bin/python3", "zstd")
on_loops = needs("pvck", "losetup", "vgimportclone", "zstd", root=True)


def patch(path: str, offset: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


@on_files
@pytest.mark.parametrize("name", golden.names())
def test_guests_are_those_of_the_manifest(name: str) -> None:
    facts = golden.manifest(name)
    guests = chain.read_guests(golden.image(name))
    assert set(guests) == set(facts["vdis"])
    for volume, told in facts["vdis"].items():
        guest = guests[volume]
        assert guest.sha256 == told["sha256"], volume
        assert guest.virtual_size == told["virtual_size"]
        assert guest.kind == told["kind"]
        if guest.kind == "vhd":
            assert guest.type == told["vhd_type"]
            assert guest.identifier == told["footer_uuid"]
            assert guest.parent == (told.get("parent_lv") or "")
            assert guest.parent_name == (told.get("parent_name") or "")
        if guest.kind == "qcow2":
            assert guest.parent_name == (told["backing"] or "")


@on_files
@pytest.mark.parametrize("name", golden.names())
def test_layout_is_that_of_the_manifest(name: str) -> None:
    facts = golden.manifest(name)
    place = layout(golden.image(name))
    assert place.vg == facts["vg"]["vg_name"]
    assert set(place.volumes) == {lv["name"] for lv in facts["lvs"]}
    for lv in facts["lvs"]:
        parts = [(part.offset, part.length) for part in place.volumes[lv["name"]]]
        assert parts == list(golden.lv_runs(facts, lv["name"]))


@on_loops
@pytest.mark.parametrize("name", golden.names())
def test_lvm_reports_what_the_manifest_says(name: str) -> None:
    facts = golden.manifest(name)
    with lvm.attached(golden.image(name), read_only=True) as tools:
        reports, segments, checked = tools.reports(), tools.segments(), tools.vgck()
        assert tools.pvck(tools.devices[0]).clean
        assert facts["vg"]["vg_name"] in tools.text(facts["vg"]["vg_name"])
    assert checked.clean
    assert [vg["vg_uuid"] for vg in reports.vgs] == [facts["vg"]["vg_uuid"]]
    assert [pv["pv_uuid"] for pv in reports.pvs] == [pv["pv_uuid"] for pv in facts["pvs"]]
    told = {lv["lv_name"]: (lv["lv_uuid"], int(lv["lv_size"])) for lv in reports.lvs}
    assert told == {lv["name"]: (lv["uuid"], lv["size"]) for lv in facts["lvs"]}
    for lv in facts["lvs"]:
        runs = segments[f"{facts['vg']['vg_name']}/{lv['name']}"]
        assert [f"pv0:{run.first}-{run.first + run.extents - 1}" for run in runs] == lv["segments"]


@on_loops
def test_an_untouched_copy_is_told_as_a_duplicate(tmp_path: Path) -> None:
    copy = golden.copy("single", tmp_path)
    with pytest.raises(AssertionError, match="Not using device"):
        lvm.clean_side_by_side(golden.image("single"), copy)


@on_loops
def test_volumes_with_the_same_uuid_are_told(tmp_path: Path) -> None:
    copy = golden.copy("single", tmp_path)
    with lvm.attached(copy) as tools:
        tools.must("vgimportclone", "-n", "VG_other", tools.devices[0])
    with pytest.raises(AssertionError, match="lv_uuid twice"):  # vgimportclone leaves them
        lvm.clean_side_by_side(golden.image("single"), copy)


@on_loops
def test_two_different_srs_are_clean() -> None:
    reports = lvm.clean_side_by_side(golden.image("chain"), golden.image("twomda"))
    assert len(reports.vgs) == 2


@on_loops
def test_damage_to_the_metadata_is_told(tmp_path: Path) -> None:
    copy = golden.copy("single", tmp_path)
    patch(copy, 4096 + 40, b"\xff")
    with pytest.raises(AssertionError):
        lvm.clean_side_by_side(golden.image("chain"), copy)


def _differencing() -> tuple[str, dict[str, int]]:
    """Return a differencing VHD of ``chain`` and where on the LUN its parts lie."""
    facts = golden.manifest("chain")
    name = next(n for n, v in facts["vdis"].items() if v["vhd_type"] == "differencing")
    [(start, _)] = golden.lv_runs(facts, name)
    return name, {"header": start + 512, "locators": start + 4327424}


@on_files
@pytest.mark.parametrize(
    ("part", "offset", "data", "says"),
    [
        ("header", 40, bytes(15) + b"\x01", "checksum|identifier"),
        ("header", 64, "VG_XenStorage--".encode("utf-16-be") + b"\0x", "no volume of"),
        ("locators", 20, b"0000", "locators"),
        ("locators", 512 + 40, b"0\0", "locators"),
        ("locators", 1024 + 40, b"0\0", "locators"),
    ],
)
def test_a_wrong_byte_in_a_parent_link_is_told(
    tmp_path: Path, part: str, offset: int, data: bytes, says: str
) -> None:
    name, where = _differencing()
    copy = golden.copy("chain", tmp_path)
    patch(copy, where[part] + offset, data)
    with pytest.raises(AssertionError, match=says):
        chain.read_guests(copy, hashes=False, only=[name])


@on_files
def test_a_wrong_parent_identifier_under_a_right_checksum_is_told(tmp_path: Path) -> None:
    name, where = _differencing()
    copy = golden.copy("chain", tmp_path)
    header = bytearray(golden.read(copy, where["header"], 1024))
    header[40:56] = bytes(range(16))
    header[36:40] = bytes(4)
    struct.pack_into(">I", header, 36, ~sum(header) & 0xFFFFFFFF)
    patch(copy, where["header"], bytes(header))
    with pytest.raises(AssertionError, match="identifier"):
        chain.read_guests(copy, hashes=False, only=[name])


@on_files
def test_a_wrong_byte_of_guest_data_changes_the_hash(tmp_path: Path) -> None:
    facts = golden.manifest("single")
    [(volume, told)] = facts["vdis"].items()
    copy = golden.copy("single", tmp_path)
    [(start, _)] = golden.lv_runs(facts, volume)
    entries = struct.unpack(">128I", golden.read(copy, start + 1536, 512))
    block = next(entry for entry in entries if entry != 0xFFFFFFFF)
    data = start + 512 * (block + 1)  # behind the block's sector bitmap
    [first] = golden.read(copy, data, 1)
    patch(copy, start + 512 * block, b"\xff" * 512)  # every sector is of this image
    patch(copy, data, bytes([first ^ 1]))
    assert chain.hashes_of(copy)[volume] != told["sha256"]


@on_files
def test_a_backing_file_outside_the_sr_is_told(tmp_path: Path) -> None:
    facts = golden.manifest("qcow2")
    name = next(n for n, v in facts["vdis"].items() if v.get("backing"))
    [(start, _)] = golden.lv_runs(facts, name)
    copy = golden.copy("qcow2", tmp_path)
    offset = int.from_bytes(golden.read(copy, start + 8, 8), "big")
    patch(copy, start + offset + len("/dev/VG_XenStorage-"), b"0000")
    with pytest.raises(AssertionError, match="no volume of"):
        chain.read_guests(copy, hashes=False, only=[name])


@needs("pvck", "qemu-img", "zstd", root=True)
def test_qemu_follows_the_backing_paths_by_itself() -> None:
    facts = golden.manifest("qcow2")
    with host_folder(golden.image("qcow2")) as folder:
        for name, told in facts["vdis"].items():
            if told["kind"] == "qcow2":
                links = chain.backing_chain(folder / name)
                assert links[1:2] == ([told["backing"]] if told["backing"] else [])
    assert not folder.exists()
