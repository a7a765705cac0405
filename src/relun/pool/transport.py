"""HTTP below XML-RPC: one request for one call, and an end to waiting for who is not there."""

import socket
import ssl
import time
import xmlrpc.client
from http.client import HTTPConnection, HTTPSConnection
from typing import Any

_CONNECT_SECONDS = 20.0
_IDLE_SECONDS = 5.0  # a server may close a connection that nobody uses
# A plug may take minutes without a byte on the wire: only keep-alive tells that the peer is gone.
_KEEP_ALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))


class _Http(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _be_patient(self.sock)


class _Https(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _be_patient(self.sock)


def _be_patient(sock: Any) -> None:
    sock.settimeout(None)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE:
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class Transport(xmlrpc.client.Transport):
    """A transport that never sends a request twice.

    The standard one repeats a request when the connection breaks before the answer; a call such as
    PBD.create may have been done by then, and would be refused as a second one.
    """

    def __init__(self, context: ssl.SSLContext | None) -> None:
        super().__init__()
        self._context = context
        self._used = 0.0
        self._live: HTTPConnection | None = None

    def request(
        self, host: Any, handler: str, request_body: Any, verbose: bool = False
    ) -> tuple[Any, ...]:
        """Send a request and return the answer."""
        if time.monotonic() - self._used > _IDLE_SECONDS:
            self.close()
        try:
            found: tuple[Any, ...] = self.single_request(host, handler, request_body, verbose)
            return found
        finally:
            self._used = time.monotonic()

    def make_connection(self, host: Any) -> HTTPConnection:
        """Return the connection that is open, or a new one."""
        if self._live is None:
            where, self._extra_headers, _x509 = self.get_host_info(host)
            if self._context is None:
                self._live = _Http(where, timeout=_CONNECT_SECONDS)
            else:
                self._live = _Https(where, timeout=_CONNECT_SECONDS, context=self._context)
        return self._live

    def close(self) -> None:
        """Close the connection if there is one."""
        if self._live is not None:
            self._live.close()
            self._live = None
