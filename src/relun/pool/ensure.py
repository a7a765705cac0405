"""Acts whose answer may be lost: what counts is the state afterwards."""

from collections.abc import Callable

from relun.pool.connection import ApiFailure


def ensure(done: Callable[[], bool], act: Callable[[], object]) -> None:
    """Act unless it is done already; once more when that fails, or the question.

    Raise ApiFailure when it is not done in the end, or when nobody can tell.
    """
    try:
        if not done():
            act()
        return
    except ApiFailure:
        pass
    if done():
        return
    try:
        act()
    except ApiFailure:
        if not done():
            raise
