"""Lets each call of a piece of work fail in turn, and holds what is left against the database."""

from collections.abc import Callable, Iterator
from typing import Any

from pool.site import PoolSite
from relun.core.errors import RelunError
from relun.pool.errors import PoolUnfinished

# How a call fails: xapi's error instead of its work or after it, or no answer, likewise.
WAYS = ("error before", "error after", "dropped before", "dropped after")


def calls_of(site: PoolSite, work: Callable[[], object]) -> list[str]:
    """Do some work; return the names of its calls."""
    before = len(site.calls)
    work()
    return [call.name for call in site.calls[before:]]


def each_call(
    site: PoolSite, count: int, work: Callable[[], object], way: str
) -> Iterator[tuple[str, RelunError | None, dict[str, Any], dict[str, Any]]]:
    """Do it ``count`` times, the n-th time with its n-th call failing.

    Give each time the name of that call, the error, and the database before and after.
    """
    kind, _space, when = way.partition(" ")
    for number in range(1, count + 1):
        before = site.snapshot()
        noted = len(site.calls)
        fail = site.fail if kind == "error" else site.drop
        fault = fail(at=number, after=when == "after")
        error = None
        try:
            work()
        except RelunError as caught:
            error = caught
        finally:
            site.mend()
        assert fault.hits == 1, number
        yield site.calls[noted + number - 1].name, error, before, site.snapshot()


def standing(error: RelunError | None) -> tuple[str, ...]:
    """Return what an error says is left."""
    return error.standing if isinstance(error, PoolUnfinished) else ()
