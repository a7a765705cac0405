"""What must hold in every crash of a seal: a sound SR, which a second seal completes."""

from typing import NamedTuple

from crash.check import Checker, Counts, Run
from crash.recording import SECTOR, Event, State, copied, devices, same
from relun.core import verbs
from relun.core.errors import Refused, RelunError
from relun.core.repository import DONE, LVM_SR, ORIGINAL


class SealRun(NamedTuple):
    """An uninterrupted seal of a resigned SR; ``original`` is the clone before the resign."""

    start: State
    end: State
    log: list[Event]
    original: State
    texts: frozenset[tuple[int, bytes]]  # the committed LVM text of each area, and its place
    resign: Run


def sealed(resign: Run) -> SealRun:
    """Make the uninterrupted run."""
    end, log = copied(resign.end), list[Event]()
    verbs.seal(devices(end, resign.block_size, log))
    return SealRun(resign.end, end, log, resign.start, _texts(resign, resign.end), resign)


def _texts(resign: Run, luns: State) -> frozenset[tuple[int, bytes]]:
    repository = verbs.inspect(devices(luns, resign.block_size))
    return frozenset(
        (area.header.start, area.text) for lun in repository.luns for area in lun.areas
    )


class SealChecker(Checker):
    """Tries crash states of a seal."""

    def __init__(self, run: SealRun, counts: Counts) -> None:
        super().__init__(run.resign, counts)
        self.sealing = run
        before = verbs.inspect(devices(run.start, run.resign.block_size))
        self.sr_uuid = before.sr_uuid
        self.findings = before.findings

    def check(self, luns: State) -> list[list[Event]]:
        """Assert what must hold; return the log of the second seal."""
        before = len(self.counts.failures)
        self.counts.by_phase["sealing"] = self.counts.by_phase.get("sealing", 0) + 1
        self._check_sound(luns)
        self._settle(luns, verbs.recover, luns)
        log = self._settle(luns, verbs.seal, self.sealing.end)
        self._check_undo(luns)
        return [] if len(self.counts.failures) > before else [log]

    def _check_sound(self, luns: State) -> None:
        size = self.run.block_size
        try:
            found = verbs.inspect(devices(luns, size))
        except RelunError as error:
            self.fail("inspect raised {!r}".format(error))
            return
        if (found.kind, found.sr_uuid) != (LVM_SR, self.sr_uuid):
            self.fail("no sound SR: {} {}".format(found.kind, found.sr_uuid))
        if found.state not in (DONE, ORIGINAL) or found.findings != self.findings:
            self.fail("{} {}".format(found.state, found.findings))
        if _texts(self.run, luns) != self.sealing.texts:
            self.fail("LVM text changed")
        if luns[self.run.switch].read(self.run.label_sector * SECTOR, SECTOR) != self.new_label:
            self.fail("label changed")

    def _check_undo(self, luns: State) -> None:
        """Undo goes back to the very start, or says that it cannot and writes nothing."""
        after, log = copied(luns), list[Event]()
        self.counts.runs += 1
        try:
            done = verbs.undo(devices(after, self.run.block_size, log)).action
        except Refused:
            if log:
                self.fail("a refused undo wrote")
            return
        except RelunError as error:
            self.fail("undo raised {!r}".format(error))
            return
        wanted = luns if done == "nothing" else self.sealing.original
        if not same(after, wanted):
            self.fail("undo said {} and left something else".format(done))
