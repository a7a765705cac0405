"""Tries whether tests/core notices mistakes: ``python -m mutants.run [--seconds N] [MODULE ...]``.

Each mutant is one small mistake in one of the modules that plan, write and recover. It is killed
when a test fails, or takes far too long. Those known to survive are listed in survivors.toml, each
with its reason; any other survivor fails the run, and so does less than 95 % killed of all of them.
"""

import argparse
import json
import os
import random
import shutil
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mutants.alter import AtImport, alter, source_of
from mutants.child import FAILED, StopAtFailure, folder_of, killer_file, run_item, start
from mutants.operators import Mutant, mutants
from mutants.reach import Reach, measure, own_file

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / ".cache" / "results" / "mutants.json"
SURVIVORS = Path(__file__).with_name("survivors.toml")
MODULES = (
    "plan",
    "transaction",
    "journal_store",
    "progress",
    "space",
    "edit",
    "seal",
    "mgt",
    "vhd",
    "cbt",
    "smjournal",
    "journal.marker",
    "journal.pages",
    "journal.payload",
    "lvm2.label",
    "lvm2.mda",
    "lvm2.text",
    "rewrite.dropping",
    "rewrite.images",
    "rewrite.lvm",
    "rewrite.mgt",
)
WRITERS = {"lvm2.text": ("MetadataText.render", "quote")}  # the rest of it reads only
AT_LEAST = 95  # per cent
_SEED = 20180720
_JOBS = 2
_TESTS_FOR = 4.0  # seconds of tests for one mutant at most
_OPTIONS = ("-q", "-s", "-p", "no:cacheprovider", "--assert=plain", "--no-header")


class Verdicts:
    """What became of the mutants that were tried."""

    def __init__(self) -> None:
        self.killed: list[Mutant] = []
        self.survived: list[Mutant] = []
        self.timeouts = 0

    def note(self, mutant: Mutant, code: int) -> None:
        """``code`` is how its process ended."""
        if code == 0:
            self.survived.append(mutant)
            sys.stdout.write(f"survives: {mutant.module} | {mutant.name}\n")
            sys.stdout.flush()
        else:
            self.killed.append(mutant)
            self.timeouts += code < 0


class Trial(StopAtFailure):
    """The pytest plugin that tries mutants in place of running the tests once."""

    def __init__(self, chosen: Sequence[Mutant], until: float) -> None:
        self.chosen = list(chosen)
        self.until = until  # time.monotonic()
        self.verdicts = Verdicts()
        self._killers: dict[str, Counter[str]] = {}  # function -> tests

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try them, two at a time."""
        by_name = {item.nodeid: item for item in session.items}
        reach = measure(session.items, MODULES, ROOT / ".cache" / "mutants")
        running: dict[int, Mutant] = {}
        while self.chosen or running:
            if self.chosen and len(running) < _JOBS and time.monotonic() < self.until:
                mutant = self.chosen.pop(0)
                running[_start(mutant, self._tests(mutant, reach), by_name)] = mutant
                continue
            if not running:
                break
            pid, status = os.wait()
            mutant = running.pop(pid)
            self.verdicts.note(mutant, os.waitstatus_to_exitcode(status))
            self._note_killer(mutant, killer_file(pid))
            shutil.rmtree(folder_of(pid), ignore_errors=True)
        return True

    def _tests(self, mutant: Mutant, reach: Reach) -> dict[str, float]:
        """Return the tests for a mutant with their seconds, those first that kill its like."""
        tests = reach.tests(mutant.module, mutant.function)
        if not tests:  # of a function that runs at import only
            tests = reach.tests(mutant.module, "")
        killers = self._killers.get(_place(mutant), Counter())
        tests.sort(key=lambda test: -killers[test])
        chosen: dict[str, float] = {}
        for test in tests:
            seconds = reach.seconds[test]
            if sum(chosen.values()) + seconds < _TESTS_FOR:
                chosen[test] = seconds
        return chosen

    def _note_killer(self, mutant: Mutant, file: Path) -> None:
        if file.exists():
            killer = file.read_text(encoding="utf-8")
            self._killers.setdefault(_place(mutant), Counter())[killer] += 1
            file.unlink()


def _place(mutant: Mutant) -> str:
    return f"{mutant.module} {mutant.function}"


def _start(mutant: Mutant, tests: dict[str, float], by_name: dict[str, pytest.Item]) -> int:
    expected = sum(tests.values())

    def work() -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        if not os.environ.get("RELUN_MUTANT_SAYS"):
            os.dup2(null, 2)
        if mutant.function and alter(mutant):
            for test in tests:
                run_item(by_name[test])
        else:
            os.execve(sys.executable, _at_import(mutant, list(tests)), dict(os.environ))

    return start(work, cpu_seconds=5 + 5 * expected)


def _at_import(mutant: Mutant, tests: Sequence[str]) -> list[str]:
    folder = Path(os.environ["RELUN_MUTANT_FOLDER"])
    file = folder / "mutant.json"
    file.write_text(json.dumps([mutant, tests]), encoding="utf-8")
    return [sys.executable, "-m", "mutants.run", "--one", str(file)]


def _one(file: Path) -> int:
    """Try one mutant in this process, from before the first import."""
    fields, tests = json.loads(file.read_text(encoding="utf-8"))
    mutant = Mutant(*fields)
    sys.meta_path.insert(0, AtImport(mutant))
    own = [test for test in tests if own_file(mutant.module) in test]
    for number, some in enumerate((own, [test for test in tests if test not in own])):
        where = ["-x", f"--basetemp={file.parent / str(number)}", *some]
        if some and pytest.main([*_OPTIONS, *where]):
            return FAILED
    return 0


def _reasons() -> dict[str, str]:
    listed = tomllib.loads(SURVIVORS.read_text(encoding="utf-8"))
    return {
        f"{module} | {name}": reason
        for module, reasons in listed.items()
        for reason, names in reasons.items()
        for name in names
    }


def _judge(verdicts: Verdicts, whole: bool, possible: int) -> dict[str, Any]:
    reasons = _reasons()
    tried = len(verdicts.killed) + len(verdicts.survived)
    survived = {f"{mutant.module} | {mutant.name}": mutant for mutant in verdicts.survived}
    killed = {f"{mutant.module} | {mutant.name}" for mutant in verdicts.killed}
    unlisted = sorted(survived.keys() - reasons.keys())
    stale = sorted((reasons.keys() - survived.keys()) if whole else (reasons.keys() & killed))
    share = 100 * len(killed) / tried if tried else 0.0
    return {
        "possible": possible,
        "tried": tried,
        "killed": len(verdicts.killed),
        "by_timeout": verdicts.timeouts,
        "survived": len(survived),
        "listed": len(survived) - len(unlisted),
        "per_cent": round(share, 1),
        "whole": whole,
        "unlisted": unlisted,
        "listed_but_killed_or_gone": stale,
        "failed": bool(unlisted or stale or (whole and share < AT_LEAST)),
    }


def main(arguments: Sequence[str]) -> int:
    """Try all mutants, or for so many seconds a random selection of them; return 1 on failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=", ".join(MODULES))
    parser.add_argument("--seconds", type=float, default=0, help="a random selection, so long")
    parser.add_argument("--listed", action="store_true", help="only those known to survive")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    os.chdir(ROOT)
    if given.one:
        return _one(given.one)
    possible = [
        mutant
        for module in given.modules or MODULES
        for mutant in mutants(module, source_of(module))
        if mutant.function in WRITERS.get(module, (mutant.function,))
    ]
    chosen = list(possible)
    if given.listed:
        listed = _reasons()
        chosen = [mutant for mutant in possible if f"{mutant.module} | {mutant.name}" in listed]
    began = time.monotonic()
    if given.seconds:
        random.Random(_SEED).shuffle(chosen)
    trial = Trial(chosen, began + given.seconds if given.seconds else float("inf"))
    status = pytest.main([*_OPTIONS, "tests/core"], plugins=[trial])
    if status != 0:
        return int(status)
    whole = not (given.seconds or given.modules or given.listed)
    result = _judge(trial.verdicts, whole, len(possible))
    result["seconds"] = round(time.monotonic() - began)
    if not (given.modules or given.listed):
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    told = [f"survived, and not listed: {name}" for name in result["unlisted"]]
    told += [f"listed, but killed or gone: {name}" for name in result["listed_but_killed_or_gone"]]
    told += ["mutants: {tried} of {possible} tried, {killed} killed: {per_cent} %".format(**result)]
    sys.stdout.write("\n".join(told) + "\n")
    return int(result["failed"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
