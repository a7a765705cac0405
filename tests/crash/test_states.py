"""Every crash state of every protocol step, in processes of their own (untraced, hence quick).

``RELUN_CRASH=N`` tries about N times as many (``make crash``).
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parents[1]
RESULTS = TESTS.parent / ".cache" / "results"
FACTOR = int(os.environ.get("RELUN_CRASH", "1"))
KEPT = 300

# Scenario -> how many crashes of a recover or undo at least. Small scenarios have fewer, and are
# tried whole.
TARGETS = {
    "single": 5_000,
    "chain": 3_000,
    "raw": 8_000,
    "twomda": 8_000,
    "wrapped": 8_000,
    "blocks-4096": 5_000,
    "wrapped-4096": 4_000,
    "drop-snapshots": 6_000,
    "clone-of-clone": 5_000,
    "several-pvs": 8_000,
    "full-ring-pvs": 6_000,
    "full-clones": 6_000,
    "full-4096": 5_000,
    "small": 6_000,
}
SEALS = ["small", "full-4096"]
if FACTOR > 1:
    TARGETS["drop-chain"] = 3_000
    SEALS += ["several-pvs", "full-clones", "full-ring-pvs"]
AT_LEAST = 100_000

results: dict[str, dict[str, Any]] = {}


def run(scenario: str, *more: str) -> dict[str, Any]:
    """Run one campaign; return its counts."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    name = "-".join(["crash", *(word.strip("-") for word in more if word == "--seal"), scenario])
    file = RESULTS / (name + ".json")
    command = [sys.executable, "-m", "crash.campaign", scenario, str(file), *more]
    environment = dict(os.environ, PYTHONPATH=f"{TESTS.parent / 'src'}{os.pathsep}{TESTS}")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1) and not done.stderr, done.stderr
    counts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    results[counts["scenario"]] = counts
    return counts


@pytest.mark.parametrize("scenario", TARGETS)
def test_every_crash_is_settled(scenario: str) -> None:
    target = TARGETS[scenario] * FACTOR
    counts = run(scenario, "--second", str(target), "--keep", str(KEPT * FACTOR))
    assert counts["failures"] == []
    assert counts["states"] > 100 and counts["second"] > 50


@pytest.mark.parametrize("scenario", SEALS)
def test_every_crash_of_a_seal_leaves_a_sound_sr(scenario: str) -> None:
    counts = run(scenario, "--seal", "--second", str(1000 * FACTOR))
    assert counts["failures"] == []
    assert counts["states"] > 3


def test_enough_states_were_tried() -> None:
    """Adds the counts up and writes them for the final table, which conftest.py prints."""
    if len(results) < len(TARGETS) + len(SEALS):
        pytest.fail("run the whole file: the sum is over all scenarios")
    total = sum(counts["states"] for counts in results.values())
    table = {"states": total, "failed": sum(c["failed"] for c in results.values())}
    (RESULTS / "crash.json").write_text(
        json.dumps({**table, "scenarios": list(results.values())}, indent=1) + "\n",
        encoding="utf-8",
    )
    assert table["failed"] == 0
    assert total >= AT_LEAST
