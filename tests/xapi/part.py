"""What the parts of the stand-in have in common: each answers the calls of some classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from xapi.failure import ApiError

if TYPE_CHECKING:
    from xapi.pool import Pool

_Method = TypeVar("_Method", bound=Callable[..., Any])


def unlocked(method: _Method) -> _Method:
    """Mark a call that may last: it locks the database itself, and not while a driver runs."""
    method.unlocked = True  # type: ignore[attr-defined]
    return method


def passes(check: Callable[..., object], *arguments: object) -> bool:
    """Tell whether a check raises no error of xapi's."""
    try:
        check(*arguments)
    except ApiError:
        return False
    return True


class Part:
    """Methods named class_verb are API calls."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.db = pool.db
