"""What LVM2's own tools make of crash states beside the original: its VG is never harmed."""

import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from crash.check import Checker, Counts, Run, repeatable
from crash.recording import SECTOR, State
from crash.scenarios import SCENARIOS
from crash.states import epochs, state
from support import lvm

PER_EPOCH = 2
# LVM2 says it of a VG some of whose PVs are hidden still, or of a clone that is none yet.
EXPECTED = ("WARNING", "not found", "missing", "duplicate", "Cannot", "Couldn't find device")


def sampled(run: Run) -> Iterator[tuple[int, State]]:
    """Yield of every epoch of a resign: nothing of it, all of it, and some random parts."""
    chance = random.Random(7)
    for number, epoch in enumerate(epochs(run.start, run.log, SECTOR)):
        everything = range(len(epoch.units))
        yield number, state(epoch, ())
        for _ in range(PER_EPOCH if len(epoch.units) > 2 else 0):
            yield number, state(epoch, tuple(i for i in everything if chance.random() < 0.5))


def written(luns: State, folder: Path, name: str) -> list[str]:
    """Write LUNs to files."""
    paths = []
    for number, lun in enumerate(luns):
        path = folder / f"{name}.{number}"
        subprocess.run(["cp", "--sparse=always", lun.image.path, path], check=True)
        path.chmod(0o644)
        with open(path, "r+b") as file:
            for sector, data in lun.sectors.items():
                file.seek(sector * SECTOR)
                file.write(data)
        paths.append(str(path))
    return paths


@pytest.mark.skipif(shutil.which("pvs") is None, reason="LVM2 is not installed")
@pytest.mark.parametrize("name", ["single", "wrapped", "several-pvs", "full-ring-pvs"])
def test_the_original_is_unharmed(name: str, tmp_path: Path) -> None:
    scenario = next(one for one in SCENARIOS if one.name == name)
    with repeatable():
        run = scenario.run(tmp_path)
    original = [lun.image.path for lun in run.start]
    with lvm.attached(*original, read_only=True) as alone:
        wanted = names_of(alone)
    checker = Checker(run, Counts())
    seen: dict[str, int] = {}
    for _number, luns in sampled(run):
        phase = checker.phase(luns)
        seen[phase] = seen.get(phase, 0) + 1
        crashed = written(luns, tmp_path, "crashed")
        if phase == "original":  # beside the original it is a duplicate, as the clone was
            with lvm.attached(*crashed, read_only=True) as clone:
                assert names_of(clone) == wanted
            continue
        if phase == "done":
            lvm.clean_side_by_side(original, crashed)
            continue
        with lvm.attached(*original, *crashed, read_only=True, tolerated=EXPECTED) as both:
            found = names_of(both)
            assert {vg: found[vg] for vg in wanted} == wanted
            others = {vg: rows for vg, rows in found.items() if vg not in wanted}
            if len(luns) == 1:  # hidden means hidden
                assert not others
            for _vg, (_lvs, missing) in others.items():  # of several labels one was not written yet
                assert missing > 0
    assert set(seen) == {"original", "hidden", "done"} and seen["hidden"] >= 2, seen


def names_of(tools: lvm.Lvm) -> dict[str, tuple[tuple[str, ...], int]]:
    """Return of each VG its LVs, and how many PVs are missing."""
    lvs: dict[str, list[str]] = {row["vg_name"]: [] for row in tools.vgs()}
    for row in tools.lvs():
        lvs[row["vg_name"]].append(row["lv_name"] + " " + row["lv_uuid"])
    missing = {row["vg_name"]: int(row["vg_missing_pv_count"]) for row in tools.vgs()}
    return {vg: (tuple(sorted(found)), missing[vg]) for vg, found in lvs.items()}
