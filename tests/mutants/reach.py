"""Which test enters which function of the mutated modules, and how long each test takes."""

import hashlib
import json
import os
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest

from mutants.alter import functions
from mutants.child import Failed, forked, run_item

_TESTED_IN = {  # beside the file that has the module's own name
    "plan": ("options", "refusals"),
    "transaction": ("two_hosts", "progress"),
    "journal_store": ("torn", "two_hosts", "progress"),
    "rewrite.lvm": ("free_ring",),
}


class Reach(NamedTuple):
    """``entered``: "module function" -> tests; ``seconds``: test -> CPU time."""

    entered: dict[str, list[str]]
    seconds: dict[str, float]

    def tests(self, module: str, function: str) -> list[str]:
        """Return the tests that can tell something of a function, or of the whole module.

        The tests written for the module come first, then the quick ones.
        """
        if function:
            found = set(self.entered.get(f"{module} {function}", ()))
        else:
            start = module + " "
            found = {
                test
                for name, tests in self.entered.items()
                if name.startswith(start)
                for test in tests
            }
        if not function:  # a test of constants enters nothing
            found |= {test for test in self.seconds if is_own(test, module)}
        return sorted(found, key=lambda test: (not is_own(test, module), self.seconds[test], test))


def is_own(test: str, module: str) -> bool:
    """Tell whether a test was written for a module."""
    *packages, name = module.split(".")
    own = ["/".join(["", *packages, f"test_{name}.py"])]
    own += [f"/test_{other}.py" for other in _TESTED_IN.get(module, ())]
    return any(file in test for file in own)


def measure(items: Sequence[pytest.Item], modules: Sequence[str], cache: Path) -> Reach:
    """Run all tests once, in a process of its own, unless that was done for this very code."""
    file = cache / "reach-{}.json".format(_digest(items))
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        for old in cache.glob("reach-*.json"):
            old.unlink()
        status = forked(lambda: _measure(items, modules, file))
        assert status == 0, f"the tests must pass before mutants are tried (status {status})"
    loaded = json.loads(file.read_text(encoding="utf-8"))
    return Reach(loaded["entered"], loaded["seconds"])


def _digest(items: Sequence[pytest.Item]) -> str:
    found = hashlib.sha1(sys.version.encode("ascii"))
    found.update("\n".join(item.nodeid for item in items).encode("utf-8"))
    loaded = [module for name, module in sys.modules.items() if name.startswith(("relun", "sup"))]
    files = {str(module.__file__) for module in loaded if getattr(module, "__file__", None)}
    files |= {str(item.path) for item in items}
    for path in sorted(files):
        found.update(Path(path).read_bytes())
    return found.hexdigest()[:16]


def _measure(items: Sequence[pytest.Item], modules: Sequence[str], file: Path) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    names: dict[types.CodeType, str] = {}
    for module in modules:
        for name, function in functions(module).items():
            names[function.__code__] = f"{module} {name}"
    entered: dict[str, list[str]] = {name: [] for name in names.values()}
    seconds = {}
    met: set[str] = set()

    watch = _watcher(lambda code: met.add(names[code]) if code in names else None)
    for item in items:
        met.clear()
        watch()
        began = os.times()
        try:
            run_item(item)
        except Failed:
            sys.stderr.write(f"fails without any mutant: {item.nodeid}\n")
            raise
        ended = os.times()
        seconds[item.nodeid] = sum(ended[:4]) - sum(began[:4])
        for name in met:
            entered[name].append(item.nodeid)
    file.write_text(json.dumps({"entered": entered, "seconds": seconds}), encoding="utf-8")


def _watcher(note: Callable[[types.CodeType], None]) -> Callable[[], None]:
    """Let ``note`` be told of functions entered: of each once after a call of what is returned."""
    monitoring: Any = getattr(sys, "monitoring", None)
    if monitoring is None:  # CPython 3.11
        sys.setprofile(lambda frame, _event, _argument: note(frame.f_code))
        return lambda: None

    def entered(code: types.CodeType, _offset: int) -> object:
        note(code)
        return monitoring.DISABLE

    monitoring.use_tool_id(monitoring.COVERAGE_ID, "mutants")
    monitoring.register_callback(monitoring.COVERAGE_ID, monitoring.events.PY_START, entered)
    monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.PY_START)
    return cast("Callable[[], None]", monitoring.restart_events)
