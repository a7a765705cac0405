"""What long work tells while it runs: one event when a step begins, one when it ends."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

BEGUN, DONE, FAILED, UNDONE, STANDS = "begun", "done", "failed", "undone", "stands"


class Event(NamedTuple):
    """``step``: what is done, e.g. ``PBD.plug``. ``subject``: to what. ``state``: one of the above.

    ``seconds``: since the step began. ``work``: the clone, VM or plan it belongs to. ``text``: more
    to say about it, e.g. why it failed.
    """

    work: str
    step: str
    subject: str
    state: str
    seconds: float = 0.0
    text: str = ""


Listener = Callable[[Event], None]


def nobody(_event: Event) -> None:
    """Listens to nothing."""


@contextmanager
def step(listener: Listener, work: str, name: str, subject: str = "") -> Iterator[None]:
    """Tell the beginning and the end of what happens inside."""
    began = time.monotonic()
    listener(Event(work, name, subject, BEGUN))
    try:
        yield
    except BaseException as error:
        listener(Event(work, name, subject, FAILED, time.monotonic() - began, str(error)))
        raise
    listener(Event(work, name, subject, DONE, time.monotonic() - began))
