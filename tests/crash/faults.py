"""The Nth I/O of a run goes wrong: what is raised must be the truth, and all be settled later."""

import errno
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from crash.check import Checker, Run
from crash.recording import SECTOR, Lun, MemoryDevice, State, copied, devices, same
from relun.core import verbs
from relun.core.device import Device
from relun.core.errors import DeviceError, Interrupted, Refused

READ, WRITE, FLUSH = "read", "write", "flush"


class Fault(NamedTuple):
    """What goes wrong, at which kinds of I/O."""

    name: str
    at: tuple[str, ...]
    code: int = errno.EIO
    partly: bool = False  # a read or write does half of it; a write then fails
    lies: bool = False  # the write is reported, but not stored
    loses: bool = False  # with the flush goes all that was written since the one before
    forever: bool = False  # all I/O from then on


FAULTS = (
    Fault("EIO", (READ, WRITE, FLUSH)),
    Fault("ENOSPC", (WRITE, FLUSH), errno.ENOSPC),
    Fault("EROFS", (WRITE, FLUSH), errno.EROFS),
    Fault("short read", (READ,), partly=True),
    Fault("short write", (WRITE,), partly=True),
    Fault("flush loses", (FLUSH,), loses=True),
    Fault("device vanishes", (READ, WRITE, FLUSH), errno.ENODEV, forever=True),
    Fault("lying write", (WRITE,), lies=True),
)


class Plan:
    """Counts the I/Os of one run over all its LUNs and strikes at number ``when``."""

    def __init__(self, fault: Fault, when: int) -> None:
        self.fault = fault
        self.when = when
        self.count = 0
        self.struck = False

    def strikes(self, kind: str) -> bool:
        """Count one I/O; tell whether it goes wrong."""
        if self.struck:
            return self.fault.forever
        if kind in self.fault.at:
            self.count += 1
            self.struck = self.count == self.when
        return self.struck


class FaultyDevice(MemoryDevice):
    """A LUN in memory whose I/O goes wrong as planned."""

    def __init__(self, lun: Lun, block_size: int, number: int, plan: Plan) -> None:
        super().__init__(lun, block_size, None, number, lambda _kind: None)
        self.plan = plan
        self.durable = lun.sectors.copy()

    def _read(self, offset: int, length: int) -> bytes:
        data = super()._read(offset, length)
        if self.plan.strikes(READ):
            if self.plan.fault.partly:
                return data[: length // 2]
            raise OSError(self.plan.fault.code, "read failed")
        return data

    def put(self, offset: int, data: bytes) -> None:
        """Store whole blocks, or fail to."""
        if not self.plan.strikes(WRITE):
            super().put(offset, data)
        elif self.plan.fault.partly:
            super().put(offset, data[: len(data) // 2 // SECTOR * SECTOR])
            raise OSError(errno.EIO, "short write")
        elif not self.plan.fault.lies:
            raise OSError(self.plan.fault.code, "write failed")

    def _flush(self) -> None:
        if self.plan.strikes(FLUSH):
            if self.plan.fault.loses:
                self.lun.sectors.clear()
                self.lun.sectors.update(self.durable)
            raise OSError(self.plan.fault.code, "flush failed")
        self.durable = self.lun.sectors.copy()


class Case(NamedTuple):
    """A verb on LUNs in a given state, and what it leaves when nothing goes wrong."""

    name: str
    verb: Callable[[Sequence[Device]], object]
    start: State
    end: State


def cases(run: Run) -> Iterator[Case]:
    """Yield the verbs that write, each from where it has something to do."""
    yield Case("resign", lambda d: verbs.resign(d, run.options), run.start, run.end)
    yield Case("undo", verbs.undo, run.end, run.start)
    half = halfway(run)
    yield Case("recover", verbs.recover, half, run.end)
    yield Case("undo halfway", verbs.undo, half, run.start)
    begun = halfway(run, hidden=False)
    yield Case("undo begun", verbs.undo, begun, run.start)
    yield Case("resign begun", lambda d: verbs.resign(d, run.options), begun, run.end)


def halfway(run: Run, hidden: bool = True) -> State:
    """Return the LUNs when half of the edits were written; or just before the marker."""
    luns = copied(run.start)
    sector = run.label_sector
    left = -1
    for number, event in enumerate(run.log):
        if event.data is None:
            continue
        first, last = event.offset // SECTOR, (event.offset + len(event.data)) // SECTOR
        marks = event.device == run.switch and first <= sector < last
        before = luns[run.switch].read(sector * SECTOR, SECTOR)
        after = event.data[(sector - first) * SECTOR :][:SECTOR] if marks else before
        if after != before:
            if not hidden:
                return luns
            left = (len(run.log) - number) // 2
        luns[event.device].write(event.offset, event.data)
        left -= 1
        if left == 0:
            break
    return luns


class Tally(NamedTuple):
    """What a series of faults came to."""

    tried: int
    by_outcome: dict[str, int]
    failures: list[str]


def strike(case: Case, fault: Fault, checker: Checker) -> Tally:
    """Let the Nth I/O go wrong, N = 1, 2, … until the verb meets no fault any more."""
    outcomes: dict[str, int] = {}
    failures = checker.counts.failures
    before = len(failures)
    for when in itertools.count(1):
        plan = Plan(fault, when)
        luns = copied(case.start)
        size = checker.run.block_size
        faulty = [FaultyDevice(lun, size, n, plan) for n, lun in enumerate(luns)]
        checker.where = "{}, {} {}".format(case.name, fault.name, when)
        outcome = _outcome(case, faulty)
        if not plan.struck:
            if not same(luns, case.end):
                checker.fail("no fault, and yet another end")
            break
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        _judge(case, outcome, luns, checker)
    return Tally(when - 1, outcomes, failures[before:])


def _outcome(case: Case, faulty: Sequence[FaultyDevice]) -> str:
    try:
        case.verb(faulty)
    except (DeviceError, Refused):
        return "unchanged"
    except Interrupted:
        return "interrupted"
    except Exception as error:  # nothing else may come out
        return repr(error)
    return "done"


def _judge(case: Case, outcome: str, luns: State, checker: Checker) -> None:
    phase, began = checker.phase(luns), checker.phase(case.start)
    if outcome == "done":
        if not same(luns, case.end):
            checker.fail("said done, and it is not: {}".format(phase))
    elif outcome == "unchanged":
        if phase != began or (phase == "hidden" and not same(luns, case.start)):
            checker.fail("said unchanged, and it is {}".format(phase))
    elif outcome != "interrupted":
        checker.fail("raised {}".format(outcome))
    checker.check(luns)


def seal_faults(run: Run, fault: Fault, sealed: State) -> tuple[int, list[str]]:
    """The same for seal: what is left is complete after a second one."""
    failures: list[str] = []
    for when in itertools.count(1):
        plan = Plan(fault, when)
        luns = copied(run.end)
        faulty = [FaultyDevice(lun, run.block_size, n, plan) for n, lun in enumerate(luns)]
        outcome = _outcome(Case("seal", verbs.seal, run.end, sealed), faulty)
        if not plan.struck:
            return when - 1, failures
        if outcome not in ("unchanged", "done"):
            failures.append("seal, {} {}: {}".format(fault.name, when, outcome))
        if outcome == "done" and not same(luns, sealed):
            failures.append("seal, {} {}: said done".format(fault.name, when))
        verbs.seal(devices(luns, run.block_size))
        if not same(luns, sealed):
            failures.append("seal, {} {}: the second left something".format(fault.name, when))
    raise AssertionError("unreachable")
