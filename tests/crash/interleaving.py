"""Two hosts that share only the LUN: every I/O of one may fall between any two of the other."""

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from crash.recording import MemoryDevice, State, copied, devices, differing, same
from relun.core import verbs
from relun.core.device import Device
from relun.core.errors import Interrupted, RelunError

Verb = Callable[[Sequence[Device]], object]
Schedule = Sequence[tuple[int, int]]  # (host, how many I/Os it does before the other's turn)

_FOREVER = 1 << 30


class Turns:
    """Lets two threads do I/O in turns, by a schedule; after it each runs to its end."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = iter([*schedule, (0, _FOREVER)])
        self._host, self._left = next(self._schedule)
        self._gates = (threading.Semaphore(0), threading.Semaphore(0))
        self._over = [False, False]
        self._gates[self._host].release()

    def enter(self, host: int) -> None:
        """Wait for the first turn."""
        self._gates[host].acquire()

    def step(self, host: int) -> None:
        """Take one I/O's turn; give way first when the schedule says so."""
        while self._left == 0:
            self._host, self._left = next(self._schedule)
            if self._over[self._host]:
                self._host, self._left = host, _FOREVER
            if self._host != host:
                self._gates[self._host].release()
                self._gates[host].acquire()
        self._left -= 1

    def leave(self, host: int) -> None:
        """Give way for good."""
        self._over[host] = True
        other = 1 - host
        if not self._over[other]:
            self._host, self._left = other, _FOREVER
            self._gates[other].release()


class Ending(NamedTuple):
    """What both hosts were told, and what is left."""

    said: tuple[str, str]  # done, unchanged, interrupted, or something worse
    luns: State


def together(start: State, verbs_of: tuple[Verb, Verb], schedule: Schedule, size: int) -> Ending:
    """Run two verbs on the same LUNs by a schedule."""
    luns = copied(start)
    turns = Turns(schedule)
    said = ["", ""]

    def host(number: int) -> None:
        turns.enter(number)
        mine = [
            MemoryDevice(lun, size, None, n, lambda _kind: turns.step(number))
            for n, lun in enumerate(luns)
        ]
        try:
            verbs_of[number](mine)
            said[number] = "done"
        except Interrupted:
            said[number] = "interrupted"
        except RelunError:
            said[number] = "unchanged"
        except Exception as error:  # nothing else may come out
            said[number] = repr(error)
        turns.leave(number)

    threads = [threading.Thread(target=host, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Ending((said[0], said[1]), luns)


def schedules(first: int, second: int, stride: int = 1) -> Iterator[Schedule]:
    """Yield: i I/Os of one host, j of the other, the first one's rest, the other's rest."""
    for i, j in itertools.product(range(0, first + 1, stride), range(1, second + 1, stride)):
        yield (0, i), (1, j)
        yield (1, i), (0, j)


def ios(start: State, verb: Verb, size: int) -> int:
    """Return how many I/Os a verb does alone."""
    count = 0

    def step(_kind: str) -> None:
        nonlocal count
        count += 1

    luns = copied(start)
    with contextlib.suppress(RelunError):  # one that is refused counts up to there
        verb([MemoryDevice(lun, size, None, n, step) for n, lun in enumerate(luns)])
    return count


class Judge:
    """``results``: what one run, or two in turn, leave; ``scratch``: bytes only relun reads."""

    def __init__(self, results: dict[str, State], scratch: set[tuple[int, int]], size: int) -> None:
        self.results = results
        self.scratch = scratch
        self.size = size

    def word(self, ending: Ending) -> str:
        """Say what became of it, from best to worst.

        clean: byte for byte one of the results, and who lost was told so; settled: byte for byte
        after a recover; loose: right for every reader, but relun's own space is not; broken.
        """
        done = ending.said.count("done")
        odd = [said for said in ending.said if said not in ("done", "unchanged", "interrupted")]
        if odd:
            return "broken: " + odd[0]
        name = self._name(ending.luns)
        if name and "interrupted" not in ending.said:
            return "clean" if done or name == "start" else "loose: " + name
        after = copied(ending.luns)
        try:
            verbs.recover(devices(after, self.size))
        except RelunError as error:
            return "broken: {}".format(error.code)
        if name := self._name(after):
            return "settled" if "interrupted" in ending.said else "broken: done, in progress"
        for name, wanted in self.results.items():
            if all(place in self.scratch for place in differing(after, wanted)):
                return "loose: " + name
        return "broken: mixed"

    def _name(self, luns: State) -> str:
        return next((name for name, wanted in self.results.items() if same(luns, wanted)), "")
