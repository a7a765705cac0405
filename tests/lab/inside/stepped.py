"""relun's command line, stopped between two operations on its devices: stepped.py HOW WORDS …

HOW is ``flush``: stop after every flush. ``flush=N``: after the Nth alone. ``N``: after the Nth
operation, write or flush. ``each``, with ``WORDS … -- DEVICES …``: one process a device, the Nth of
them stopped after its Nth operation. ``whole``: the same, none of them stopped.

A stopped process has sent itself SIGSTOP; SIGCONT lets it go on. The processes of ``each`` and
``whole`` run one after the other; the exit code is the first that is not 0.
"""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from relun.cli.main import main
from relun.core.device import Device

ANY = ("write", "flush")


def stop_after(operations: Sequence[str], number: int) -> None:
    """Stop this process after the Nth of these methods of Device; 0: after every one."""
    done = 0

    def stopping(method: Any) -> Any:
        def run(self: Device, *args: Any) -> Any:
            nonlocal done
            result = method(self, *args)
            done += 1
            if number in (0, done):
                os.kill(os.getpid(), signal.SIGSTOP)
            return result

        return run

    for name in operations:
        setattr(Device, name, stopping(getattr(Device, name)))


def in_a_process(how: str, number: int, words: Sequence[str]) -> int:
    """Run one command line to its end or its stop, in a process of its own."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        if how == "each":
            stop_after(ANY, number)
        sys.argv[1:] = words
        sys.exit(main())
    _pid, status = os.waitpid(child, os.WUNTRACED)
    return 0 if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status)


def run(how: str, words: Sequence[str]) -> int:
    """Run what the command line asks for; returns the exit code."""
    if how in ("each", "whole"):
        split = words.index("--")
        codes = [
            in_a_process(how, number, [*words[:split], device])
            for number, device in enumerate(words[split + 1 :], 1)
        ]
        return next((code for code in codes if code), 0)
    operation, _equals, number = how.partition("=")
    if operation == "flush":
        stop_after(("flush",), int(number or 0))
    else:
        stop_after(ANY, int(how))
    sys.argv[1:] = words
    return main()


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:]))
