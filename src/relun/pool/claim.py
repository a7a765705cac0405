"""Only one at a time: a key in an SR's other_config says that something is under way.

xapi refuses to add a key that is there already (MAP_DUPLICATE_KEY), so of two administrators one
gets it. Whoever was killed leaves it behind, and only a person can know that: ``take_over``.
"""

import secrets

from relun.pool.clock import timestamp
from relun.pool.connection import ApiFailure, Connection
from relun.pool.errors import PoolRefused
from relun.pool.steps import Steps


class Claim:
    """A claim on an SR. Taken back with the other steps; ``release`` ends it."""

    def __init__(self, connection: Connection, sr: str, key: str) -> None:
        self._connection = connection
        self._sr = sr
        self._key = key
        self._value = f"{timestamp()} {secrets.token_hex(8)}"

    def take(self, steps: Steps, what: str, take_over: bool = False) -> None:
        """Make it. Raise PoolRefused (pool-busy) when it is somebody else's."""
        connection, key = self._connection, self._key
        if take_over:
            connection.call("SR.remove_from_other_config", self._sr, key)
        # Noted first: the call may do its work and its answer be lost.
        standing = f"{key} in other_config of the SR (--take-over goes on in spite of it)"
        steps.undo_with("SR.remove_from_other_config", what, standing, self.release)
        try:
            with steps.step("SR.add_to_other_config", what):
                connection.call("SR.add_to_other_config", self._sr, key, self._value)
        except ApiFailure as failure:
            if failure.code != "MAP_DUPLICATE_KEY":
                raise
            since = self._found().partition(" ")[0]
            raise PoolRefused("pool-busy", what=what, since=since) from failure

    def release(self) -> None:
        """End it, if it is this one. Raise ApiFailure."""
        if self._found() == self._value:
            self._connection.call("SR.remove_from_other_config", self._sr, self._key)

    def _found(self) -> str:
        config = self._connection.call("SR.get_other_config", self._sr)
        return str(config.get(self._key, ""))
