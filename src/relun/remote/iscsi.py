"""iSCSI LUNs: devices over a session that outlives resets and lost connections.

A target that was reset may have lost what its cache held. What was written since the last flush is
therefore kept, and written anew before anything else goes to a target that was away.
"""

import time

from relun.core.errors import DeviceError
from relun.core.hints import Callable, List, NamedTuple, Optional, Sequence, Tuple
from relun.core.sysfs import BlockNode
from relun.remote import scsi
from relun.remote.address import IscsiAddress, parse_iscsi
from relun.remote.blocks import Range, RemoteDevice, Wire, split
from relun.remote.libiscsi import (
    Command,
    ConnectionLost,
    Redirected,
    Session,
    is_refused_login,
)
from relun.remote.login import Login

_MOST = 1 << 20  # bytes a command transfers unless the LUN says less
_KEPT = 256 << 20  # bytes written since the last flush that are kept for a reset
_PAUSE = 0.05  # seconds before a command is sent again, doubled up to _LONGEST_PAUSE
_LONGEST_PAUSE = 1.0
_REDIRECTIONS = 4


class Patience(NamedTuple):
    """``command``: seconds until a command counts as lost; ``outage``: until relun gives up."""

    command: int = 15
    outage: float = 30.0


class _Lun:
    """One LUN behind its session: commands go in, and come out done or as a DeviceError."""

    def __init__(self, shown: str, login: Login, patience: Patience) -> None:
        self.shown = shown
        self.address: IscsiAddress = parse_iscsi(shown)
        self.login = login.filled(Login(user=self.address.user))
        self.patience = patience
        self.wire = Wire()
        self._outage = patience.outage
        self.suspect = False  # it was away: its cache may be empty, the LUN another one
        self.reservations_changed = False
        self._isid = int.from_bytes(_random(3), "big")
        self._session: Optional[Session] = None

    def connect(self) -> None:
        """Log in, with as much patience as an outage takes when it worked before."""
        portal = self.address.portal
        for _redirection in range(_REDIRECTIONS):
            self.wire.round_trips += 2
            try:
                self._session = Session(
                    portal, self.address.iqn, self.login, self._isid, self.patience.command
                )
            except Redirected as answer:  # arrays spread their load like this
                portal = str(answer)
            else:
                return
        raise ConnectionLost("sent from portal to portal, last to " + portal)

    def connect_first(self) -> None:
        """Log in for the first time. Raise DeviceError at once when that fails."""
        try:
            self.connect()
        except ConnectionLost as error:
            raise self.login_error(error) from error

    def login_error(self, error: ConnectionLost) -> DeviceError:
        """Return the error for a login that failed."""
        code = "remote-login" if is_refused_login(error) else "remote-connect"
        return DeviceError(code, device=self.shown, reason=str(error))

    def attempt(self, commands: Sequence[Command]) -> List[Command]:
        """Send commands once; return those to send again. Raise DeviceError."""
        self.wire.count(len(commands))
        try:
            assert self._session is not None
            self._session.run(self.address.lun, commands)
        except ConnectionLost as error:
            self.disconnect()
            self.lost = error
            self.suspect = True
        return [command for command in commands if self._is_open(command)]

    def ask(self, cdb: bytes, length: int = 255) -> bytes:
        """Return the answer to a command that only asks; empty when the LUN does not know it."""
        command = Command(cdb, length=length)
        self.finish([command], self.attempt)
        return command.answer

    def finish(
        self,
        commands: Sequence[Command],
        attempt: "Callable[[Sequence[Command]], List[Command]]",
    ) -> None:
        """Try until all are done. Raise DeviceError when patience ends."""
        deadline, pause = time.monotonic() + self._outage, 0.0  # a unit attention needs none
        left = list(commands)
        while True:
            self._reconnect(deadline)
            left = attempt(left)
            if not left:
                return
            if time.monotonic() > deadline:
                raise self._given_up(left[0])
            time.sleep(pause)
            pause = min(max(_PAUSE, 2 * pause), _LONGEST_PAUSE)

    def _reconnect(self, deadline: float) -> None:
        """Log in again if the session is gone. Raise DeviceError when that fails."""
        pause = _PAUSE
        while self._session is None:
            try:
                self.connect()
            except ConnectionLost as error:
                if time.monotonic() + pause > deadline or is_refused_login(error):
                    self._outage = 0.0  # what comes after that need not wait as long again
                    raise self.login_error(error) from error
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self._outage = self.patience.outage

    def disconnect(self) -> None:
        """Drop the session."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def logout(self) -> None:
        """End the session in order."""
        if self._session is not None:
            self._session.logout()
            self.disconnect()

    def identify(self, *more: Command) -> scsi.Identity:
        """Ask the LUN who it is, and more in the same round trip. Raise DeviceError."""
        commands = [
            Command(scsi.inquiry_standard(), length=36),
            Command(scsi.inquiry(scsi.SERIAL_PAGE), length=255),
            Command(scsi.inquiry(scsi.IDENTITY_PAGE), length=255),
            Command(scsi.read_capacity(), length=32),
        ]
        self.finish([*commands, *more], self.attempt)
        kind, serial, identity, capacity = commands
        if kind.answer[:1] != scsi.DISK or len(capacity.answer) < 12:
            raise DeviceError("remote-kind", device=self.shown)
        size, block_size = scsi.parse_capacity(capacity.answer)
        return scsi.Identity(
            scsi.parse_serial(serial.answer),
            scsi.parse_scsi_id(identity.answer),
            size,
            block_size,
        )

    def reservation(self) -> Optional[scsi.Reservation]:
        """Return the persistent reservation on the LUN with its holder, None without one."""
        found = scsi.parse_reservation(self.ask(scsi.reserve_in(scsi.READ_RESERVATION), 4096))
        if found is None:
            return None
        return (
            scsi.parse_full_status(self.ask(scsi.reserve_in(scsi.READ_FULL_STATUS), 4096)) or found
        )

    def reserved(self) -> DeviceError:
        """Return the error for a LUN that somebody else has reserved."""
        found = self.reservation()
        if found is None:
            holder, kind = "another initiator", "a SCSI-2 reservation"
        else:
            holder, kind = found.holder, found.kind
        return DeviceError("device-reserved", device=self.shown, holder=holder, kind=kind)

    def _is_open(self, command: Command) -> bool:
        """Tell whether a command is to be sent again. Raise DeviceError when it failed for good."""
        if not command.done:
            return True
        if command.status == scsi.GOOD:
            return False
        command.done = False  # so that it may be sent again
        if command.status in (scsi.BUSY, scsi.TASK_SET_FULL):
            return True
        if command.status == scsi.RESERVATION_CONFLICT:
            raise self.reserved()
        if command.status == scsi.TASK_ABORTED:
            self.suspect = True
            return True
        sense = command.sense
        if sense.unknown_command:
            command.done = True
            return False
        self.suspect = self.suspect or sense.doubtful
        self.reservations_changed = self.reservations_changed or sense.reservations_changed
        if sense.transient:
            return True
        raise self._failed(command)

    def _failed(self, command: Command) -> DeviceError:
        if command.sense.key == scsi.DATA_PROTECT:
            return DeviceError("device-readonly", device=self.shown, reason=str(command.sense))
        if command.sense.no_such_lun:
            return DeviceError("device-missing", device=self.shown, reason=str(command.sense))
        what = {0x88: "read", 0x8A: "write", 0x35: "flush"}.get(command.cdb[0], "a SCSI command")
        return DeviceError(
            "device-io",
            device=self.shown,
            what=what,
            offset=0,
            reason="{}, status {:#x}".format(command.sense, command.status),
        )

    def _given_up(self, command: Command) -> DeviceError:
        if self._session is None:
            return DeviceError("remote-connect", device=self.shown, reason=str(self.lost))
        return self._failed(command)


class IscsiDevice(RemoteDevice):
    """An iSCSI LUN. Open it with ``open_iscsi``."""

    def __init__(self, lun: _Lun, identity: scsi.Identity, most: int) -> None:
        node = BlockNode("", serial=identity.serial, scsi_id=identity.scsi_id)
        super().__init__(lun.shown, identity.size, identity.block_size, node, lun.wire)
        self._lun = lun
        self._identity = identity
        self._most = most
        self._volatile: List[List[Tuple[int, bytes]]] = []  # written since the last flush
        self._writable = False

    def __enter__(self) -> "IscsiDevice":
        return self

    def prepare_writes(self, reserved: bool, protected: bool) -> None:
        """Make sure that the LUN may be written to. Raise DeviceError."""
        self._writable = True
        if reserved:
            raise self._lun.reserved()
        if protected:
            reason = "the array says so"
            raise DeviceError("device-readonly", device=self.path, reason=reason)

    def close(self) -> None:
        """Log out."""
        self._lun.logout()

    def _get(self, spans: Sequence[Range]) -> List[bytes]:
        parts = [part for start, end in spans for part in split(start, end, self._most)]
        commands = [
            Command(scsi.read(*self._blocks(start, end)), length=end - start)
            for start, end in parts
        ]
        self._run(commands)
        data = b"".join(command.answer for command in commands)
        wanted = sum(end - start for start, end in spans)
        if len(data) != wanted:
            raise DeviceError(
                "device-short", device=self.path, offset=spans[0][0], length=wanted, got=len(data)
            )
        found, position = [], 0
        for start, end in spans:
            found.append(data[position : position + end - start])
            position += end - start
        return found

    def _put(self, writes: Sequence[Tuple[int, bytes]]) -> None:
        self._run(self._write_commands(writes))
        self._volatile.append(list(writes))
        if sum(len(data) for batch in self._volatile for _offset, data in batch) > _KEPT:
            self._flush()

    def _flush(self) -> None:
        command = Command(scsi.SYNCHRONIZE_CACHE)
        self._run([command])
        if command.sense.unknown_command and command.status != scsi.GOOD:
            caching = self._lun.ask(scsi.mode_sense(scsi.CACHING_PAGE))
            if scsi.parse_write_cache(caching):
                raise DeviceError("device-no-flush", device=self.path)
        self._volatile = []

    def _write_commands(self, writes: Sequence[Tuple[int, bytes]]) -> List[Command]:
        return [
            Command(scsi.write(*self._blocks(start, end)), data[start - offset : end - offset])
            for offset, data in writes
            for start, end in split(offset, offset + len(data), self._most)
        ]

    def _blocks(self, start: int, end: int) -> Tuple[int, int]:
        return start // self.block_size, (end - start) // self.block_size

    def _run(self, commands: Sequence[Command]) -> None:
        if commands:
            self._lun.finish(commands, self._attempt)

    def _attempt(self, commands: Sequence[Command]) -> List[Command]:
        """Send commands to a LUN that is known to be the one it was, its cache complete."""
        if self._lun.suspect and not self._settled():
            return list(commands)
        left = self._lun.attempt(commands)
        if self._lun.suspect:  # a flush that came through may have flushed too little
            self._reopen(commands)
            return list(commands)
        if self._lun.reservations_changed and self._writable:
            self._lun.reservations_changed = False
            self._expect_unreserved()
        return left

    def _reopen(self, commands: Sequence[Command]) -> None:
        for command in commands:
            command.done = False

    def _settled(self) -> bool:
        """Look at a LUN that was away, write anew what was not flushed; tell whether that held."""
        self._lun.suspect = False
        if self._lun.identify() != self._identity:
            raise DeviceError("device-changed", device=self.path)
        if self._writable:
            self._expect_unreserved()
        for batch in self._volatile:
            self._lun.finish(self._write_commands(batch), self._lun.attempt)
            if self._lun.suspect:
                return False
        return not self._lun.suspect

    def _expect_unreserved(self) -> None:
        if self._lun.reservation() is not None:
            raise self._lun.reserved()


def open_iscsi(
    shown: str,
    login: Login,
    writable: bool = False,
    patience: Patience = Patience(),  # noqa: B008
) -> IscsiDevice:
    """Log in to a LUN. ``shown`` is its address without passwords. Raise DeviceError."""
    lun = _Lun(shown, login, patience)
    if not lun.address.iqn:
        raise DeviceError("address-portal", device=shown)
    lun.connect_first()
    try:
        lun.finish([Command(scsi.TEST_UNIT_READY)], lun.attempt)  # takes the unit attentions
        lun.suspect = lun.reservations_changed = False
        limits = Command(scsi.inquiry(scsi.LIMITS_PAGE), length=255)
        reserved = Command(scsi.reserve_in(scsi.READ_RESERVATION), length=4096)
        modes = Command(scsi.mode_sense(scsi.ALL_PAGES), length=255)
        identity = lun.identify(limits, *((reserved, modes) if writable else ()))
        limit = scsi.parse_limits(limits.answer)
        most = min(_MOST, limit * identity.block_size) if limit else _MOST
        device = IscsiDevice(lun, identity, most)
        if writable:
            device.prepare_writes(
                scsi.parse_reservation(reserved.answer) is not None,
                scsi.parse_write_protected(modes.answer),
            )
    except BaseException:
        lun.logout()
        raise
    return device


def _random(length: int) -> bytes:
    import os

    return os.urandom(length)
