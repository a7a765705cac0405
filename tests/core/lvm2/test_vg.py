"""The volume group in a text, and where an LV's bytes lie, held against what LVM reports."""

from typing import List, Tuple

import pytest

from relun.core.errors import FormatError
from relun.core.lvm2.vg import VolumeGroup, parse_vg, plain_uuid, shown_uuid
from support import golden

EXTENT = 4 << 20
UUID = b"vvvvvv-vvvv-vvvv-vvvv-vvvv-vvvv-vvvvvv"
HEAD = (
    'vg {{ id = "vvvvvv-vvvv-vvvv-vvvv-vvvv-vvvv-vvvvvv" seqno = 3 extent_size = {} '
    "physical_volumes {{ {} }} logical_volumes {{ {} }} }}"
)
PV = (
    'pv{0} {{ id = "pppppp-pppp-pppp-pppp-pppp-pppp-ppppp{0}" device = "/dev/x" '
    "status = [{1}] flags = [{2}] pe_start = 2048 pe_count = 100 }}"
)
LV = (
    'lv {{ id = "llllll-llll-llll-llll-llll-llll-llllll" '
    'status = ["READ", "VISIBLE"] tags = ["hidden"] {} }}'
)
SEGMENT = 'segment{} {{ start_extent = {} extent_count = {} type = "striped" {} stripes = [{}] }}'


def group(lv: str = "", pvs: str = "") -> VolumeGroup:
    """Return a parsed VG with two PVs and at most one LV."""
    pvs = pvs or " ".join(PV.format(n, '"ALLOCATABLE"', "") for n in range(2))
    lvs = LV.format(lv) if lv else ""
    return parse_vg(HEAD.format(8192, pvs, lvs).encode("latin-1"))


def runs(vg: VolumeGroup, offset: int, length: int) -> List[Tuple[str, int, int]]:
    """Return the runs of a byte range of the LV."""
    return list(vg.runs(vg.lvs["lv"], offset, length))


@pytest.mark.parametrize("name", golden.names())
def test_vg_is_what_lvm_reports(name: str) -> None:
    facts = golden.manifest(name)
    vg = parse_vg(golden.metadata_text(name).rstrip(b"\0"))
    assert vg.name == facts["vg"]["vg_name"]
    assert shown_uuid(vg.uuid) == facts["vg"]["vg_uuid"]
    assert vg.seqno == int(facts["vg"]["vg_seqno"])
    assert vg.extent_size == int(facts["vg"]["vg_extent_size"])
    (pv,) = vg.pvs.values()
    assert shown_uuid(pv.uuid) == facts["pvs"][0]["pv_uuid"]
    assert pv.pe_start == int(facts["pvs"][0]["pe_start"])
    assert pv.pe_count == int(facts["vg"]["vg_extent_count"])
    assert pv.device_hint.startswith("/dev/")
    assert not pv.missing and not pv.exported
    assert len(vg.lvs) == int(facts["vg"]["lv_count"])
    for entry in facts["lvs"]:
        lv = vg.lvs[entry["name"]]
        assert shown_uuid(lv.uuid) == entry["uuid"]
        assert lv.size == entry["size"]
        assert list(lv.tags) == entry["tags"]
        assert lv.writable != entry["read_only"]
        found = [run[1:] for run in vg.runs(lv, 0, lv.size)]
        assert found == list(golden.lv_runs(facts, entry["name"]))


def test_uuids_are_shown_grouped() -> None:
    shown = "3XSJep-xFyP-nM81-GrXS-zkaf-JsqX-lfHQwi"
    assert shown_uuid(plain_uuid(shown)) == shown


def test_range_over_two_segments_and_pvs() -> None:
    lv = SEGMENT.format(2, 2, 3, "", '"pv1", 7') + SEGMENT.format(1, 0, 2, "", '"pv0", 5')
    vg = group(lv)
    start = 2048 * 512
    assert vg.lvs["lv"].size == 5 * EXTENT
    assert vg.lvs["lv"].tags == ("hidden",)
    assert not vg.lvs["lv"].writable
    assert runs(vg, 2 * EXTENT - 10, 30) == [
        ("pv0", start + 7 * EXTENT - 10, 10),
        ("pv1", start + 7 * EXTENT, 20),
    ]
    assert runs(vg, 5 * EXTENT - 512, 512) == [("pv1", start + 10 * EXTENT - 512, 512)]
    assert runs(vg, 0, 0) == []


def test_striped_over_two_pvs() -> None:
    lv = SEGMENT.format(1, 0, 4, "stripe_size = 128", '"pv0", 0, "pv1", 10')
    vg = group(lv)
    stripe, start = 65536, 2048 * 512
    assert runs(vg, stripe - 1, 2) == [
        ("pv0", start + stripe - 1, 1),
        ("pv1", start + 10 * EXTENT, 1),
    ]
    assert runs(vg, 2 * stripe, stripe) == [("pv0", start + stripe, stripe)]
    whole = runs(vg, 0, 4 * EXTENT)
    assert whole[-1] == ("pv1", start + 12 * EXTENT - stripe, stripe)
    assert len(set(whole)) == 4 * EXTENT // stripe


def test_range_beyond_the_end() -> None:
    vg = group(SEGMENT.format(1, 0, 1, "", '"pv0", 0'))
    with pytest.raises(FormatError) as caught:
        runs(vg, EXTENT - 10, 11)
    assert (caught.value.code, caught.value.offset) == ("lv-range", EXTENT)


def test_segment_type_without_stripes_maps_nothing() -> None:
    vg = group('segment1 { start_extent = 0 extent_count = 1 type = "zero" }')
    assert vg.lvs["lv"].segments[0].type == "zero"
    with pytest.raises(FormatError) as caught:
        runs(vg, 0, 512)
    assert caught.value.code == "lv-range"


@pytest.mark.parametrize("second, shared", [(4, True), (5, False), (3, True)])
def test_volumes_do_not_share_extents(second: int, shared: bool) -> None:
    lv = SEGMENT.format(1, 0, 2, "", '"pv0", 3') + SEGMENT.format(
        2, 2, 1, "", '"pv0", {}'.format(second)
    )
    if not shared:
        assert group(lv).lvs["lv"].size == 3 * EXTENT
        return
    with pytest.raises(FormatError) as caught:
        group(lv)
    assert caught.value.code == "text-value"


def test_missing_and_exported_pvs() -> None:
    pvs = PV.format(0, '"MISSING"', "") + PV.format(1, '"EXPORTED"', "")
    pvs += PV.format(2, "", '"MISSING"')
    vg = group(pvs=pvs)
    assert [pv.missing for pv in vg.pvs.values()] == [True, False, True]
    assert [pv.exported for pv in vg.pvs.values()] == [False, True, False]


def test_vg_without_volumes() -> None:
    vg = parse_vg(b'vg { id = "%s" seqno = 1 extent_size = 8192 }' % UUID)
    assert (vg.pvs, vg.lvs, vg.seqno) == ({}, {}, 1)


@pytest.mark.parametrize(
    "code, lv",
    [
        ("text-value", SEGMENT.format(1, 0, 0, "", '"pv0", 0')),
        ("text-value", SEGMENT.format(1, 0, 1 << 32, "", '"pv0", 0')),
        ("text-value", SEGMENT.format(1, 1, 1, "", '"pv0", 0')),
        ("text-value", SEGMENT.format(1, 0, 1, "", '"pv0"')),
        ("text-value", SEGMENT.format(1, 0, 1, "", '"pv0", x')),
        ("text-value", SEGMENT.format(1, 0, 1, "", '"pv0", \xb2')),
        ("text-value", SEGMENT.format(1, 0, 1, "", '"pv9", 0')),
        ("text-value", SEGMENT.format(1, 0, 1, "", '"pv0", 100')),
        ("text-value", SEGMENT.format(1, 0, 2, "", '"pv0", 0, "pv1", 0')),
        ("text-value", SEGMENT.format(1, 0, 3, "stripe_size = 8", '"pv0", 0, "pv1", 0')),
    ],
)
def test_impossible_segments(code: str, lv: str) -> None:
    with pytest.raises(FormatError) as caught:
        group(lv)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "code, data",
    [
        ("text-syntax", b""),
        ("text-syntax", b"a { } b { }"),
        ("text-value", b"vg { extent_size = 0 }"),
        ("text-value", b"vg { }"),
        ("text-value", b"vg { seqno = 1 extent_size = 8192 }"),
        ("text-value", b'vg { id = "a-b" seqno = 1 extent_size = 8192 }'),
        ("text-value", b'vg { id = "%s" extent_size = 8192 }' % UUID),
        (
            "text-value",
            b'vg { id = "%s" seqno = 1 extent_size = 1 logical_volumes { lv { } } }' % UUID,
        ),
        (
            "text-value",
            b'vg { id = "%s" seqno = 1 extent_size = 1 physical_volumes { pv0 { } } }' % UUID,
        ),
    ],
)
def test_no_vg(code: str, data: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        parse_vg(data)
    assert caught.value.code == code
