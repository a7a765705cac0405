"""The end of a DR test: what it made is taken away, and what cannot be is noted."""

import time
from collections.abc import Callable

from relun.pool import events, machine
from relun.pool.connection import Connection
from relun.pool.detach import DetachOptions, detach
from relun.pool.dr_report import CleanUp
from relun.pool.events import Listener
from relun.pool.marks import TESTED, Attached
from relun.pool.restore import Restored
from relun.pool.whole import as_ours


class Cleaning:
    """``done``: what was tried. ``standing``: what is left."""

    def __init__(self, connection: Connection, listener: Listener) -> None:
        self._connection = connection
        self._listener = listener
        self.done: list[CleanUp] = []
        self.standing: list[str] = []

    def remove(self, restored: Restored) -> None:
        """Remove a VM."""

        def act() -> None:
            machine.remove(self._connection, restored.reference)

        self._try("VM.destroy", restored.name, f"VM {restored.name} {restored.uuid}", act)

    def detach(self, attached: Attached, take_over: bool) -> None:
        """Detach a clone."""
        options = DetachOptions(take_over=take_over)

        def act() -> None:
            detach(self._connection, attached.sr_uuid, options, self._listener)

        self._try("detach", attached.name, f"SR {attached.name} {attached.sr_uuid}", act)

    def keep(self, attached: Attached) -> None:
        """Let a clone stay: it is no longer a test's."""

        def act() -> None:
            self._connection.call("SR.remove_from_other_config", attached.reference, TESTED)

        self._try("keep", attached.name, f"{TESTED} in other_config of {attached.name}", act)

    def _try(self, what: str, subject: str, standing: str, act: Callable[[], object]) -> None:
        began = time.monotonic()
        problem = None
        try:
            with events.step(self._listener, subject, what):
                act()
        except Exception as error:  # an error of relun's own must not leave the rest behind either
            problem = as_ours(error)
            self.standing.append(standing)
        self.done.append(CleanUp(what, subject, time.monotonic() - began, problem))
