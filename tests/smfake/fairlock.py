"""The host's Fairlock: a lock service with a socket a name; here a file a name. Not reentrant."""

import fcntl
from typing import IO, Any, Optional

from smfake import host


class FairlockDeadlock(Exception):
    """The process has the lock already."""


class Fairlock:
    """A named lock, as a context; one object a name in a process."""

    _instances: "dict[str, Fairlock]" = {}  # a comment to CPython 3.6

    def __new__(cls, name: str) -> "Fairlock":
        """Return the one object of this name."""
        if name not in cls._instances:
            cls._instances[name] = super().__new__(cls)
        return cls._instances[name]

    def __init__(self, name: str) -> None:
        self.name = name
        if not hasattr(self, "_file"):
            self._file: Optional[IO[str]] = None

    def __enter__(self) -> "Fairlock":
        if self._file is not None:
            raise FairlockDeadlock(self.name)
        self._file = open(host.place("fairlock", self.name), "w")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        host.note("locks", "+" + self.name)
        return self

    def __exit__(self, *_exc: Any) -> None:
        assert self._file is not None
        host.note("locks", "-" + self.name)
        self._file.close()
        self._file = None
