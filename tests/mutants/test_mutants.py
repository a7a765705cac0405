"""A random (seeded) selection of mutants is tried in each run, all of them by ``make mutants``."""

import json
import os
import subprocess
import sys
from pathlib import Path

from mutants.operators import Mutant, mutants, mutated
from mutants.run import MODULES, RESULTS

TESTS = Path(__file__).resolve().parents[1]
SECONDS = os.environ.get("RELUN_MUTANT_SECONDS", "60")

SOURCE = '''
SIZE = 512
def half(value: int, whole: bool = True) -> int:
    """Halve."""
    if value > SIZE and whole:
        return value // 2
    return -value
'''


def test_a_sample_is_killed() -> None:
    RESULTS.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "mutants.run", "--seconds", SECONDS],
        env={**os.environ, "PYTHONPATH": f"{TESTS.parent / 'src'}{os.pathsep}{TESTS}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert found["tried"] > 20 and found["unlisted"] == []


def test_mistakes_are_the_usual_ones() -> None:
    """Each is made alone, nothing else changes, and no docstring or annotation is touched."""
    found = mutants("half", SOURCE)
    assert [mutant.name.rpartition(" | ")[2] for mutant in found] == [
        "512 -> 513",
        "True -> False",
        "if value > SIZE and whole -> if not (value > SIZE and whole)",
        "value > SIZE and whole -> value > SIZE or whole",
        "value > SIZE -> value >= SIZE",
        "return value // 2 -> return None",
        "value // 2 -> value * 2",
        "2 -> 3",
        "return -value -> return None",
        "-value -> value",
    ]
    assert {mutant.function for mutant in found} == {"", "half"}
    results = set()
    for mutant in found:
        namespace: dict[str, object] = {}
        exec(compile(mutated(SOURCE, mutant), "half", "exec"), namespace)
        half = namespace["half"]
        assert callable(half)
        results.add(tuple(half(value) for value in (2, 512, 513, 514)))
    assert len(results) == len(found)


def test_every_module_is_named_once() -> None:
    assert len(MODULES) == len(set(MODULES))
    assert Mutant._fields[:2] == ("module", "function")
