"""A resign judged by foreign tools: every sample image, and shapes that no sample has."""

import filecmp
from pathlib import Path
from typing import Any

import pytest

from oracles import judge
from relun.core.errors import Refused
from support import builder, golden, lvm
from support.builder import Pv, Ring, Sr, Vhd, fleet
from support.compare import differences
from support.tools import needs

everything = needs("pvck", "losetup", "qemu-img", "/usr/bin/python3", "zstd", root=True)

RESIGNED = [name for name in golden.names() if name not in ("journals", "ext")]


def resign_and_judge(original: str, clone: str, hashes: dict[str, str], **options: Any) -> None:
    before = judge.watch([original])
    outcome = judge.resign([clone], **options)
    judge.assert_separate([original], [clone], outcome)
    judge.assert_guests([original], [clone], outcome, hashes)
    judge.assert_renamed([original], [clone], outcome)
    judge.assert_within_plan([original], [clone], outcome)
    judge.run("undo", [clone])
    assert differences(original, clone) == []
    assert judge.untouched(before)


def hashes_of(name: str) -> dict[str, str]:
    return {volume: told["sha256"] for volume, told in golden.manifest(name)["vdis"].items()}


@everything
@pytest.mark.parametrize("name", RESIGNED)
def test_sample(name: str, tmp_path: Path) -> None:
    resign_and_judge(golden.image(name), golden.copy(name, tmp_path), hashes_of(name))


@everything
def test_pending_journals_are_carried_over_when_forced(tmp_path: Path) -> None:
    clone = golden.copy("journals", tmp_path)
    resign_and_judge(golden.image("journals"), clone, hashes_of("journals"), force_journals=True)


@everything
def test_lvm_identity_alone_of_a_filesystem_sr(tmp_path: Path) -> None:
    original, clone = golden.image("ext"), golden.copy("ext", tmp_path)
    outcome = judge.resign([clone], lvm_only=True)
    lvm.clean_side_by_side(original, clone)
    judge.assert_within_plan([original], [clone], outcome)
    [pv] = golden.manifest("ext")["pvs"]
    journal = outcome.plan.space.region
    for offset, length in differences(original, clone):
        behind = journal.offset <= offset < journal.offset + journal.size
        assert behind or offset + length <= int(pv["pe_start"])
    judge.run("undo", [clone])
    assert differences(original, clone) == []


@everything
@pytest.mark.parametrize("name", ["journals", "ext"])
def test_refused_without_one_byte_changed(name: str, tmp_path: Path) -> None:
    clone = golden.copy(name, tmp_path)
    with pytest.raises(Refused):
        judge.resign([clone])
    assert filecmp.cmp(golden.image(name), clone, shallow=False)


SHAPES = {
    "300": Sr(fleet(300)),
    "wrapped": Sr(fleet(3), ring=Ring(offset=-700, history=4)),
    "second slot": Sr(fleet(3), ring=Ring(offset=8192, history=1, precommitted=True)),
    "filled ring": Sr(fleet(3), ring=Ring(offset=5 << 20, filled=True)),
    "two areas": Sr(fleet(3), pvs=(Pv(mdas=2),), ring=Ring(offset=-512, history=2)),
    "label in sector 0": Sr(fleet(1), pvs=(Pv(label_sector=0),)),
    "label in sector 3": Sr(fleet(1), pvs=(Pv(label_sector=3),)),
    "ignored area": Sr(fleet(2), pvs=(Pv(), Pv(ignored=True))),
    "several PVs": Sr(
        (Vhd("a", segments=3, bat_entries=1 << 20), Vhd("b", "a", pv=1), Vhd("c", segments=2)),
        pvs=(Pv(), Pv(mdas=2, mda_size=1 << 20), Pv(label_sector=3, mdas=0)),
    ),
    "newer LVM2": Sr(
        fleet(2),
        lvm="2.03.17(2) (2022-11-10)",
        command="Created *after* executing '/sbin/lvchange -a y \"x\"'",
        pvs=(Pv(device_id="naa.6000000000000001"),),
    ),
    "kinds": Sr(
        (
            Vhd("base", size=8 << 20, data=((0, 8192),), hidden=True, read_only=True),
            Vhd("leaf", "base", size=8 << 20, data=((2 << 20, 1024),), footers="dead-primary"),
            builder.Raw("raw", hidden=True, read_only=True),
            Vhd("on raw", "raw", size=4 << 20, segments=2),
            builder.Qcow2("q0", hidden=True),
            builder.Qcow2("q1", "q0", hidden=False, data=((196608, 4096),)),
            builder.Qcow2("q2", "q1", name_first=True, segments=2),
            builder.Cbt("leaf", parent="base", child="gone"),
            builder.Journal("inflate", "leaf", "4194304"),
            builder.Journal("jvhd", "leaf", state="committed"),
            builder.special("ha_statefile"),
            builder.special("metadata", metadata_of_pool="OpaqueRef:abc"),
        ),
        name="all & <more>",
        records=(builder.Record("dropped", deleted=1, snapshot_of="leaf", updated=True),),
        stale_records=(builder.Record("stale"),),
    ),
}


SHAPES.update(
    {
        "dead copy": Sr((Vhd("a", footers="dead-copy"), Vhd("b", "a", footers="dead-copy"))),
        "little ring left": Sr(fleet(3), pvs=(Pv(mda_size=0),), ring=Ring(spare=4096)),
        "ring full of texts": Sr(
            fleet(3), pvs=(Pv(mda_size=0),), ring=Ring(spare=16384, filled=True)
        ),
        "no MGT": Sr(fleet(2), mgt=False),
        "no disk": Sr(()),
        "small extents": Sr((builder.Raw("a"),), extent_size=65536),
        "cut names": Sr((Vhd("a", record=builder.Record("a", "&" * 300, "<" * 300)),)),
        "backing by mapper": Sr((builder.Qcow2("a"), builder.Qcow2("b", "a", mapper_path=True))),
    }
)


@everything
@pytest.mark.parametrize("shape", SHAPES)
def test_shape(shape: str, tmp_path: Path) -> None:
    original = builder.build(SHAPES[shape], tmp_path / "original.img")
    clone = builder.build(SHAPES[shape], tmp_path / "clone.img")
    before = judge.watch(original.paths)
    outcome = judge.resign(clone.paths)
    judge.assert_separate(original.paths, clone.paths, outcome)
    hashes = {name: builder.guest_sha256(original, key) for key, name in original.names.items()}
    judge.assert_guests(original.paths, clone.paths, outcome, hashes)
    judge.assert_renamed(original.paths, clone.paths, outcome)
    judge.assert_within_plan(original.paths, clone.paths, outcome)
    judge.run("undo", clone.paths)
    for one, other in zip(original.paths, clone.paths, strict=True):
        assert differences(one, other) == []
    assert judge.untouched(before)


# References to what is not on the LUN: a tool cannot open them, but they may not stay either.
DANGLING = {
    "parent gone": Sr((Vhd("a", "gone"), builder.Qcow2("b", "gone too"))),
    "parent elsewhere": Sr(
        (
            Vhd(
                "a",
                "gone",
                parent_name="VG_XenStorage--11111111--2222--4333--8444--555555555555"
                "-VHD--66666666--7777--4888--8999--aaaaaaaaaaaa",
            ),
        )
    ),
    "displaced leaf": Sr((Vhd("a", "gone", prefix="VHD-OLD_", in_mgt=False),)),
    "log without a disk": Sr((builder.Cbt("gone", parent="too", child="and this"),)),
    "snapshot of nothing": Sr((Vhd("a", record=builder.Record("a", snapshot_of="gone")),)),
}


@everything
@pytest.mark.parametrize("shape", DANGLING)
def test_a_dangling_reference_does_not_stay(shape: str, tmp_path: Path) -> None:
    original = builder.build(DANGLING[shape], tmp_path / "original.img")
    clone = builder.build(DANGLING[shape], tmp_path / "clone.img")
    outcome = judge.resign(clone.paths)
    judge.assert_separate(original.paths, clone.paths, outcome)
    judge.assert_renamed(original.paths, clone.paths, outcome)
    judge.assert_within_plan(original.paths, clone.paths, outcome)
    judge.run("undo", clone.paths)
    assert differences(original.path, clone.path) == []


REFUSED = {
    "vhd-footers": Sr((Vhd("a", footers="dead-both"),)),
    "vhd-poisoned": Sr((Vhd("a", footers="poison"),)),
    "vg-exported": Sr(fleet(1), vg_status=("RESIZEABLE", "READ", "WRITE", "EXPORTED")),
    "vg-owned": Sr(fleet(1), vg_lines=('system_id = "another-host"',)),
    "pv-missing": Sr(fleet(1), pvs=(Pv(flags=("MISSING",)),)),
    "lv-segment": Sr((builder.Plain("mirrored", segment_type="mirror"),)),
    "mgt-header": Sr(fleet(1), mgt_header=b"garbage"),
    "mgt-legacy": Sr(fleet(1), mgt_header=b"XSSM\0\0\0\1\0\1\0\2"),
    "mgt-dead-record": Sr(fleet(1), records=(builder.Record("gone"),)),
    "journal-resize": Sr((Vhd("a"), builder.Journal("jvhd", "a"))),
    "journal-undo": Sr((Vhd("a"), builder.Journal("leaf", "a", payload=("b",), in_name=True))),
    "qcow2-external-data": Sr((builder.Qcow2("a", data_file=True),)),
    "sr-none": builder.plain_group(),
    "sr-filesystem": builder.filesystem_sr("XSLocalLargeBlock-"),
}


@pytest.mark.parametrize("code", REFUSED)
def test_refused_shape(code: str, tmp_path: Path) -> None:
    original = builder.build(REFUSED[code], tmp_path / "original.img")
    clone = builder.build(REFUSED[code], tmp_path / "clone.img")
    with pytest.raises(Refused) as refusal:
        judge.resign(clone.paths)
    assert code in {finding.code for finding in refusal.value.findings}
    assert differences(original.path, clone.path) == []


def test_refused_without_room_in_the_ring(tmp_path: Path) -> None:
    sr = Sr(fleet(3), pvs=(Pv(mda_size=0),), ring=Ring(spare=1024))
    original, clone = (builder.build(sr, tmp_path / name) for name in ("original", "clone"))
    with pytest.raises(Refused):
        judge.resign(clone.paths)
    assert differences(original.path, clone.path) == []


def test_refused_when_a_lun_of_the_group_is_not_given(tmp_path: Path) -> None:
    sr = Sr(fleet(2), pvs=(Pv(), Pv()))
    original, clone = (builder.build(sr, tmp_path / name) for name in ("original", "clone"))
    with pytest.raises(Refused):
        judge.resign(clone.paths[:1])
    assert differences(original.paths[0], clone.paths[0]) == []


@pytest.mark.parametrize("make", [builder.empty, builder.gfs2])
def test_refused_what_is_no_lvm(make: Any, tmp_path: Path) -> None:
    original, clone = make(str(tmp_path / "original")), make(str(tmp_path / "clone"))
    with pytest.raises(Refused):
        judge.resign([clone])
    assert differences(original, clone) == []
