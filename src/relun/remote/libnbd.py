"""An NBD connection through libnbd: many requests at once."""

import ctypes
import errno
import time
from ctypes import c_char_p, c_int, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

from relun.core.errors import DeviceError
from relun.core.hints import Any, Dict, List, Optional, Sequence
from relun.remote.address import NbdAddress

_LIBRARY = "libnbd.so.0"  # its functions keep their form
_DEPTH = 64  # requests under way
_POLL = 1000  # milliseconds
_MINIMUM, _MAXIMUM = 0, 2  # kinds of block size
_GONE = (errno.ENOTCONN, errno.ESHUTDOWN, errno.EPIPE, errno.ECONNRESET)
_MOST = 1 << 20  # bytes a request transfers


class Disconnected(Exception):  # noqa: N818
    """The connection is gone: requests that are not done may or may not have reached the disk."""


class Request:
    """A read into ``room``, a write of ``data``, or with neither of them a flush."""

    __slots__ = ("data", "done", "error", "offset", "room")

    def __init__(self, offset: int = 0, length: int = 0, data: bytes = b"") -> None:
        self.offset = offset
        self.data = data
        self.room: Any = ctypes.create_string_buffer(length) if length else None
        self.done = False
        self.error = ""


class _Completion(ctypes.Structure):
    """No callback: completion is asked for."""

    _fields_ = [("callback", c_void_p), ("user_data", c_void_p), ("free", c_void_p)]


class Connection:
    """One connection to an export. Raise Disconnected when there is none."""

    def __init__(self, address: NbdAddress, timeout: float) -> None:
        self._library = _load()
        self._timeout = timeout
        self._handle = self._library.nbd_create()
        if not self._handle:
            raise Disconnected(self._error())
        try:
            self._connect(address)
        except BaseException:
            self.close()
            raise
        self.size: int = self._library.nbd_get_size(self._handle)
        self.read_only: bool = self._library.nbd_is_read_only(self._handle) != 0
        self.can_flush: bool = self._library.nbd_can_flush(self._handle) == 1
        least = self._library.nbd_get_block_size(self._handle, _MINIMUM)
        self.block_size: int = max(512, least)
        most = self._library.nbd_get_block_size(self._handle, _MAXIMUM)
        self.most: int = min(_MOST, most) if most > 0 else _MOST

    def run(self, requests: Sequence[Request]) -> None:
        """Send all requests at once, return when each is done. Raise Disconnected."""
        waiting = list(reversed(requests))
        running: Dict[int, Request] = {}
        deadline = time.monotonic() + self._timeout
        while waiting or running:
            while waiting and len(running) < _DEPTH:
                request = waiting.pop()
                running[self._send(request)] = request
            finished = self._finished()
            for cookie in finished:
                request = running.pop(cookie)
                if self._library.nbd_aio_command_completed(self._handle, cookie) < 0:
                    error = self._error()
                    if self._library.nbd_get_errno() in _GONE:
                        raise Disconnected(error)
                    request.error = error
                request.done = True
            if finished:
                deadline = time.monotonic() + self._timeout
            elif running:
                self._poll(deadline)

    def shutdown(self) -> None:
        """End the connection in order."""
        self._library.nbd_shutdown(self._handle, 0)
        self.close()

    def close(self) -> None:
        """Give everything back."""
        if self._handle:
            self._library.nbd_close(self._handle)
            self._handle = None

    def _connect(self, address: NbdAddress) -> None:
        library, handle = self._library, self._handle
        self._check(library.nbd_set_export_name(handle, address.export.encode()))
        if address.socket:
            self._check(library.nbd_aio_connect_unix(handle, address.socket.encode()))
        else:
            port = str(address.port).encode()
            self._check(library.nbd_aio_connect_tcp(handle, address.host.encode(), port))
        deadline = time.monotonic() + self._timeout
        while not library.nbd_aio_is_ready(handle):
            if library.nbd_aio_is_dead(handle) or library.nbd_aio_is_closed(handle):
                raise Disconnected(self._error())
            self._poll(deadline)

    def _send(self, request: Request) -> int:
        library, handle, none = self._library, self._handle, _Completion()
        if request.data:
            cookie = library.nbd_aio_pwrite(
                handle, request.data, len(request.data), request.offset, none, 0
            )
        elif request.room is not None:
            cookie = library.nbd_aio_pread(
                handle, request.room, len(request.room), request.offset, none, 0
            )
        else:
            cookie = library.nbd_aio_flush(handle, none, 0)
        return int(self._check(cookie))

    def _finished(self) -> List[int]:
        """Return the cookie of a request that came back, if there is one."""
        cookie = self._library.nbd_aio_peek_command_completed(self._handle)
        if cookie < 0:
            raise Disconnected(self._error())
        return [cookie] if cookie else []

    def _poll(self, deadline: float) -> None:
        self._check(self._library.nbd_poll(self._handle, _POLL))
        if time.monotonic() > deadline:
            raise Disconnected("no answer within {:g} s".format(self._timeout))

    def _check(self, result: int) -> int:
        if result < 0:
            raise Disconnected(self._error())
        return result

    def _error(self) -> str:
        text = self._library.nbd_get_error() or b"the connection was closed"
        return str(text.decode("utf-8", "replace"))


_loaded: Optional[Any] = None


def _load() -> Any:
    """Return the library with its functions declared. Raise DeviceError (remote-library)."""
    global _loaded
    if _loaded is None:
        try:
            _loaded = _declared(ctypes.CDLL(_LIBRARY))
        except OSError as error:
            raise DeviceError("remote-library", library="libnbd", reason=str(error)) from error
    return _loaded


def _declared(library: Any) -> Any:
    handle = c_void_p
    library.nbd_create.restype = handle
    library.nbd_create.argtypes = []
    library.nbd_get_error.restype = c_char_p
    library.nbd_close.restype = None
    library.nbd_get_size.restype = c_int64
    library.nbd_get_block_size.restype = c_int64
    library.nbd_get_block_size.argtypes = [handle, c_int]
    for name in (
        "close",
        "get_size",
        "is_read_only",
        "can_flush",
        "aio_is_ready",
        "aio_is_dead",
        "aio_is_closed",
        "aio_peek_command_completed",
    ):
        getattr(library, "nbd_" + name).argtypes = [handle]
    library.nbd_set_export_name.argtypes = [handle, c_char_p]
    library.nbd_aio_connect_unix.argtypes = [handle, c_char_p]
    library.nbd_aio_connect_tcp.argtypes = [handle, c_char_p, c_char_p]
    library.nbd_poll.argtypes = [handle, c_int]
    library.nbd_shutdown.argtypes = [handle, c_uint32]
    library.nbd_aio_command_completed.argtypes = [handle, c_uint64]
    library.nbd_aio_peek_command_completed.restype = c_int64
    for name, buffer in (("pread", c_void_p), ("pwrite", c_char_p)):
        function = getattr(library, "nbd_aio_" + name)
        function.restype = c_int64
        function.argtypes = [handle, buffer, c_size_t, c_uint64, _Completion, c_uint32]
    library.nbd_aio_flush.restype = c_int64
    library.nbd_aio_flush.argtypes = [handle, _Completion, c_uint32]
    return library
