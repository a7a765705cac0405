"""Work in steps that are taken back, last one first, when a later one fails."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from relun.pool import events
from relun.pool.errors import PoolRefused
from relun.pool.events import Event, Listener

Cancelled = Callable[[], bool]


def never() -> bool:
    """Nothing is ever cancelled."""
    return False


class _Done(NamedTuple):
    step: str
    subject: str
    standing: str  # what is left in the pool or on the LUN while the step is not taken back
    back: Callable[[], object]


class Undo(NamedTuple):
    """How something is taken back, if it is there. ``standing``: what is left while it is not."""

    step: str
    standing: str
    back: Callable[[], object]


class Steps:
    """The steps done so far by one piece of work.

    ``cancelled`` is asked before each step: the one that runs ends, and no other begins.
    """

    def __init__(
        self, work: str, listener: Listener = events.nobody, cancelled: Cancelled = never
    ) -> None:
        self.work = work
        self.listener = listener
        self.cancelled = cancelled
        self._done: list[_Done] = []

    @contextmanager
    def step(self, name: str, subject: str = "") -> Iterator[None]:
        """Tell the beginning and the end of what happens inside.

        Raise PoolRefused (pool-stopped) when no step is to begin any more.
        """
        if self.cancelled():
            raise PoolRefused("pool-stopped", step=name)
        with events.step(self.listener, self.work, name, subject):
            yield

    @contextmanager
    def making(
        self,
        name: str,
        subject: str,
        undo: "Undo | None",
        untouched: Callable[[Exception], bool] = lambda _error: False,
    ) -> Iterator[None]:
        """Do a step that makes something; without ``undo`` it goes with what an earlier one made.

        It is taken back also when it failed itself, for it may have done its work and the answer
        be lost; unless ``untouched`` tells by the error that it did nothing.
        """
        with self.step(name, subject):
            if undo is None:
                yield
                return
            done = _Done(undo.step, subject, undo.standing, undo.back)
            self._done.append(done)
            try:
                yield
            except Exception as error:
                if untouched(error):
                    self._done.remove(done)
                raise

    def undo_with(self, name: str, subject: str, standing: str, back: Callable[[], object]) -> None:
        """Note how something that was just done is taken back. ``standing``: what it left."""
        self._done.append(_Done(name, subject, standing, back))

    def take_back(self) -> tuple[str, ...]:
        """Take back all that was done, the last first; return what could not be.

        A step that cannot be taken back does not stop the others.
        """
        standing = []
        while self._done:
            done = self._done.pop()
            began = time.monotonic()
            try:
                done.back()
            except Exception as error:
                standing.append(done.standing)
                state, text = events.STANDS, str(error)
            else:
                state, text = events.UNDONE, ""
            seconds = time.monotonic() - began
            self.listener(Event(self.work, done.step, done.subject, state, seconds, text))
        return tuple(standing)

    def stands(self, name: str, subject: str, text: str) -> None:
        """Tell of something that could not be taken away and does no harm."""
        self.listener(Event(self.work, name, subject, events.STANDS, 0.0, text))

    def keep(self) -> None:
        """All of it is to stay: nothing is taken back from here on."""
        self._done.clear()
