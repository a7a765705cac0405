"""What a test wants to go wrong with a client's call, and a record of all calls made."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from xapi.failure import ApiError

ANY = "*"
# What can happen to a call: xapi's error; the connection ends without an answer; no answer at all.
ERROR, DROP, HANG = "error", "drop", "hang"
_FAULT = ("INTERNAL_ERROR", "a fault that the test wanted")


class Call(NamedTuple):
    """A client's call, its session not among the arguments. ``session``: its reference."""

    name: str
    arguments: tuple[Any, ...]
    session: str


class Dropped(Exception):  # noqa: N818 - not an error of xapi's
    """The connection ends without an answer."""


class Fault:
    """One wish. ``hits``: how often it came true."""

    def __init__(
        self, name: str, at: int, times: int, kind: str, after: bool, code: tuple[str, ...]
    ) -> None:
        self.name = name
        self.kind = kind
        self.after = after
        self.code = code
        self.hits = 0
        self.reached = threading.Event()  # for a test that waits until a call hangs
        self.released = threading.Event()
        self._left = at
        self._times = times

    def counts(self, name: str) -> bool:
        """Count a call; tell whether it is one that the fault is for."""
        if self.name not in (ANY, name):
            return False
        self._left -= 1
        return self._left <= 0 and (self._times == 0 or self.hits < self._times)

    def strike(self) -> None:
        """Make it happen. Raise ApiError or Dropped."""
        self.reached.set()
        if self.kind == ERROR:
            raise ApiError(*self.code)
        if self.kind == HANG:
            self.released.wait()
        raise Dropped


class Faults:
    """All wishes of a test, and all calls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._lock = threading.Lock()
        self._wanted: list[Fault] = []
        self._watchers: list[Callable[[Call], object]] = []

    def fail(
        self,
        name: str,
        at: int = 1,
        code: tuple[str, ...] = _FAULT,
        after: bool = False,
        times: int = 1,
        kind: str = ERROR,
    ) -> Fault:
        """Make a call fail: the ``at``-th of this name from now on (``*``: of any name).

        ``after``: when its work is done. ``times``: how many in a row, 0 for all of them.
        """
        fault = Fault(name, at, times, kind, after, code)
        with self._lock:
            self._wanted.append(fault)
        return fault

    def watch(self, watcher: Callable[[Call], object]) -> None:
        """Have a function called at each call of a client, before the call does its work."""
        self._watchers.append(watcher)

    def clear(self) -> None:
        """Want nothing any more: calls that hang lose their connection."""
        with self._lock:
            for fault in self._wanted:
                fault.released.set()
            self._wanted.clear()
            self._watchers.clear()

    def named(self, name: str) -> list[Call]:
        """Return the calls of one name."""
        return [call for call in self.calls if call.name == name]

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """Note a call, and let go wrong what shall go wrong with it."""
        with self._lock:
            self.calls.append(call)
            struck = [fault for fault in self._wanted if fault.counts(call.name)]
            for fault in struck:
                fault.hits += 1
        for watcher in self._watchers:
            watcher(call)
        for fault in struck:
            if not fault.after:
                fault.strike()
        yield
        for fault in struck:
            fault.strike()
