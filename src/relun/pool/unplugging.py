"""An SR's way off the hosts and out of the pool's database; each act does nothing when it is done.

All raise ApiFailure when something is still there in the end.
"""

import time
from collections.abc import Mapping

from relun.pool.connection import Connection, Record
from relun.pool.ensure import ensure

_SETTLE_SECONDS = 120.0
_POLL_SECONDS = 0.5


def pbd_on(pbds: Mapping[str, Record], sr: str, host: str) -> tuple[str, Record]:
    """Return the PBD of an SR on a host, an empty reference when there is none."""
    for reference, record in pbds.items():
        if record["SR"] == sr and record["host"] == host:
            return reference, record
    return "", {}


def unplug_pbd(connection: Connection, sr: str, pbd: str) -> None:
    """Unplug a PBD, once xapi has ended what it still does with the SR."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while connection.call("SR.get_current_operations", sr) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)  # a plug whose answer was lost goes on
    ensure(
        lambda: not connection.call("PBD.get_currently_attached", pbd),
        lambda: connection.call("PBD.unplug", pbd),
    )


def destroy_pbd(connection: Connection, sr: str, host: str) -> None:
    """Destroy the PBD of an SR on a host, and with it the Secret of its password."""

    def pbd() -> str:
        return pbd_on(connection.records_of("PBD", "SR", sr), sr, host)[0]

    ensure(lambda: not pbd(), lambda: connection.call("PBD.destroy", pbd()))


def forget_sr(connection: Connection, sr_uuid: str) -> None:
    """Forget an SR and its VDIs."""
    ensure(
        lambda: not connection.find("SR", sr_uuid),
        lambda: connection.call("SR.forget", connection.find("SR", sr_uuid)),
    )


def unmark(connection: Connection, sr: str, key: str) -> None:
    """Remove one of relun's marks from an SR."""
    ensure(
        lambda: key not in connection.call("SR.get_other_config", sr),
        lambda: connection.call("SR.remove_from_other_config", sr, key),
    )
