"""Block devices: nothing is changed without a yes."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from cli.conftest import Relun, digest
from support import lvm
from support.tools import needs

pytestmark = needs("losetup", root=True)


@pytest.fixture
def device(lun: str) -> Iterator[str]:
    """The LUN on a loop device."""
    path = lvm.attach(lun)
    yield path
    lvm.detach(path)


def on_terminal(words: list[str], answer: str) -> tuple[int, str]:
    """Run relun on a terminal of its own; type ``answer`` when it asks."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "relun", *words], preexec_fn=lambda: os.login_tty(theirs)
    ) as process:
        os.close(theirs)
        shown, answered = "", False
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if select.select([ours], [], [], 1)[0]:
                try:
                    data = os.read(ours, 4096)
                except OSError:  # the other side has closed it
                    break
                shown += data.decode("utf-8", "replace")
            if "[y/N]" in shown and not answered:
                answered = True
                os.write(ours, answer.encode())
        else:
            process.kill()
    os.close(ours)
    return process.returncode, shown.replace("\r\n", "\n")


def test_yes(device: str, lun: str) -> None:
    """What is asked shows what is at stake: SR, VDIs with sizes, serial."""
    before = digest(lun)
    code, shown = on_terminal(["resign", device], "y\n")
    assert code == 0, shown
    question = shown.partition("[y/N]")[0]
    assert f"LUN    {device}" in question
    assert '"Büro"' in question
    assert "512-byte blocks, serial" in question
    assert "├─ before" in question and "2 MiB" in question
    assert "Give this SR a new identity?" in question
    assert "resigned" in shown
    assert digest(lun) != before


@pytest.mark.parametrize("answer", ["n\n", "\n", "resign\n", "\x04", "\x03"])
@pytest.mark.parametrize("verb", ["resign"])
def test_no(device: str, lun: str, verb: str, answer: str) -> None:
    """Anything but yes is no, the end of input and Ctrl-C too."""
    before = digest(lun)
    code, shown = on_terminal([verb, device], answer)
    assert code == 1
    assert "not confirmed" in shown and "Nothing was changed." in shown
    assert digest(lun) == before


@pytest.mark.parametrize("verb", ["undo", "seal"])
def test_other_verbs_ask_too(device: str, relun: Relun, verb: str, lun: str) -> None:
    """What takes back a resign, or makes it final."""
    assert relun("resign", device, "--yes").code == 0
    before = digest(lun)
    code, shown = on_terminal([verb, device], "n\n")
    assert code == 1 and "[y/N]" in shown
    assert digest(lun) == before
    code, _shown = on_terminal([verb, device], "yes\n")
    assert code == 0
    assert digest(lun) != before


def test_nobody_to_ask(device: str, relun: Relun, lun: str) -> None:
    """Without a terminal there is no question, but a hint."""
    before = digest(lun)
    run = relun("resign", device)
    assert run.code == 1
    assert "confirmation" in run.err and "--yes" in run.err
    assert digest(lun) == before
    assert relun("resign", device, "--yes").code == 0
    assert digest(lun) != before


def test_files_are_not_asked_for(lun: str) -> None:
    """An image file is a copy by itself."""
    code, shown = on_terminal(["resign", lun], "")
    assert code == 0
    assert "[y/N]" not in shown


def test_mounted_or_held_is_refused(device: str, lun: str) -> None:
    """A device that another process holds exclusively is not even asked about."""
    before = digest(lun)
    held = os.open(device, os.O_RDONLY | os.O_EXCL)
    try:
        code, shown = on_terminal(["resign", device], "y\n")
    finally:
        os.close(held)
    assert code == 1
    assert "device-busy" in shown and "[y/N]" not in shown
    assert digest(lun) == before
