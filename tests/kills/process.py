"""The real process: run whole, killed after a delay, or signalled at a chosen I/O by strace."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

RELUN = str(Path(sys.executable).with_name("relun"))
NEW_SR = "11111111-2222-4333-8444-555555555555"
CALLS = ("pread64", "pwrite64", "read", "write", "fsync")  # files and devices use not the same
WRITES = ("pwrite64", "write")
_STRACE = ("strace", "-qq", "-e", "trace=" + ",".join(CALLS))
_TIMEOUT = 60  # seconds


class Point(NamedTuple):
    """The entry into call ``number`` of its kind on the LUNs: it is not made if killed."""

    call: str
    number: int


class Ended(NamedTuple):
    """How a process ended: exit code, or minus the signal; and all it printed."""

    code: int
    said: str


def command(verb: str, paths: Sequence[str]) -> list[str]:
    """Return the command line of a verb."""
    more = {"resign": ["--yes", "--sr-uuid", NEW_SR], "undo": ["--yes"], "recover": []}
    return [RELUN, verb, *paths, *more[verb]]


def whole(words: Sequence[str]) -> Ended:
    """Run to the end."""
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT
    )
    return Ended(done.returncode, done.stdout + done.stderr)


def points(words: Sequence[str], paths: Sequence[str], log: Path) -> list[Point]:
    """Run to the end; return all I/Os on the LUNs, in order."""
    ended = whole([*_STRACE, "-o", str(log), *_on(paths), *words])
    assert ended.code == 0, ended.said
    counts = dict.fromkeys(CALLS, 0)
    found = []
    for line in log.read_text(encoding="utf-8").splitlines():
        call = line.partition("(")[0]
        if call in counts:
            counts[call] += 1
            found.append(Point(call, counts[call]))
    return found


def signalled(
    words: Sequence[str], paths: Sequence[str], point: Point, number: signal.Signals
) -> Ended:
    """Send a signal at a chosen I/O."""
    inject = f"inject={point.call}:signal={number.value}:when={point.number}"
    return whole([*_STRACE, "-o", os.devnull, *_on(paths), "-e", inject, *words])


def signalled_while_telling(words: Sequence[str], told: Path, number: signal.Signals) -> Ended:
    """Send a signal when all is done and the report is being written (to the file ``told``)."""
    inject = f"inject=write:signal={number.value}:when=1"
    traced = [*_STRACE, "-o", os.devnull, "-P", str(told), "-e", inject, *words]
    with told.open("w", encoding="utf-8") as file:
        done = subprocess.run(
            traced, stdin=subprocess.DEVNULL, stdout=file, stderr=file, timeout=_TIMEOUT
        )
    return Ended(done.returncode, told.read_text(encoding="utf-8"))


def delayed(words: Sequence[str], seconds: float, number: signal.Signals) -> Ended:
    """Send a signal after a delay, if the process is not done by then."""
    with subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        time.sleep(seconds)
        process.send_signal(number)
        said, _ = process.communicate(timeout=_TIMEOUT)
    return Ended(process.returncode, said)


def _on(paths: Sequence[str]) -> list[str]:
    return [word for path in paths for word in ("-P", path)]
