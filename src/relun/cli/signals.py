"""Signals while a LUN is being changed: put off, and told about afterwards."""

import signal

from relun.core.errors import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

_CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class PutOff:
    """While it is entered, SIGINT, SIGTERM and SIGHUP are only noted; calling it tells of one.

    With ``for_good`` they stay so: the process only has to say how it ended.
    """

    def __init__(self, for_good: bool = False) -> None:
        self.name = ""  # of the last signal that came
        self._for_good = for_good
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "PutOff":
        for number in _CAUGHT:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays nohup
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_exc: object) -> None:
        if not self._for_good:
            self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        """Tell whether a signal came."""
        return bool(self.name)

    def let_through(self, ask: "Callable[[], None]") -> None:
        """Let signals end the program while something is asked; SIGINT is the answer no."""
        self._restore()
        try:
            ask()
        except KeyboardInterrupt:
            self.name = signal.SIGINT.name
            raise Refused("confirmation") from None
        finally:
            self.__enter__()

    def _note(self, number: int, _frame: "FrameType | None") -> None:
        self.name = signal.Signals(number).name
