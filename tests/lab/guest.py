"""A Linux guest for tests: a real kernel in an ordinary process, no hypervisor, no image.

The guest is User-Mode Linux, Debian's package ``user-mode-linux``. It sees the host's ``/``
read-only below an overlay whose upper layer is in its memory: whatever it writes is gone with it.
One host folder, the channel, is mounted read-write at ``/chan``: scripts go in, output and LUN
files come out. A small agent (``inside/``) runs one script after another: one boot for a session.
"""

import compileall
import inspect
import itertools
import json
import os
import platform
import queue
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

KERNEL = "/usr/bin/linux.uml"
MODULES = Path("/usr/lib/uml/modules")
CHANNEL = "/chan"
SOURCES = CHANNEL + "/src"  # relun as it was at the first boot, compiled
CHECKOUT = Path(__file__).resolve().parents[2]
# What each program is needed for is the Debian package that brings it.
PROGRAMS = {
    KERNEL: "user-mode-linux",
    "/usr/sbin/tgtd": "tgt",
    "/sbin/iscsid": "open-iscsi",
    "/sbin/lvm": "lvm2",
    "/sbin/multipathd": "multipath-tools",
    "/sbin/modprobe": "kmod",
    "/lib/systemd/systemd-udevd": "udev",
    "/usr/sbin/ip": "iproute2",
    "/usr/bin/zstd": "zstd",
}
INSIDE = Path(__file__).resolve().parent / "inside"
BOOT_SECONDS = 60.0
JOB_SECONDS = 120.0
_MARK = "@lab@"  # begins the agent's answers on the console


class GuestError(Exception):
    """The guest cannot run, or ended, or a job went wrong; the text shows what was said."""


class Result(NamedTuple):
    """What one job did."""

    code: int
    out: str
    err: str
    seconds: float  # wall time as the host saw it, the round trip included

    @property
    def words(self) -> str:
        """Output and error output together."""
        return self.out + self.err


class Job(NamedTuple):
    """A job that runs while the caller goes on."""

    name: str
    started: float


def obstacles() -> list[str]:
    """Why a guest cannot run on this machine: one phrase each, empty when it can."""
    found = []
    if os.geteuid() != 0:
        found.append("the lab's guest needs root (LUN files, device nodes)")
    missing = sorted({package for path, package in PROGRAMS.items() if not os.path.exists(path)})
    if missing:
        found.append("Debian packages are missing: {} (make setup)".format(" ".join(missing)))
    if platform.machine() != "x86_64":
        found.append("User-Mode Linux is built for x86_64 only, not for " + platform.machine())
    return found


class Guest:
    """One guest at a time: ``with Guest(folder) as guest: guest.run("uname -r")``."""

    def __init__(self, folder: Path, memory: str = "512M", cpu: int | None = None) -> None:
        """``folder`` becomes the channel; ``cpu`` is the processor the guest is pinned to."""
        self.folder = folder.resolve()
        self.memory = memory
        self.cpu = max(os.sched_getaffinity(0)) if cpu is None else cpu
        self.boots = 0
        self._process: subprocess.Popen[str] | None = None
        self._watch: subprocess.Popen[bytes] | None = None
        self._events: queue.Queue[tuple[str, int] | None] = queue.Queue()
        self._ended: dict[str, tuple[int, float]] = {}
        self._numbers = itertools.count(1)

    def __enter__(self) -> "Guest":
        """Boot."""
        self.boot()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the guest, whatever happened."""
        self.kill()

    @property
    def alive(self) -> bool:
        """Whether the guest's kernel still runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def console(self) -> Path:
        """File with all that the kernel and the agent said, over all boots."""
        return self.folder / "console.log"

    def boot(self) -> None:
        """Start the guest and wait for its agent. Raises GuestError."""
        reasons = obstacles()
        if reasons:
            raise GuestError("; ".join(reasons))
        if self.alive:
            raise GuestError("this guest already runs")
        self._fill_channel()
        self._events = queue.Queue()
        self._ended = {}
        self._process = subprocess.Popen(
            [
                *("taskset", "-c", str(self.cpu), KERNEL, "mem=" + self.memory),
                *("rootfstype=hostfs", "rootflags=/", "ro", "quiet"),
                *("con=null", "con0=fd:0,fd:1", "ssl=null"),
                "init={}".format(INSIDE / "init.sh"),
                "lab_folder={}".format(self.folder),
                "lab_checkout={}".format(CHECKOUT),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            bufsize=1,
            start_new_session=True,
            env={
                "HOME": str(self.folder),
                "PATH": os.environ.get("PATH", ""),
                "TMPDIR": "/dev/shm",
            },
        )
        # The guest must not outlive the tests, even when these are killed outright: the end of
        # this pipe is the signal, and the guest has a process group of its own.
        self._watch = subprocess.Popen(
            ["bash", "-c", "read; kill -KILL -- -$0", str(self._process.pid)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.boots += 1
        threading.Thread(
            target=_listen, args=(self._process, self._events, self.console), daemon=True
        ).start()
        try:
            self._wait("boot", BOOT_SECONDS)
        except GuestError:
            self.kill()
            raise

    def kill(self) -> None:
        """Cut the power: the kernel ends at once and what it held in memory is lost."""
        process, self._process = self._process, None
        if process is None:
            return
        if self._watch is not None:
            self._watch.kill()
            self._watch.wait(timeout=30)
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait(timeout=30)
        # The traced processes of the guest take a moment longer than their tracer.
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and _group_exists(process.pid):
            time.sleep(0.02)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    pass

    def reboot(self) -> None:
        """Cut the power and start again; the channel's files are what the last write left."""
        self.kill()
        self.boot()

    def host_path(self, inside: str) -> Path:
        """Host path of a file that the guest calls ``/chan/…``."""
        return self.folder / Path(inside).relative_to(CHANNEL)

    def run(self, script: str, timeout: float = JOB_SECONDS) -> Result:
        """Run a bash script to its end, whatever its exit code. Raises GuestError when it hangs."""
        return self.wait(self._send("run", script), timeout)

    def check(self, script: str, timeout: float = JOB_SECONDS) -> str:
        """Run a bash script that must succeed at every step; returns its standard output."""
        result = self.run("set -e -o pipefail\n" + script, timeout)
        if result.code != 0:
            raise GuestError(
                "exit code {} of:\n{}\n--- said:\n{}".format(result.code, script, result.words)
            )
        return result.out

    def start(self, script: str) -> Job:
        """Start a bash script beside what follows; end it with :meth:`wait`."""
        return self._send("start", script)

    def wait(self, job: Job, timeout: float = JOB_SECONDS) -> Result:
        """Wait for a job's end."""
        code = self._wait(job.name, timeout)
        seconds = self._ended[job.name][1] - job.started
        texts = [
            (self.folder / "jobs" / (job.name + suffix)).read_text("utf-8", "replace")
            for suffix in (".out", ".err")
        ]
        return Result(code, texts[0], texts[1], seconds)

    def call(self, function: Callable[..., Any], *args: Any, timeout: float = JOB_SECONDS) -> Any:
        """Run a plain Python function in the guest: values that JSON can carry go in and come out.

        The function must stand alone (imports inside it); it runs under this very interpreter.
        """
        text = "{}\nimport json\nprint('\\n' + json.dumps({}(*json.loads({!r}))))\n".format(
            textwrap.dedent(inspect.getsource(function)), function.__name__, json.dumps(args)
        )
        out = self.check(python_script(text), timeout)
        return json.loads(out.rstrip("\n").rsplit("\n", 1)[-1])

    def relun(self, *words: str, timeout: float = JOB_SECONDS) -> Result:
        """Run relun's command line in the guest."""
        return self.run(relun_command(words), timeout)

    def _fill_channel(self) -> None:
        for name in ("jobs", "luns"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        sources = self.folder / "src"
        if not sources.exists():
            # Installed software is compiled, and stays the same from the first test to the last.
            shutil.copytree(CHECKOUT / "src" / "relun", sources / "relun")
            compileall.compile_dir(sources, quiet=2)

    def _send(self, how: str, script: str) -> Job:
        if not self.alive:
            raise GuestError("the guest does not run" + self._last_words())
        name = "{:05d}".format(next(self._numbers))
        (self.folder / "jobs" / (name + ".sh")).write_text(textwrap.dedent(script))
        assert self._process is not None and self._process.stdin is not None
        started = time.monotonic()
        self._process.stdin.write("{} {}\n".format(how, name))
        self._process.stdin.flush()
        return Job(name, started)

    def _wait(self, name: str, timeout: float) -> int:
        deadline = time.monotonic() + timeout
        while name not in self._ended:
            try:
                event = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                # Nothing more can be asked of an agent that waits for a job without end.
                self.kill()
                raise GuestError(
                    "job {} had not ended after {:.0f} s; guest killed{}{}".format(
                        name, timeout, self._job_words(name), self._last_words()
                    )
                ) from None
            if event is None:
                self.kill()
                raise GuestError("the guest ended during job " + name + self._last_words())
            self._ended[event[0]] = (event[1], time.monotonic())
        return self._ended[name][0]

    def _job_words(self, name: str) -> str:
        texts = []
        for suffix in (".sh", ".out", ".err"):
            path = self.folder / "jobs" / (name + suffix)
            if path.exists():
                texts.append("\n--- {}:\n{}".format(path.name, path.read_text("utf-8", "replace")))
        return "".join(texts)

    def _last_words(self) -> str:
        if not self.console.exists():
            return ""
        text = self.console.read_text("utf-8", "replace")
        return "\n--- end of its console:\n" + "\n".join(text.splitlines()[-15:])


def python_script(text: str, *words: str) -> str:
    """A shell command that runs Python source with the tests' own interpreter in the guest."""
    arguments = " ".join(quote(word) for word in words)
    return "{} -I - {} <<'PYTHON_END'\n{}\nPYTHON_END\n".format(sys.executable, arguments, text)


def relun_command(words: Sequence[str], sources: str = SOURCES, program: str = "-m relun") -> str:
    """The shell command that runs relun, or a program that imports it, from the channel's copy."""
    return "PYTHONPATH={} {} {} {}".format(
        sources, sys.executable, program, " ".join(quote(word) for word in words)
    )


def quote(word: str) -> str:
    """Quote a word for bash."""
    return "'" + word.replace("'", "'\\''") + "'"


def _listen(
    process: "subprocess.Popen[str]",
    events: "queue.Queue[tuple[str, int] | None]",
    console: Path,
) -> None:
    """Turn the console into events: (job, exit code), None at the end."""
    assert process.stdout is not None
    with console.open("a", encoding="utf-8") as log:
        try:
            for line in process.stdout:
                at = line.find(_MARK)
                if at >= 0:
                    _mark, name, code = line[at:].split()[:3]
                    events.put((name, int(code)))
                    continue
                log.write(line)
                log.flush()
        except ValueError:
            pass  # the stream was closed by kill()
    events.put(None)


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
