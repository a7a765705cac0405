"""Tries mutants in place of running the tests once, each in a process of its own."""

import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from mutants.alter import AtImport, alter
from mutants.child import (
    FAILED,
    HARNESS,
    StopAtFailure,
    allow,
    folder_of,
    killer_file,
    run_item,
    start,
)
from mutants.operators import Mutant
from mutants.reach import Reach, is_own, measure

OPTIONS = ("-qq", "-s", "-p", "no:cacheprovider", "--assert=plain", "--no-header")
_FOR_LISTED = 4.0  # seconds of tests for one that is known to survive, in a random selection
_AT_IMPORT = 30.0  # seconds for a Python of its own that collects the tests anew
_TESTS_BROKE = (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)  # or their import did


class Verdicts:
    """What became of the mutants that were tried."""

    def __init__(self) -> None:
        self.killed: list[Mutant] = []
        self.survived: list[Mutant] = []
        self.by_time: list[Mutant] = []  # killed ones whose tests took far too long
        self.untried: list[Mutant] = []  # the trial itself failed

    def note(self, mutant: Mutant, code: int) -> None:
        """``code`` is how its process ended."""
        if code == 0:
            self.survived.append(mutant)
            _tell("survives", mutant)
        elif code == HARNESS:
            self.untried.append(mutant)
        else:
            self.killed.append(mutant)
        if code < 0:
            self.by_time.append(mutant)
            _tell("takes too long", mutant)


def _tell(what: str, mutant: Mutant) -> None:
    sys.stdout.write(f"{what}: {mutant.module} | {mutant.name}\n")
    sys.stdout.flush()


class Trial(StopAtFailure):
    """The pytest plugin. Those ``listed`` get no more than a few seconds in a short trial."""

    def __init__(
        self,
        chosen: Sequence[Mutant],
        modules: Sequence[str],
        cache: Path,
        seconds: float = 0,
        jobs: int = 2,
        listed: Collection[Mutant] = (),
    ) -> None:
        """``seconds``: of trying, 0 for as long as it takes."""
        self.chosen = list(chosen)
        self.modules = modules
        self.cache = cache
        self.seconds = seconds
        self.jobs = jobs
        self.listed = set(listed) if seconds else set()
        self.verdicts = Verdicts()
        self._killers = Killers(cache / "killers.json")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try them, several at a time."""
        by_name = {item.nodeid: item for item in session.items}
        reach = measure(session.items, self.modules, self.cache)
        until = time.monotonic() + self.seconds if self.seconds else float("inf")
        running: dict[int, Mutant] = {}
        while self.chosen or running:
            if self.chosen and len(running) < self.jobs and time.monotonic() < until:
                mutant = self.chosen.pop(0)
                running[_start(mutant, self._tests(mutant, reach), by_name)] = mutant
                continue
            if not running:
                break
            pid, status = os.wait()
            mutant = running.pop(pid)
            self.verdicts.note(mutant, os.waitstatus_to_exitcode(status))
            self._killers.note(mutant, killer_file(pid))
            shutil.rmtree(folder_of(pid), ignore_errors=True)
        self._killers.save()
        return True

    def _tests(self, mutant: Mutant, reach: Reach) -> dict[str, float]:
        """Return the tests for a mutant with their seconds, those first that kill its like."""
        tests = reach.tests(mutant.module, mutant.function)
        if not tests:  # of a function that runs at import only
            tests = reach.tests(mutant.module, "")
        tests.sort(key=lambda test: self._killers.rank(mutant, test))
        limit = _FOR_LISTED if mutant in self.listed else float("inf")
        chosen: dict[str, float] = {}
        for test in tests:
            if sum(chosen.values()) + reach.seconds[test] < limit:
                chosen[test] = reach.seconds[test]
        return chosen


class Killers:
    """Which test killed a mutant in the last run, and which kill most of its function."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._last: dict[str, str] = {}
        if file.exists():
            self._last = json.loads(file.read_text(encoding="utf-8"))
        self._of_function: dict[str, Counter[str]] = {}

    def note(self, mutant: Mutant, file: Path) -> None:
        """Remember what a child told in ``file`` before it ended."""
        if file.exists():
            killer = file.read_text(encoding="utf-8")
            self._last[f"{mutant.module} | {mutant.name}"] = killer
            self._of_function.setdefault(_function(mutant), Counter())[killer] += 1
            file.unlink()

    def rank(self, mutant: Mutant, test: str) -> tuple[bool, int]:
        """Return a key that sorts tests, likely killers first."""
        last = self._last.get(f"{mutant.module} | {mutant.name}")
        return test != last, -self._of_function.get(_function(mutant), Counter())[test]

    def save(self) -> None:
        """Keep them for the next run."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(self._last, indent=0), encoding="utf-8")


def _function(mutant: Mutant) -> str:
    return f"{mutant.module} {mutant.function}"


def _start(mutant: Mutant, tests: dict[str, float], by_name: dict[str, pytest.Item]) -> int:
    def work() -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        if not os.environ.get("RELUN_MUTANT_SAYS"):
            os.dup2(null, 2)
        if mutant.function and alter(mutant):
            for test, seconds in tests.items():
                allow(5 + 5 * seconds)
                run_item(by_name[test])
        else:
            allow(_AT_IMPORT + 5 * sum(tests.values()))
            os.environ.pop("RELUN_NO_SKIPS", None)  # a test that skips has noticed nothing
            os.execve(sys.executable, _at_import(mutant, list(tests)), dict(os.environ))

    return start(work)


def _at_import(mutant: Mutant, tests: Sequence[str]) -> list[str]:
    """Return the command that tries a mutant from before the first import.

    Whole files: what a test is called may come from the very constant that is changed.
    """
    own = dict.fromkeys(_file(test) for test in tests if is_own(test, mutant.module))
    others = dict.fromkeys(_file(test) for test in tests if _file(test) not in own)
    folder = Path(os.environ["RELUN_MUTANT_FOLDER"])
    file = folder / "mutant.json"
    file.write_text(json.dumps([mutant, [*own], [*others]]), encoding="utf-8")
    return [sys.executable, "-m", "mutants.run", "--one", str(file)]


def _file(test: str) -> str:
    return test.partition("::")[0]


def try_at_import(file: Path) -> int:
    """Try one mutant in this process; return how it shall end."""
    fields, *parts = json.loads(file.read_text(encoding="utf-8"))
    sys.meta_path.insert(0, AtImport(Mutant(*fields)))
    for number, files in enumerate(parts):
        if files:
            code = pytest.main([*OPTIONS, "-x", f"--basetemp={file.parent / str(number)}", *files])
            if code in _TESTS_BROKE:
                return FAILED
            if code != pytest.ExitCode.OK:
                return HARNESS
    return 0
