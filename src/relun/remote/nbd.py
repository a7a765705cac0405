"""NBD exports as devices.

A lost connection is made anew while nothing is at stake. Once something was written and not yet
flushed it is an error: a flush on another connection need not cover it, and requests of the old one
may still reach the disk.
"""

import time

from relun.core.errors import DeviceError
from relun.core.hints import List, Optional, Sequence, Tuple
from relun.core.sysfs import BlockNode
from relun.remote.address import NbdAddress, parse_nbd
from relun.remote.blocks import Range, RemoteDevice, Wire, split
from relun.remote.libnbd import Connection, Disconnected, Request

TIMEOUT = 15.0  # seconds without an answer
_OUTAGE = 30.0  # seconds until relun gives up
_PAUSE = 0.2


class NbdDevice(RemoteDevice):
    """An export. Open it with ``open_nbd``."""

    def __init__(self, shown: str, address: NbdAddress, connection: Connection) -> None:
        size = connection.size // connection.block_size * connection.block_size
        super().__init__(shown, size, connection.block_size, BlockNode(""), Wire())
        self.wire.round_trips = 3  # of the negotiation
        self._address = address
        self._connection: Optional[Connection] = connection
        self._most = connection.most
        self._size_told = connection.size
        self._at_stake = False  # written, and not flushed since

    def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            self._connection.shutdown()
            self._connection = None

    def _get(self, spans: Sequence[Range]) -> List[bytes]:
        parts = [part for start, end in spans for part in split(start, end, self._most)]
        requests = [Request(start, end - start) for start, end in parts]
        self._run("read", requests)
        data = b"".join(bytes(request.room) for request in requests)
        found, position = [], 0
        for start, end in spans:
            found.append(data[position : position + end - start])
            position += end - start
        return found

    def _put(self, writes: Sequence[Tuple[int, bytes]]) -> None:
        self._at_stake = True
        requests = [
            Request(start, data=data[start - offset : end - offset])
            for offset, data in writes
            for start, end in split(offset, offset + len(data), self._most)
        ]
        self._run("write", requests)

    def _flush(self) -> None:
        self._run("flush", [Request()])
        self._at_stake = False

    def _run(self, what: str, requests: Sequence[Request]) -> None:
        if not requests:
            return
        deadline = time.monotonic() + _OUTAGE
        while True:
            try:
                if self._connection is None:
                    self._reconnect()
                assert self._connection is not None
                self.wire.count(len(requests))
                self._connection.run([request for request in requests if not request.done])
                break
            except Disconnected as error:
                self._drop()
                fields = {"device": self.path, "reason": str(error)}
                if self._at_stake:
                    raise DeviceError("remote-lost", **fields) from error
                if time.monotonic() > deadline:
                    raise DeviceError("remote-connect", **fields) from error
                time.sleep(_PAUSE)
        for request in requests:
            if request.error:
                raise DeviceError(
                    "device-io",
                    device=self.path,
                    what=what,
                    offset=request.offset,
                    reason=request.error,
                )

    def _reconnect(self) -> None:
        connection = Connection(self._address, TIMEOUT)
        if connection.size != self._size_told:
            connection.close()
            raise DeviceError("device-changed", device=self.path)
        self._connection = connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def open_nbd(shown: str, writable: bool = False) -> NbdDevice:
    """Connect to an export. Raise DeviceError."""
    address = parse_nbd(shown)
    try:
        connection = Connection(address, TIMEOUT)
    except Disconnected as error:
        raise DeviceError("remote-connect", device=shown, reason=str(error)) from error
    device = NbdDevice(shown, address, connection)
    if writable and (connection.read_only or not connection.can_flush):
        device.close()
        if connection.read_only:
            raise DeviceError("device-readonly", device=shown, reason="the server says so")
        raise DeviceError("device-no-flush", device=shown)
    return device
