"""Two hosts that share only the LUN: one of them stops at any of its I/Os, and the other goes on.

Two that begin at the same time on one LUN of 512-byte blocks never mix: at most one gets through,
and what is left is one run's result, or becomes it by recover. Without a reservation on the LUN
some things cannot be excluded, and are counted as broken:
- a host that stands still between two writes while another settles the LUN (recover or undo of a
  run that is alive);
- several such stops in one run;
- blocks of 4096 bytes, where the label, the pointer and the stash are written together;
- several PVs: a LUN that gets its marker when the others have lost theirs.
"""

import collections
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from crash.check import Checker, Counts, resigned
from crash.faults import halfway
from crash.interleaving import Judge, Schedule, Verb, ios, schedules, together
from crash.recording import State, copied, devices
from crash.scenarios import SCENARIOS
from relun.core import progress, seal, verbs  # noqa: F401  (imported late by verbs: not in a thread)
from relun.core.options import Options

RESULTS = Path(__file__).resolve().parents[2] / ".cache" / "results"
A = Options(sr_uuid="aaaaaaaa-2222-4333-8444-555555555555")
B = Options(sr_uuid="bbbbbbbb-2222-4333-8444-555555555555")
RANDOM = 100

counts: dict[str, dict[str, int]] = {}
failed: dict[str, int] = {}
not_excluded: collections.Counter[str] = collections.Counter()


def resign_a(luns: object) -> object:
    return verbs.resign(luns, A)  # type: ignore[arg-type]


def resign_b(luns: object) -> object:
    return verbs.resign(luns, B)  # type: ignore[arg-type]


# A run that is alive may be taken for a crashed one here.
TAKES_OVER = ("recover and undo", "undo and resign", "resign and undo after a crash")
PAIRS: dict[str, tuple[str, Verb, Verb]] = {
    "two resigns": ("start", resign_a, resign_b),
    "two resigns to one uuid": ("start", resign_a, resign_a),
    "resign and undo after a crash": ("begun", resign_b, verbs.undo),
    "resign and recover": ("halfway", resign_b, verbs.recover),
    "two recovers": ("halfway", verbs.recover, verbs.recover),
    "recover and undo": ("halfway", verbs.recover, verbs.undo),
    "two undos": ("done", verbs.undo, verbs.undo),
    "undo and resign": ("done", verbs.undo, resign_b),
}


def mixed(first: int, second: int, seed: int) -> Iterator[Schedule]:
    """Yield random schedules with many changes of turn."""
    chance = random.Random(seed)
    for _ in range(RANDOM):
        turns = chance.randrange(3, 12)
        reach = 2 * (first + second) // turns + 1
        yield [(turn % 2, chance.randrange(1, reach)) for turn in range(turns)]


def excuse(pair: str, name: str, one_stop: bool) -> str:
    """Say why a mixture cannot be excluded without a reservation; empty when it can."""
    if pair in TAKES_OVER:
        return "recover or undo of a run that is alive"
    if name == "full-4096":
        return "blocks of 4096 bytes"
    if name == "several-pvs":
        return "several PVs"
    return "" if one_stop else "several stops in one run"


@pytest.mark.parametrize("name", ["single", "full-4096", "several-pvs"])
@pytest.mark.parametrize("pair", PAIRS)
def test_two_that_begin_at_once_never_mix(pair: str, name: str, tmp_path: Path) -> None:
    scenario = next(one for one in SCENARIOS if one.name == name)
    begin, first, second = PAIRS[pair]
    clone = scenario.start(tmp_path)
    size = scenario.block_size
    run_a, run_b = (resigned(clone, options, size) for options in (A, B))
    starts = {"start": clone, "done": run_a.end, "halfway": halfway(run_a)}
    starts["begun"] = halfway(run_a, hidden=False)
    start = starts[begin]

    def after(luns: State, *run: Verb) -> State:
        left = copied(luns)
        for verb in run:
            verb(devices(left, size))
        return left

    a_b = after(run_a.end, resign_b)
    results = {"start": clone, "a": run_a.end, "b": run_b.end, "ab": a_b}
    results["ba"] = after(run_b.end, resign_a)
    scratch: set[tuple[int, int]] = set()
    for run in (run_a, run_b, resigned(run_a.end, B, size), resigned(run_b.end, A, size)):
        scratch |= Checker(run, Counts()).scratch
    judge = Judge(results, scratch, size)
    steps = [ios(start, verb, size) for verb in (first, second)]
    stride = max(1, max(steps) // (30 if name == "single" else 16))
    found: collections.Counter[str] = collections.Counter()
    broken: list[str] = []
    one_stop = list(schedules(steps[0], steps[1], stride))
    for number, schedule in enumerate([*one_stop, *mixed(steps[0], steps[1], len(pair))]):
        ending = together(start, (first, second), schedule, size)
        word = judge.word(ending)
        found[word.partition(":")[0]] += 1
        if not word.startswith("broken"):
            continue
        why = excuse(pair, name, number < len(one_stop))
        if why:
            not_excluded[why] += 1
        else:
            broken.append(f"{schedule} {ending.said} {word}")
    failed[f"{pair}, {name}"] = len(broken)
    counts[f"{pair}, {name}"] = dict(found)
    assert broken == []
    assert found["broken"] < sum(found.values()) // 5, found
    assert found["clean"] + found["settled"] > sum(found.values()) // 2, found


def test_the_counts_are_written() -> None:
    assert counts, "run the whole file: the counts are of all its tests"
    total: collections.Counter[str] = collections.Counter()
    for found in counts.values():
        total.update(found)
    RESULTS.mkdir(parents=True, exist_ok=True)
    table = {
        "interleavings": sum(total.values()),
        "failed": sum(failed.values()),
        **total,
        "broken_for": not_excluded,
        "by_pair": counts,
    }
    (RESULTS / "two-hosts.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
