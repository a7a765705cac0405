"""What can go wrong with a pool. Codes are in ``relun.pool.catalogue``."""

from collections.abc import Sequence
from typing import Any

from relun.core.errors import Refused, RelunError


class PoolRefused(Refused):
    """relun will not do it, or could not and took back what it had done: nothing was changed."""


class PoolUnfinished(RelunError):  # noqa: N818 - a state, not an accident
    """Something of relun's stands in the pool or on the LUN. ``standing`` says what, and where.

    The same command run again goes on from there.
    """

    changed = True

    def __init__(self, code: str, standing: Sequence[str], **fields: Any) -> None:
        super().__init__(code, **fields)
        self.standing = tuple(standing)
