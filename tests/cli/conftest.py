"""Runs the command line in this process, on small images made for the purpose."""

from __future__ import annotations

import errno
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from relun.cli.main import execute
from relun.core.device import FileDevice
from support.builder import MIB, Built, Cbt, Journal, Pv, Raw, Record, Sr, Vhd, build

NEW_SR = "11111111-2222-4333-8444-555555555555"


class Run(NamedTuple):
    """One command line's end."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The JSON objects on standard output."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def object(self) -> dict[str, Any]:
        """The only one."""
        (found,) = self.objects
        return found


Relun = Callable[..., Run]


@pytest.fixture
def relun(capsys: pytest.CaptureFixture[str]) -> Relun:
    """Run a command line; return its exit code and output."""

    def run(*arguments: object) -> Run:
        capsys.readouterr()
        try:
            code = execute([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse
            code = end.code if isinstance(end.code, int) else 1
        shown = capsys.readouterr()
        return Run(code, shown.out, shown.err)

    return run


@pytest.fixture
def lun(tmp_path: Path) -> str:
    """One disk with a snapshot, a raw disk, and what there is beside images."""
    disks = (
        Vhd("base", hidden=True, record=Record("base", name="base copy")),
        Vhd("disk", parent="base", record=Record("disk", name="système")),
        Vhd(
            "snap",
            parent="base",
            record=Record("snap", name="before", snapshot_of="disk", is_a_snapshot=1),
        ),
        Raw("data", record=Record("data", name="data & more")),
        Cbt("disk"),
        Journal("inflate", "disk", "4194304"),
    )
    return build(Sr(disks, name="Büro"), tmp_path / "lun.img").path


@pytest.fixture
def two_pvs(tmp_path: Path) -> Built:
    """An SR over two LUNs."""
    disks = (Vhd("one", size=8 * MIB, segments=2), Vhd("two", pv=1))
    return build(Sr(disks, pvs=(Pv(), Pv())), tmp_path / "two.img")


@pytest.fixture
def bad(tmp_path: Path) -> str:
    """A LUN that is refused: both footers of its VHD are dead."""
    return build(Sr((Vhd("disk", footers="dead-both"),), seed="bad"), tmp_path / "bad.img").path


@pytest.fixture
def break_off(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let all writes to files fail after so many of them; a negative number mends it."""
    writes = FileDevice._write
    left = [-1]

    def write(device: FileDevice, offset: int, data: bytes) -> None:
        if left[0] == 0:
            raise OSError(errno.EIO, "Input/output error")
        left[0] -= 1
        writes(device, offset, data)

    monkeypatch.setattr(FileDevice, "_write", write)

    def set_left(count: int) -> None:
        left[0] = count

    return set_left


def digest(*paths: object) -> list[str]:
    """Return the SHA-256 of files."""
    return [hashlib.sha256(Path(str(path)).read_bytes()).hexdigest() for path in paths]


def terminal(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let standard streams claim to be a terminal."""
    for name in names:
        monkeypatch.setattr(getattr(sys, name), "isatty", lambda: True, raising=False)
