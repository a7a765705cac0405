"""Forked processes, with all tests collected already: a mutant costs little more than its tests."""

import math
import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

_MEMORY = 2 << 30  # bytes: a mistake may ask for any amount
_WALL = 10  # times the CPU time, on a machine that does other things too
_LONGEST = 3600  # seconds of CPU time, whatever is allowed
_BASE = Path("/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir())
FAILED = 1
HARNESS = 3  # what went wrong is no test


def start(work: Callable[[], None]) -> int:
    """Fork; the child does ``work`` and ends with 0, or by a signal when it takes too long."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    folder = str(folder_of(os.getpid()))
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    code = HARNESS
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        tempfile.tempdir = folder
        os.environ["RELUN_MUTANT_FOLDER"] = folder
        work()
        code = 0
    except Failed as failed:
        code = FAILED
        killer_file(os.getpid()).write_text(str(failed), encoding="utf-8")
    except BaseException:
        traceback.print_exc()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(code)


def allow(cpu_seconds: float) -> None:
    """Let this process end by a signal when it takes longer from now on."""
    used = sum(os.times()[:2])
    limit = math.ceil(used + cpu_seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, _LONGEST))
    signal.alarm(math.ceil(cpu_seconds) * _WALL)


def forked(work: Callable[[], None]) -> int:
    """Do ``work`` in a child; return how it ended."""
    pid, status = os.waitpid(start(work), 0)
    shutil.rmtree(folder_of(pid), ignore_errors=True)
    return os.waitstatus_to_exitcode(status)


class Failed(BaseException):
    """A test failed, whose id this is: nothing more needs to be known."""


def folder_of(pid: int) -> Path:
    """Return a child's own folder; who waits for the child removes it (it may have been killed)."""
    return _BASE / f"mutant-{pid}"


def killer_file(pid: int) -> Path:
    """Return where a child that ends with FAILED leaves the id of the test that failed."""
    return _BASE / f"mutant-killer-{pid}"


def run_item(item: pytest.Item) -> None:
    """Run one test in a child. Raise Failed when it fails."""
    factory = item.config._tmp_path_factory  # type: ignore[attr-defined]
    folder = Path(os.environ["RELUN_MUTANT_FOLDER"])
    if factory._basetemp is None or factory._basetemp.parent != folder:
        factory._basetemp = folder / "tests"
        factory._basetemp.mkdir()
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)


class StopAtFailure:
    """The plugin that ends a child at once, before a report is made of the failure."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Look at how a part of a test ended."""
        if call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception):
            if os.environ.get("RELUN_MUTANT_SAYS"):
                sys.stderr.write(f"{item.nodeid} {call.excinfo.exconly()[:300]}\n")
            raise Failed(item.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Nobody reads the dots."""
