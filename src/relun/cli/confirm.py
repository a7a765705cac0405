"""Guards against the wrong device: the caller's own words, and a question before it is changed."""

import sys

from relun.cli.session import opened
from relun.core import target
from relun.core.device import FileDevice
from relun.core.errors import Refused
from relun.core.repository import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from relun.cli.report import Report

QUESTIONS = {
    "resign": "Give this SR a new identity?",
    "undo": "Give back the LUN as it was before the resign?",
    "seal": "Remove all that is left of the old identity, undo included?",
}


def ask(report: "Report") -> None:
    """Ask before anything but files is changed. Raise Refused (confirmation) unless answered yes.

    Without a terminal nobody can answer, and nothing is asked.
    """
    if all(isinstance(device, FileDevice) for device in report.devices):
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Refused("confirmation", device=report.name)
    from relun.cli.text import confirmation

    for line in confirmation(report, load(report.devices)):
        print("".join(text for text, _style in line), file=sys.stderr)
    print(f"{QUESTIONS[report.verb]} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused("confirmation", device=report.name)


def expect(report: "Report", serial: "str | None", originals: "Sequence[str]") -> None:
    """Hold what the caller knows of the clone against what is there; ``core.target`` refuses.

    Raise DeviceError when an original cannot be read.
    """
    if serial:
        for device in report.devices:
            target.expect_serial(device, serial)
    if originals:
        with opened(originals) as devices:
            target.expect_original(load(report.devices), load(devices))
