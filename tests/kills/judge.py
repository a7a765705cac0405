"""What must hold after a kill or a signal: everything can be settled, and was truly told."""

import signal
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

from kills.luns import PAGE, Luns, Pages, differing
from kills.process import NEW_SR, Ended, command, whole
from relun.core import verbs
from relun.core.device import open_device
from relun.core.errors import RelunError
from relun.core.journal.marker import GAP_END, POINTER_AT, RESIGN, parse_marker, parse_pointer
from relun.core.options import Options

_SECTOR = 512
_LABEL_AT = 512
_BY_COMMAND = 8  # one in so many is settled by the command, the others by the same code in here


class Case(NamedTuple):
    """A verb, from where it begins to where it ends when nothing comes in between."""

    name: str
    verb: str
    start: Pages
    end: Pages


class Judge:
    """Judges what is left on the LUNs of one SR: ``clone`` and ``resigned`` are its whole life."""

    def __init__(self, luns: Luns, clone: Pages, resigned: Pages) -> None:
        self.luns = luns
        self.clone = clone
        self.resigned = resigned
        self.where = ""
        self.failures: list[str] = []
        self.phases: dict[str, int] = {}
        self._settled = 0
        self._own = _own_space(luns, resigned)

    def fail(self, what: str) -> None:
        """Note a failure."""
        self.failures.append(f"{self.where}: {what}")

    def killed(self, case: Case) -> None:
        """After a SIGKILL: settle what is left, both ways."""
        left = self.luns.pages()
        phase = self.phase(left)
        self.phases[phase] = self.phases.get(phase, 0) + 1
        if phase == "done" and left != self.resigned:
            self.fail(f"committed, and yet not whole: {differing(left, self.resigned)[:4]}")
        if phase in ("untouched", "begun"):
            foreign = set(differing(left, self.clone)) - self._own
            if foreign:
                self.fail(f"not hidden, and sectors changed: {sorted(foreign)[:4]}")
        if phase == "hidden" and case.verb == "undo" and self.phase(case.start) == "done":
            self.fail("an undo of a whole resign goes forward")
        after = {"hidden": self.resigned, "undoing": self.clone}.get(phase, left)
        self._settle("recover", left, after)
        self._settle("undo", left, self.clone)
        if phase == "begun":
            self._settle("resign", left, self.resigned)

    def told(self, case: Case, ended: Ended, sent: signal.Signals, changing: bool) -> None:
        """After SIGINT or SIGTERM: finished, or as if nothing had been, and the truth was said.

        ``changing``: it is known to have come between the first and the last I/O on the LUNs.
        """
        left = self.luns.pages()
        if ended.code == 0:
            if left != case.end:
                self.fail(f"exit code 0, and not finished: {differing(left, case.end)[:4]}")
            if changing and f"{sent.name} came while the LUN was being changed" not in ended.said:
                self.fail(f"says nothing of the signal: {ended.said[-300:]}")
        elif ended.code == -sent or _python_itself(ended):
            if left != case.start:  # the program had not begun yet, or only looked at the LUNs
                self.fail(f"ended by {sent.name}, and something was changed")
        elif ended.code == 1:
            if left not in (case.start, self.clone) or self.phase(left) not in (
                "untouched",
                self.phase(case.start),
            ):
                self.fail("exit code 1, and something was changed")
            if "othing was changed" not in ended.said:
                self.fail(f"does not say that nothing was changed: {ended.said[-300:]}")
        else:
            self.fail(f"exit code {ended.code} after {sent.name}: {ended.said[-300:]}")

    def phase(self, pages: Pages) -> str:
        """Tell by the bytes: untouched, begun, hidden, undoing or done."""
        if pages == self.clone:
            return "untouched"
        directions = set()
        for number in range(len(self.luns.files)):
            marker = parse_marker(sector(pages, number, _LABEL_AT))
            if marker is not None:
                directions.add(marker.direction == RESIGN)
        if directions:
            return "hidden" if all(directions) else "undoing"
        same = all(
            sector(pages, number, _LABEL_AT) == sector(self.clone, number, _LABEL_AT)
            for number in range(len(self.luns.files))
        )
        return "begun" if same else "done"

    def _settle(self, verb: str, left: Pages, wanted: Pages) -> None:
        self.luns.put(left)
        self._settled += 1
        if self._settled % _BY_COMMAND == 0:
            ended = whole(command(verb, self.luns.paths))
            if ended.code:
                self.fail(f"{verb} ended with {ended.code}: {ended.said[-300:]}")
        else:
            try:
                _run(verb, self.luns.paths)
            except RelunError as error:
                self.fail(f"{verb} raised {error!r}")
        now = self.luns.pages()
        if now != wanted:
            self.fail(f"{verb} left {differing(now, wanted)[:4]} wrong")


def sector(pages: Pages, lun: int, offset: int) -> bytes:
    """Return the 512 bytes at an offset of a LUN."""
    page = pages.get((lun, offset // PAGE), bytes(PAGE))
    return page[offset % PAGE : offset % PAGE + _SECTOR]


def _python_itself(ended: Ended) -> bool:
    """Python was still starting, and ends so when SIGINT meets it there."""
    starting = "init_import_site" in ended.said or "Fatal Python error: init" in ended.said
    return starting and ended.said.rstrip().endswith("KeyboardInterrupt")


def _own_space(luns: Luns, resigned: Pages) -> set[tuple[int, int]]:
    """Return (LUN, sector) of what relun may write before it hides the LUN."""
    own = set()
    for number in range(len(luns.files)):
        own |= {(number, at) for at in range(POINTER_AT // _SECTOR, GAP_END // _SECTOR)}
        pointer = parse_pointer(sector(resigned, number, POINTER_AT))
        assert pointer is not None
        if pointer.region.here:
            first = pointer.region.offset // _SECTOR
            end = -(-(pointer.region.offset + pointer.region.size) // _SECTOR)
            own |= {(number, at) for at in range(first, end)}
    return own


def _run(verb: str, paths: Sequence[str]) -> None:
    with ExitStack() as stack:
        devices = [stack.enter_context(open_device(path, writable=True)) for path in paths]
        if verb == "resign":
            verbs.resign(devices, Options(sr_uuid=NEW_SR))
        else:
            getattr(verbs, verb)(devices)
