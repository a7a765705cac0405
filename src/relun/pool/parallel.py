"""Many clones at once: each by itself, in threads; one that fails does not stop the others."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from relun.core.errors import RelunError
from relun.pool import events
from relun.pool.attach import AttachOptions, attach
from relun.pool.connection import Connection
from relun.pool.errors import PoolRefused
from relun.pool.events import Listener
from relun.pool.lun import Target
from relun.pool.marks import Attached
from relun.pool.steps import Cancelled, never
from relun.pool.whole import as_ours

AT_ONCE = 8


class Result(NamedTuple):
    """What became of a target: ``attached``, or the error that ended it."""

    target: Target
    attached: Attached | None = None
    error: RelunError | None = None


def attach_all(
    connection: Connection,
    targets: Sequence[Target],
    options: AttachOptions = AttachOptions(),  # noqa: B008 - a value
    listener: Listener = events.nobody,
    cancelled: Cancelled = never,
    at_once: int = AT_ONCE,
    ended: Callable[[Result], None] = lambda _result: None,
) -> list[Result]:
    """Attach clones, ``at_once`` at a time; return what became of each, in the order given.

    ``listener`` and ``ended`` are called from several threads. Once ``cancelled`` says so, those
    that have not begun are left alone.
    """

    def one(target: Target) -> Result:
        result = _one(connection, target, options, listener, cancelled)
        ended(result)
        return result

    if len(targets) == 1:
        return [one(targets[0])]
    from concurrent.futures import ThreadPoolExecutor  # slow to load

    with ThreadPoolExecutor(max(1, min(at_once, len(targets)))) as pool:
        return list(pool.map(one, targets))


def _one(
    connection: Connection,
    target: Target,
    options: AttachOptions,
    listener: Listener,
    cancelled: Cancelled,
) -> Result:
    if cancelled():
        return Result(target, error=PoolRefused("pool-stopped", step="look"))
    mine = connection.another()
    try:
        return Result(target, attach(mine, target, options, listener, cancelled))
    except Exception as error:
        return Result(target, error=as_ours(error))
    finally:
        mine.close()
