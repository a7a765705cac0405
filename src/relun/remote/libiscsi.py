"""An iSCSI session through libiscsi: many SCSI commands at once, each with what became of it.

Only functions whose form is the same in all versions are used, and of the library's structures only
the start of ``struct scsi_task``; that it looks as expected is checked at the first command.
"""

import ctypes
import select
import time
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_int, c_size_t, c_uint8, c_void_p

from relun.core.errors import DeviceError
from relun.core.hints import Any, Dict, List, Optional, Sequence, Tuple
from relun.remote import scsi
from relun.remote.login import Login

_LIBRARIES = tuple("libiscsi.so.{}".format(number) for number in (7, 8, 9, 10, 11))
_DISCOVERY, _NORMAL = 1, 2  # session types
_NO_DIRECTION, _READ, _WRITE = 0, 1, 2
_AUTHENTICATION = ("0x201", "0x202", "(513)", "(514)", "Authorization", "uthentication")
_REDIRECT = 0x101  # libiscsi's status for a login that was sent elsewhere
_POLL = 1000  # milliseconds; libiscsi looks at its timeouts whenever it is served
_DEPTH = 128  # commands under way; the target's own window may be smaller

_Callback = CFUNCTYPE(None, c_void_p, c_int, c_void_p, c_void_p)


class _Data(ctypes.Structure):
    _fields_ = [("size", c_size_t), ("data", c_char_p)]


class _Sense(ctypes.Structure):
    _fields_ = [
        ("error_type", c_uint8),
        ("key", c_int),
        ("ascq", c_int),
        ("rest", c_uint8 * 16),
    ]


class _Task(ctypes.Structure):
    """The start of struct scsi_task."""

    _fields_ = [
        ("status", c_int),
        ("cdb_size", c_int),
        ("direction", c_int),
        ("length", c_int),
        ("cdb", c_uint8 * 16),
        ("residual_status", c_int),
        ("residual", c_size_t),
    ]


class _Portal(ctypes.Structure):
    pass


_Portal._fields_ = [("next", POINTER(_Portal)), ("portal", c_char_p)]


class _Target(ctypes.Structure):
    pass


_Target._fields_ = [("next", POINTER(_Target)), ("name", c_char_p), ("portals", POINTER(_Portal))]


class ConnectionLost(Exception):  # noqa: N818
    """The session is gone: commands without a status may or may not have been done."""


class Redirected(Exception):  # noqa: N818
    """The target is to be reached at another portal, which is the argument."""


class Command:
    """A SCSI command: ``cdb``, data to send or room for ``length`` bytes to receive."""

    __slots__ = ("cdb", "data", "done", "length", "received", "sense", "status", "task")

    def __init__(self, cdb: bytes, data: bytes = b"", length: int = 0) -> None:
        self.cdb = cdb
        self.data = data
        self.length = length
        self.received: Any = None
        self.task: Any = None
        self.done = False
        self.status = -1
        self.sense = scsi.Sense()

    @property
    def answer(self) -> bytes:
        """What was received; empty when the command failed."""
        return bytes(self.received[: self.length]) if self.status == scsi.GOOD else b""


class Session:
    """One session with one target; ``isid`` tells it from others of this initiator.

    A new session with the ISID of an old one takes its place: the target ends what that had under
    way before the login is answered (RFC 7143, 6.3.5).
    """

    def __init__(self, portal: str, iqn: str, login: Login, isid: int, timeout: int) -> None:
        self._library = _load()
        self.portal = portal
        self._timeout = timeout
        self._running: Dict[int, Command] = {}
        self._event: Tuple[int, Any] = (-1, None)
        self._callback = _Callback(self._finished)
        self._event_callback = _Callback(self._happened)
        self._context = self._library.iscsi_create_context(login.initiator.encode())
        if not self._context:
            raise DeviceError("remote-name", device=portal, initiator=login.initiator)
        try:
            self._set_up(iqn, login, isid)
        except BaseException:
            self.close()
            raise

    def run(self, lun: int, commands: Sequence[Command]) -> None:
        """Send all commands at once, return when each has its status. Raise ConnectionLost."""
        waiting = list(reversed(commands))
        self._running = {}
        while waiting or self._running:
            while waiting and len(self._running) < _DEPTH:
                self._send(lun, waiting.pop())
            self._serve()
        if any(not command.done for command in commands):
            raise ConnectionLost(self._error())

    def discover(self) -> List[Tuple[str, List[str]]]:
        """Return the targets of the portal and the portals of each. Raise ConnectionLost."""
        found: List[Tuple[str, List[str]]] = []

        def happened(_context: Any, status: int, data: Any, _private: Any) -> None:
            if status == 0:
                found.extend(_targets(data))
            self._event = (status, None)

        callback = _Callback(happened)
        self._await("discovery", self._library.iscsi_discovery_async, callback)
        return found

    def logout(self) -> None:
        """End the session as the target likes it; errors do not matter any more."""
        try:
            self._await("logout", self._library.iscsi_logout_async, self._event_callback)
        except ConnectionLost:
            pass

    def close(self) -> None:
        """Give everything back. Commands that are under way stay without a status."""
        if self._context:
            self._library.iscsi_destroy_context(self._context)
            self._context = None

    def _set_up(self, iqn: str, login: Login, isid: int) -> None:
        library, context = self._library, self._context
        library.iscsi_set_noautoreconnect(context, 1)
        library.iscsi_set_timeout(context, self._timeout)
        library.iscsi_set_isid_random(context, isid & 0xFFFFFF, 0)
        library.iscsi_set_session_type(context, _NORMAL if iqn else _DISCOVERY)
        library.iscsi_set_header_digest(context, 1)  # CRC32C if the target wants it, else none
        if iqn:
            library.iscsi_set_targetname(context, iqn.encode())
        if login.user:
            library.iscsi_set_initiator_username_pwd(
                context, login.user.encode(), login.password.encode()
            )
        if login.target_user:
            library.iscsi_set_target_username_pwd(
                context, login.target_user.encode(), login.target_password.encode()
            )
        portal = self.portal.encode()
        self._await("connect", library.iscsi_connect_async, portal, self._event_callback)
        self._await("login", library.iscsi_login_async, self._event_callback)

    def _send(self, lun: int, command: Command) -> None:
        library = self._library
        length = len(command.data) or command.length
        direction = _WRITE if command.data else _READ if command.length else _NO_DIRECTION
        cdb = (c_uint8 * len(command.cdb)).from_buffer_copy(command.cdb)
        task = library.scsi_create_task(len(command.cdb), cdb, direction, length)
        _check_layout(task, command.cdb, direction, length)
        command.task = task
        data = None
        if command.data:
            data = byref(_Data(len(command.data), command.data))
        elif command.length:
            command.received = ctypes.create_string_buffer(command.length)
            library.scsi_task_add_data_in_buffer(task, command.length, command.received)
        number = id(command)
        self._running[number] = command
        if library.iscsi_scsi_command_async(
            self._context, lun, task, self._callback, data, c_void_p(number)
        ):
            self._drop()
            raise ConnectionLost(self._error())

    def _finished(self, _context: Any, status: int, _data: Any, number: Any) -> None:
        """Take the status of a command; libiscsi calls this."""
        command = self._running.pop(number, None)
        if command is None:
            return
        if 0 <= status < 0x100:
            command.done = True
            command.status = status
            if status == scsi.CHECK_CONDITION:
                sense = _Sense()
                self._library.scsi_task_get_status(command.task, byref(sense))
                command.sense = scsi.Sense(sense.key, sense.ascq >> 8 & 0xFF, sense.ascq & 0xFF)
            elif command.length:
                start = ctypes.cast(command.task, POINTER(_Task)).contents
                if start.residual_status == 1:
                    command.length = max(0, command.length - start.residual)
        self._library.scsi_free_scsi_task(command.task)
        command.task = None

    def _happened(self, _context: Any, status: int, _data: Any, _private: Any) -> None:
        self._event = (status, None)

    def _await(self, what: str, function: Any, *arguments: Any) -> None:
        self._event = (-1, None)
        if function(self._context, *arguments, None):
            raise ConnectionLost(self._error())
        deadline = time.monotonic() + self._timeout
        while self._event[0] == -1:
            self._serve()
            if time.monotonic() > deadline:
                raise ConnectionLost("no answer to {} within {} s".format(what, self._timeout))
        if self._event[0] == _REDIRECT:
            portal = self._library.iscsi_get_target_address(self._context) or b""
            raise Redirected(portal.decode("ascii", "replace").partition(",")[0])
        if self._event[0] != 0:
            raise ConnectionLost(self._error())

    def _serve(self) -> None:
        """Wait for the socket and let libiscsi work. Raise ConnectionLost."""
        descriptor = self._library.iscsi_get_fd(self._context)
        wanted = self._library.iscsi_which_events(self._context)
        events = 0
        if descriptor < 0:
            raise ConnectionLost(self._error())
        poll = select.poll()
        poll.register(descriptor, wanted)
        for _descriptor, ready in poll.poll(_POLL):
            events = ready
        if self._library.iscsi_service(self._context, events) < 0:
            self._drop()
            raise ConnectionLost(self._error())

    def _drop(self) -> None:
        """Forget what is under way: nothing will be heard of it any more."""
        self._library.iscsi_scsi_cancel_all_tasks(self._context)
        self._running = {}

    def _error(self) -> str:
        text = self._library.iscsi_get_error(self._context) or b""
        return text.decode("utf-8", "replace").strip() or "the connection was closed"


def is_refused_login(error: ConnectionLost) -> bool:
    """Tell whether the target did not take the name or password."""
    return any(mark in str(error) for mark in _AUTHENTICATION)


def _targets(data: Any) -> List[Tuple[str, List[str]]]:
    found = []
    target = ctypes.cast(data, POINTER(_Target))
    while target:
        portals = []
        portal = target.contents.portals
        while portal:
            portals.append((portal.contents.portal or b"").decode().partition(",")[0])
            portal = portal.contents.next
        found.append(((target.contents.name or b"").decode(), portals))
        target = target.contents.next
    return found


def _check_layout(task: Any, cdb: bytes, direction: int, length: int) -> None:
    start = ctypes.cast(task, POINTER(_Task)).contents
    seen = (start.cdb_size, start.direction, start.length, bytes(start.cdb)[: len(cdb)])
    if seen != (len(cdb), direction, length, cdb):
        raise DeviceError("remote-library", library="libiscsi", reason="unknown version")


_loaded: Optional[Any] = None


def _load() -> Any:
    """Return the library with its functions declared. Raise DeviceError (remote-library)."""
    global _loaded
    if _loaded is None:
        _loaded = _declared(_open())
    return _loaded


def _open() -> Any:
    for name in _LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError as error:
            reason = str(error)
    raise DeviceError("remote-library", library="libiscsi", reason=reason)


def _declared(library: Any) -> Any:
    context = c_void_p
    library.iscsi_create_context.restype = c_void_p
    library.iscsi_get_error.restype = c_char_p
    library.iscsi_get_target_address.restype = c_char_p
    library.scsi_create_task.restype = c_void_p
    library.scsi_create_task.argtypes = [c_int, c_void_p, c_int, c_int]
    library.scsi_task_add_data_in_buffer.argtypes = [c_void_p, c_int, c_void_p]
    library.scsi_task_get_status.argtypes = [c_void_p, c_void_p]
    library.scsi_free_scsi_task.argtypes = [c_void_p]
    library.iscsi_scsi_command_async.argtypes = [
        context,
        c_int,
        c_void_p,
        _Callback,
        c_void_p,
        c_void_p,
    ]
    for name in ("discovery", "login", "logout"):
        getattr(library, "iscsi_{}_async".format(name)).argtypes = [context, _Callback, c_void_p]
    library.iscsi_connect_async.argtypes = [context, c_char_p, _Callback, c_void_p]
    for name in ("noautoreconnect", "timeout", "session_type", "header_digest"):
        getattr(library, "iscsi_set_" + name).argtypes = [context, c_int]
    library.iscsi_set_isid_random.argtypes = [context, ctypes.c_uint32, ctypes.c_uint32]
    library.iscsi_set_targetname.argtypes = [context, c_char_p]
    library.iscsi_set_initiator_username_pwd.argtypes = [context, c_char_p, c_char_p]
    library.iscsi_set_target_username_pwd.argtypes = [context, c_char_p, c_char_p]
    library.iscsi_service.argtypes = [context, c_int]
    for name in ("get_error", "get_target_address", "get_fd", "which_events", "destroy_context"):
        getattr(library, "iscsi_" + name).argtypes = [context]
    library.iscsi_scsi_cancel_all_tasks.argtypes = [context]
    return library
