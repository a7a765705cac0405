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
    changed = differences(original, clone)
    assert all(offset + length <= int(pv["pe_start"]) for offset, length in changed)
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
    judge.assert_within_plan(original.paths, clone.paths, outcome)
    judge.run("undo", clone.paths)
    for one, other in zip(original.paths, clone.paths, strict=True):
        assert differences(one, other) == []
    assert judge.untouched(before)
