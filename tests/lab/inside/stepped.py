"""relun's command line, stopped between two operations on a device: stepped.py AFTER COUNT WORDS.

AFTER is ``flush`` or ``any``; COUNT is the number of the one operation to stop after, or ``each``.
"""

import os
import signal
import sys
from typing import Any

from relun.cli.main import main
from relun.core.device import Device

_after, _count = sys.argv[1:3]
_done = 0


def _stop() -> None:
    global _done
    _done += 1
    if _count in ("each", str(_done)):
        os.kill(os.getpid(), signal.SIGSTOP)


def _stopping(method: Any) -> Any:
    def stopping(self: Device, *args: Any) -> Any:
        result = method(self, *args)
        _stop()
        return result

    return stopping


if __name__ == "__main__":
    del sys.argv[1:3]
    sys.argv[0] = "relun"
    for name in ("flush",) if _after == "flush" else ("write", "flush"):
        setattr(Device, name, _stopping(getattr(Device, name)))
    sys.exit(main())
