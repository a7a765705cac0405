"""SM's Lock: a file a lock, flock(2)."""

import fcntl
from typing import IO, Optional

from smfake import host

LOCK_TYPE_SR = "sr"


class Lock:
    """A named lock in a namespace."""

    def __init__(self, name: str, ns: str = "") -> None:
        self._name = name
        self._path = host.place("lock", ns or ".nil", name)
        self._file: Optional[IO[str]] = None

    def acquire(self) -> None:
        """Wait for the lock."""
        self._file = open(self._path, "w")  # noqa: SIM115
        fcntl.flock(self._file, fcntl.LOCK_EX)
        host.note("locks", "+" + self._name)

    def release(self) -> None:
        """Give it back."""
        assert self._file is not None
        host.note("locks", "-" + self._name)
        self._file.close()
        self._file = None
