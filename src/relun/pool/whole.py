"""All of it or nothing: what was done is taken back when a later step fails."""

from collections.abc import Iterator
from contextlib import contextmanager

from relun.core.errors import RelunError
from relun.pool.connection import ApiFailure
from relun.pool.errors import PoolRefused, PoolUnfinished
from relun.pool.steps import Steps


@contextmanager
def all_or_nothing(steps: Steps) -> Iterator[None]:
    """Run what is inside; take back its steps when it fails.

    Raise PoolRefused when nothing is left of it, PoolUnfinished when something stands.
    """
    try:
        yield
    except BaseException as error:
        standing = steps.take_back()
        if standing:
            raise PoolUnfinished("pool-standing", standing, cause=as_ours(error)) from error
        if isinstance(error, ApiFailure):
            raise as_ours(error) from error
        raise
    steps.keep()


def as_ours(error: BaseException) -> RelunError:
    """Return what went wrong as an error of relun's."""
    if isinstance(error, RelunError):
        return error
    if isinstance(error, ApiFailure):
        return PoolRefused("pool-call", call=error.call, reason=error.reason)
    return PoolRefused("pool-bug", reason=f"{type(error).__name__}: {error}")
