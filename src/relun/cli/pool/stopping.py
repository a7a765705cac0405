"""Signals while the pool is being changed: put off until the step that runs has ended, and told."""

import os
import signal
import sys

from relun.cli.signals import PutOff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from relun.cli.pool.telling import Listening


class Stopping(PutOff):
    """Signals put off; the first one is answered at once by what is still waited for.

    ``at_once``: nothing is being changed, so a signal ends the verb.
    """

    def __init__(self, listening: "Listening", for_good: bool, at_once: bool) -> None:
        super().__init__(for_good and not at_once)
        self._listening = listening
        self._at_once = at_once

    def _note(self, number: int, frame: "FrameType | None") -> None:
        first = not self.name
        super()._note(number, frame)
        if self._at_once:
            raise KeyboardInterrupt
        if first:
            self._tell(signal.Signals(number).name)

    def _tell(self, name: str) -> None:
        running = self._listening.running
        what = "; ".join(running) if running else "what is under way"
        start = "\r\033[K" if sys.stderr.isatty() else ""
        said = "{}relun: {}: stops when this has ended: {}\n".format(start, name, what)
        try:
            # Not by sys.stderr, nor with the listener's lock: the signal may have come amid both.
            os.write(2, said.encode("utf-8", "backslashreplace"))
        except OSError:
            pass  # nobody reads it any more
