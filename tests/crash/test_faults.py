"""Fault injection in process: the Nth I/O fails, for every N and every verb that writes."""

import json
import time
from pathlib import Path

import pytest

from crash import faults, sealing
from crash.check import Checker, Counts, repeatable
from crash.scenarios import SCENARIOS

RESULTS = Path(__file__).resolve().parents[2] / ".cache" / "results"
CHOSEN = ("single", "wrapped", "several-pvs", "full-clones", "full-4096")

struck: dict[str, int] = {}
failed: dict[str, int] = {}


@pytest.mark.parametrize("name", CHOSEN)
def test_what_is_raised_is_true_and_all_can_be_settled(name: str, tmp_path: Path) -> None:
    scenario = next(one for one in SCENARIOS if one.name == name)
    with repeatable():
        run = scenario.run(tmp_path)
        checker = Checker(run, Counts())
        outcomes: dict[str, int] = {}
        for case in faults.cases(run):
            for fault in faults.FAULTS:
                tally = faults.strike(case, fault, checker)
                assert tally.tried or fault.at == (faults.FLUSH,), (case.name, fault.name)
                struck[name] = struck.get(name, 0) + tally.tried
                for outcome, count in tally.by_outcome.items():
                    outcomes[outcome] = outcomes.get(outcome, 0) + count
    failed[name] = len(checker.counts.failures)
    assert checker.counts.failures == []
    assert outcomes["unchanged"] > 50 and outcomes["interrupted"] > 50, outcomes


@pytest.mark.parametrize("name", ["several-pvs", "full-4096"])
def test_a_seal_that_fails_is_completed_by_the_next(name: str, tmp_path: Path) -> None:
    scenario = next(one for one in SCENARIOS if one.name == name)
    with repeatable():
        run = scenario.run(tmp_path)
        end = sealing.sealed(run).end
        for fault in faults.FAULTS:
            tried, failures = faults.seal_faults(run, fault, end)
            assert tried and failures == []
            struck["seal " + name] = struck.get("seal " + name, 0) + tried
    failed["seal " + name] = 0


def test_the_counts_are_written() -> None:
    assert struck, "run the whole file: the counts are of all its tests"
    RESULTS.mkdir(parents=True, exist_ok=True)
    table = {
        "faults": sum(struck.values()),
        "failed": sum(failed.values()),
        "by_scenario": struck,
        "at": time.time(),
    }
    (RESULTS / "faults.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
