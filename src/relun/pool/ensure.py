"""Acts whose answer may be lost: what counts is the state afterwards."""

from collections.abc import Callable

from relun.pool.connection import ApiFailure


def ensure(done: Callable[[], bool], act: Callable[[], object]) -> None:
    """Act unless it is done already; once more when that fails and it is still not done.

    Raise ApiFailure when it is not done in the end, or when nobody can tell.
    """
    for last in (False, True):
        if done():
            return
        try:
            act()
            return
        except ApiFailure:
            if last and not done():
                raise
