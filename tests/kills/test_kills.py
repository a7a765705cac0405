"""Processes killed and signalled at random points, by campaigns of their own, two at a time."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kills.luns import SCENARIOS
from support.tools import needs

pytestmark = needs("losetup", "strace", "zstd", root=True)

TESTS = Path(__file__).resolve().parents[1]
RESULTS = TESTS.parent / ".cache" / "results"
AT_LEAST = 500
KILLS, SIGNALS = 85, 30  # a scenario


def _campaign(number: int) -> dict[str, Any]:
    file = RESULTS / f"kills-{number}.json"
    file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "kills.campaign", str(number), str(file)]
    done = subprocess.run(
        [*command, "--kills", str(KILLS), "--signals", str(SIGNALS)],
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent / 'src'}{os.pathsep}{TESTS}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 1) and not done.stderr, done.stderr
    counts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    return counts


@pytest.fixture(scope="module")
def table() -> dict[str, Any]:
    """Run all campaigns; their counts are kept for the final table."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(2) as jobs:
        scenarios = list(jobs.map(_campaign, range(len(SCENARIOS))))
    sums = {key: sum(one[key] for one in scenarios) for key in ("kills", "signals", "failed")}
    found = {**sums, "scenarios": scenarios}
    (RESULTS / "kills.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def test_no_kill_leaves_what_cannot_be_settled(table: dict[str, Any]) -> None:
    assert [failure for one in table["scenarios"] for failure in one["failures"]] == []
    assert table["failed"] == 0


def test_enough_were_killed(table: dict[str, Any]) -> None:
    assert table["kills"] >= AT_LEAST


@pytest.mark.parametrize("scenario", [scenario.name for scenario in SCENARIOS])
def test_kills_met_every_part_of_the_protocol(table: dict[str, Any], scenario: str) -> None:
    """On every kind of LUN each verb was struck, in each way and in each phase."""
    (counts,) = (one for one in table["scenarios"] if one["scenario"] == scenario)
    assert {"untouched", "begun", "hidden", "undoing"} <= counts["left"].keys()
    assert counts["killed"].keys() == {"at an I/O", "after a delay"}
    assert counts["signalled"].keys() == {"SIGINT", "SIGTERM"}
    assert len(counts["verbs"]) == 7 and min(counts["verbs"].values()) > 10
