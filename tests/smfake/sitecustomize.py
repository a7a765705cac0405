"""Breaks writes of a process of this host: the fault "pwrite" says at which one, and how.

{"at": N, "do": "kill"}: the process dies before its Nth write. "error": that write and
``times - 1`` after it fail. "torn": it dies with half of the Nth write done.
"term": it gets SIGTERM then.
"""

import errno
import os
import signal
from typing import Any

from smfake import host

_fault = host.fault("pwrite")
if _fault:
    _real = os.pwrite
    _count = 0

    def _pwrite(fd: int, data: Any, offset: int) -> int:
        global _count
        _count += 1
        if _count == _fault["at"] and _fault["do"] == "term":
            os.kill(os.getpid(), signal.SIGTERM)
        elif _count >= _fault["at"] and _fault["do"] != "term":
            if _fault["do"] == "torn":
                _real(fd, bytes(data)[: len(data) // 1024 * 512], offset)
            if _fault["do"] != "error":
                os.kill(os.getpid(), signal.SIGKILL)
            if _count < _fault["at"] + _fault.get("times", 1):
                raise OSError(errno.EIO, "Input/output error")
        return _real(fd, data, offset)

    os.pwrite = _pwrite
