"""Real servers on the loopback interface, each ended by its context: tgt, nbdkit, qemu-nbd."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

IQN = "iqn.2024-01.lab:"
HOST, SECOND_HOST = "127.0.0.1", "127.0.0.2"  # the second one for redirections
_SECONDS = 10.0


def need(program: str) -> None:
    """Skip the test where a program is missing."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed (make setup)")


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.create_server((HOST, 0)) as listening:
        return int(listening.getsockname()[1])


def await_true(true: Callable[[], bool], what: str) -> None:
    """Wait for a condition. Raises AssertionError."""
    deadline = time.monotonic() + _SECONDS
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def answers(port: int) -> bool:
    """Tell whether somebody listens at a port."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(path) == 0


class Server:
    """A program that serves until its context ends."""

    def __init__(self, *command: str, ready: Callable[[], bool]) -> None:
        self._command = command
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            await_true(self._ready, f"{self._command[0]} does not answer")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill it, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: Any) -> None:
        self.stop()


class Tgt(Server):
    """tgtd with a control port and a portal of its own."""

    def __init__(self) -> None:
        need("tgtd")
        if os.geteuid() != 0:
            pytest.skip("tgtd needs root")
        os.makedirs("/var/run/tgtd", exist_ok=True)
        self.port = free_port()
        self._control = str(self.port % 32000)  # tgtd takes 15 bits
        self._count = 0
        self._users: set[str] = set()  # they outlive their targets; each has one password
        portal = f"portal={HOST}:{self.port},portal={SECOND_HOST}:{self.port}"
        super().__init__("tgtd", "-f", "-C", self._control, "--iscsi", portal, ready=self._is_ready)

    def stop(self) -> None:
        """Kill it and remove what it leaves."""
        super().stop()
        self._users.clear()
        for suffix in ("", ".lock"):
            Path(f"/var/run/tgtd/socket.{self._control}{suffix}").unlink(missing_ok=True)

    def restart(self) -> None:
        """Start anew at the same portal, without any target."""
        self.stop()
        self.start()

    def target(self, name: str, **chap: str) -> int:
        """Make a target. ``user``, ``password`` and for mutual CHAP ``target_…`` guard it."""
        self._count += 1
        number = self._count
        self.admin("target", "new", number, "--targetname", IQN + name)
        self.admin("target", "bind", number, "--initiator-address", "ALL")
        for prefix, outgoing in (("", ()), ("target_", ("--outgoing",))):
            if prefix + "user" in chap:
                user, password = chap[prefix + "user"], chap[prefix + "password"]
                if user not in self._users:
                    self._account("new", "--user", user, "--password", password)
                    self._users.add(user)
                self.admin("account", "bind", number, "--user", user, *outgoing)
        return number

    def lun(
        self, target: int, file: str | Path, unit: int = 1, block_size: int = 512, **params: str
    ) -> None:
        """Offer a file."""
        where = ("--lun", str(unit))
        size = ("--blocksize", str(block_size))
        self.admin("logicalunit", "new", target, *where, "--backing-store", str(file), *size)
        given = {"scsi_id": f"600a0b80{target:08x}{unit:016x}", "scsi_sn": f"LAB{target:05d}"}
        shown = ",".join(f"{key}={value}" for key, value in {**given, **params}.items())
        self.admin("logicalunit", "update", target, *where, "--params", shown)

    def remove_lun(self, target: int, unit: int = 1) -> None:
        """Take a unit away."""
        self.admin("logicalunit", "delete", target, "--lun", str(unit))

    def remove(self, target: int) -> None:
        """Take a target away, sessions and all."""
        self.admin("target", "delete", target, "--force")

    def address(self, name: str, unit: int = 1, port: int = 0) -> str:
        """Return a LUN's address."""
        return f"iscsi://{HOST}:{port or self.port}/{IQN}{name}/{unit}"

    def admin(self, mode: str, action: str, target: int, *more: str) -> None:
        """Run tgtadm for one target."""
        self._tgtadm("--mode", mode, "--op", action, "--tid", str(target), *more)

    def _account(self, action: str, *more: str) -> None:
        self._tgtadm("--mode", "account", "--op", action, *more)

    def _tgtadm(self, *words: str) -> None:
        command = ("tgtadm", "-C", self._control, "--lld", "iscsi", *words)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        assert done.returncode == 0, (words, done.stderr)

    def _is_ready(self) -> bool:
        command = ("tgtadm", "-C", self._control, "--mode", "system", "--op", "show")
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return done.returncode == 0 and answers(self.port)


class NbdServer(Server):
    """A server of one export."""

    address: str


class Nbdkit(NbdServer):
    """nbdkit over TCP with a plugin and its options."""

    def __init__(self, *options: str) -> None:
        need("nbdkit")
        self.port = free_port()
        self.address = f"nbd://{HOST}:{self.port}"
        where = ("-f", "-p", str(self.port), "-i", HOST)
        super().__init__("nbdkit", *where, *options, ready=lambda: answers(self.port))


class QemuNbd(NbdServer):
    """qemu-nbd at a Unix socket, with an export called ``lun``."""

    def __init__(self, file: str | Path, *options: str) -> None:
        need("qemu-nbd")
        self._folder = tempfile.TemporaryDirectory()  # the path of a socket must be short
        path = self._folder.name + "/socket"
        self.address = f"nbd+unix:///lun?socket={path}"
        super().__init__(
            "qemu-nbd", "-f", "raw", "-t", "-k", path, "-x", "lun", *options, str(file),
            ready=lambda: _listens(path),
        )  # fmt: skip

    def __exit__(self, *exc: Any) -> None:
        super().__exit__(*exc)
        self._folder.cleanup()
