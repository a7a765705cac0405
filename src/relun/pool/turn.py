"""One at a time: a key in the pool's other_config says who is at work.

xapi refuses to add a key that is there already, so of two administrators one gets it. Who was
killed left it behind: the key holds what is needed to find that out.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import NamedTuple

from relun.pool.clock import timestamp
from relun.pool.connection import ApiFailure, Connection
from relun.pool.ensure import ensure
from relun.pool.errors import PoolRefused
from relun.pool.steps import Steps

KEY = "relun-lun-"  # and the SCSI id
_held: set[str] = set()  # values of this process that are in force


class _Holder(NamedTuple):
    session: str  # uuid of the session in xapi; it is gone after a logout
    machine: str  # this boot of this machine (of this container): there a pid says something
    pid: int
    number: str  # tells the threads of a process apart
    since: str

    def __str__(self) -> str:
        return " ".join(map(str, self))


@contextmanager
def turn(
    connection: Connection, pool: str, scsi_id: str, steps: Steps, take_over: bool = False
) -> Iterator[None]:
    """Hold the turn on a LUN. Raise PoolRefused (pool-busy) when somebody else has it.

    ``take_over``: whoever has it is known to be gone.
    """
    with hold(connection, pool, KEY + scsi_id, f"the LUN {scsi_id}", steps, take_over):
        yield


@contextmanager
def hold(
    connection: Connection, pool: str, key: str, what: str, steps: Steps, take_over: bool = False
) -> Iterator[None]:
    """Hold a key of the pool; ``what`` names it in the error. Raise PoolRefused (pool-busy).

    The key that cannot be removed afterwards holds nobody up: its session ends with relun's.
    """
    mine = _Holder(_session_uuid(connection), _machine(), os.getpid(), token_hex(4), timestamp())
    _held.add(str(mine))
    try:
        _take(connection, pool, key, mine, what, take_over)
        yield
    finally:
        try:
            ensure(
                lambda: _found(connection, pool, key) != str(mine),
                lambda: connection.call("pool.remove_from_other_config", pool, key),
            )
        except ApiFailure as failure:
            steps.stands("pool.remove_from_other_config", key, failure.reason)
        _held.discard(str(mine))


def _take(
    connection: Connection, pool: str, key: str, mine: _Holder, what: str, take_over: bool
) -> None:
    for last in (False, True):
        try:
            connection.call("pool.add_to_other_config", pool, key, str(mine))
            return
        except ApiFailure as failure:
            if failure.code != "MAP_DUPLICATE_KEY":
                raise
            found = _found(connection, pool, key)
            if last or not (take_over or _is_gone(connection, found)):
                since = found.rpartition(" ")[2] or "a moment ago"
                raise PoolRefused("pool-busy", what=what, since=since, key=key) from failure
            if found and found == _found(connection, pool, key):
                connection.call("pool.remove_from_other_config", pool, key)


def _found(connection: Connection, pool: str, key: str) -> str:
    return str(connection.call("pool.get_other_config", pool).get(key, ""))


def _is_gone(connection: Connection, value: str) -> bool:
    """Tell whether the holder is certainly gone."""
    try:
        session, machine, pid, _number, _since = value.split()
        if machine == _machine():
            own = int(pid) == os.getpid()
            return value not in _held if own else not os.path.exists(f"/proc/{int(pid)}")
    except ValueError:
        return not value  # it was given back at this moment
    return not connection.find("session", session)


def _session_uuid(connection: Connection) -> str:
    return str(connection.call("session.get_uuid", connection.session))


def _machine() -> str:
    """Return what tells this machine, this boot of it and this container from all others."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        return f"{boot}.{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return "unknown"
