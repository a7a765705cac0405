"""What must hold in every crash state, byte for byte, and in every crash of what settles it."""

import contextlib
import functools
import types
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from crash.recording import (
    SECTOR,
    Event,
    MemoryDevice,
    State,
    copied,
    devices,
    differing,
    same,
)
from relun.core import physical, transaction, verbs
from relun.core.errors import RelunError
from relun.core.journal.marker import GAP_END, POINTER_AT, STASH_AT, Region, parse_marker
from relun.core.options import Options
from relun.core.repository import DONE, IN_PROGRESS, ORIGINAL

Verb = Callable[[Sequence[MemoryDevice]], object]
Key = frozenset[tuple[int, int, bytes]]

_GAP_END = GAP_END // SECTOR
_ORIGINAL, _HIDDEN, _DONE = "original", "hidden", "done"


class Run(NamedTuple):
    """An uninterrupted resign: what it began and ended with, and what it is allowed to touch."""

    start: State
    end: State
    log: list[Event]
    switch: int
    label_sector: int
    region: Region
    start_state: str  # what inspect says of the start
    options: Options
    block_size: int


class Counts:
    """How many states were tried, by kind, and what failed."""

    def __init__(self) -> None:
        self.states = 0  # distinct contents of the LUNs
        self.second = 0  # of them, crashes of a recover or undo that settled a crash
        self.deeper = 0  # how many crashes of the resign or undo that was done in
        self.duplicates = 0  # met again and not tried again
        self.runs = 0  # verbs that were run
        self.by_phase: dict[str, int] = {}
        self.failures: list[str] = []


@contextlib.contextmanager
def repeatable() -> Iterator[None]:
    """Make equal runs write equal bytes (the marker's token), and parse an equal journal once."""
    token, unpack = vars(transaction)["os"], vars(physical)["unpack_change"]
    same_token = types.SimpleNamespace(urandom=lambda size: b"T" * size)
    vars(transaction)["os"] = same_token
    vars(physical)["unpack_change"] = functools.lru_cache(64)(unpack)
    try:
        yield
    finally:
        vars(transaction)["os"] = token
        vars(physical)["unpack_change"] = unpack


def resigned(start: State, options: Options, block_size: int = SECTOR) -> Run:
    """Make the uninterrupted run."""
    began = verbs.inspect(devices(start, block_size)).state
    end, log = copied(start), list[Event]()
    plan = verbs.resign(devices(end, block_size, log), options).plan
    assert plan is not None
    switch = plan.change.switch
    sector = plan.change.labels[switch].offset // SECTOR
    return Run(start, end, log, switch, sector, plan.space.region, began, options, block_size)


def key(luns: State) -> Key:
    """Return what tells states apart: the bytes themselves."""
    return frozenset(
        (number, sector, data)
        for number, lun in enumerate(luns)
        for sector, data in lun.sectors.items()
    )


class Checker:
    """Tries states of one run, each once, whichever crash leads to it."""

    def __init__(self, run: Run, counts: Counts, resign_each: int = 25) -> None:
        self.run = run
        self.counts = counts
        self.resign_each = resign_each  # of the states before the marker one in so many
        self.seen: set[Key] = set()
        self.where = ""
        self.old_label = self._label(run.start)
        self.new_label = self._label(run.end)
        region = range(
            run.region.offset // SECTOR, -(-(run.region.offset + run.region.size) // SECTOR)
        )
        # What may be written before the marker: a pointer on each LUN; stash and journal on one.
        self.scratch = {(number, POINTER_AT // SECTOR) for number in range(len(run.start))}
        self.scratch |= {(run.switch, sector) for sector in range(STASH_AT // SECTOR, _GAP_END)}
        self.scratch |= {(run.switch, sector) for sector in region}

    def new(self, luns: State) -> bool:
        """Tell whether this state was not tried before; count it."""
        found = key(luns)
        if found in self.seen:
            self.counts.duplicates += 1
            return False
        self.seen.add(found)
        self.counts.states += 1
        return True

    def check(self, luns: State) -> list[list[Event]]:
        """Assert what must hold in this state; return the logs of the recover and the undo."""
        before = len(self.counts.failures)
        phase = self.phase(luns)
        self.counts.by_phase[phase] = self.counts.by_phase.get(phase, 0) + 1
        logs = getattr(self, "_check_" + phase)(luns)
        if len(self.counts.failures) > before:
            return []
        return list(logs)

    def phase(self, luns: State) -> str:
        """Tell by the label that decides: original, hidden or done."""
        label = self._label(luns)
        if label == self.old_label:
            return _ORIGINAL
        if label == self.new_label:
            return _DONE
        if parse_marker(label) is None:
            self.fail("a label sector that nobody wrote")
        return _HIDDEN

    def _check_original(self, luns: State) -> Iterator[list[Event]]:
        for place in differing(luns, self.run.start):
            if place not in self.scratch:
                self.fail("LUN {} sector {} is not the clone's".format(*place))
        untouched = same(luns, self.run.start)
        self._expect_state(luns, (self.run.start_state,) if untouched else (ORIGINAL, "begun"))
        self._settle(luns, verbs.recover, luns)
        if not untouched:  # undo of an untouched clone of a clone is about the resign before
            yield self._settle(luns, verbs.undo, self.run.start)
        if untouched or self.counts.states % self.resign_each == 0:
            self._settle(luns, lambda d: verbs.resign(d, self.run.options), self.run.end)

    def _check_hidden(self, luns: State) -> Iterator[list[Event]]:
        self._expect_state(luns, (IN_PROGRESS,))
        label = parse_marker(self._label(luns))
        back = label is not None and label.direction != 1
        yield self._settle(luns, verbs.recover, self.run.start if back else self.run.end)
        yield self._settle(luns, verbs.undo, self.run.start)

    def _check_done(self, luns: State) -> Iterator[list[Event]]:
        if not same(luns, self.run.end):
            self.fail("differs from the end: {}".format(differing(luns, self.run.end)[:4]))
        self._expect_state(luns, (DONE,))
        self._settle(luns, verbs.recover, self.run.end)
        yield self._settle(luns, verbs.undo, self.run.start)

    def _expect_state(self, luns: State, wanted: Sequence[str]) -> None:
        try:
            said = verbs.inspect(devices(luns, self.run.block_size)).state
        except RelunError as error:
            said = str(error)
        if said not in wanted:
            self.fail("inspect says {}, not {}".format(said, wanted))

    def _settle(self, luns: State, verb: Verb, wanted: State) -> list[Event]:
        """Run a verb on a copy; it must end with ``wanted``. Return what it wrote."""
        after, log = copied(luns), list[Event]()
        self.counts.runs += 1
        name = getattr(verb, "__name__", "verb")
        try:
            verb(devices(after, self.run.block_size, log))
        except Exception as error:  # whatever escapes is a failure of the state
            self.fail("{} raised {!r}".format(name, error))
            return []
        if not same(after, wanted):
            self.fail("{} left {} wrong".format(name, differing(after, wanted)[:6]))
        return log

    def _label(self, luns: State) -> bytes:
        return luns[self.run.switch].read(self.run.label_sector * SECTOR, SECTOR)

    def fail(self, what: str) -> None:
        """Note a failure."""
        self.counts.failures.append("{}: {}".format(self.where, what))
