"""One iSCSI LUN behind its session: commands go in, and come out done or as an error.

What passes (attentions, a busy target, a lost connection) is dealt with here; what the loss of a
session means for data is for ``iscsi`` to know.
"""

import os
import time

from relun.core.errors import DeviceError
from relun.core.hints import Callable, List, NamedTuple, Optional, Sequence
from relun.remote import scsi
from relun.remote.address import IscsiAddress, parse_iscsi
from relun.remote.blocks import Wire
from relun.remote.libiscsi import (
    Command,
    ConnectionLost,
    Redirected,
    Session,
    is_refused_login,
)
from relun.remote.login import Login

_PAUSE = 0.05  # seconds before a command is sent again, doubled up to _LONGEST_PAUSE
_LONGEST_PAUSE = 1.0
_REDIRECTIONS = 4


class Patience(NamedTuple):
    """``command``: seconds until a command counts as lost; ``outage``: until relun gives up."""

    command: int = 15
    outage: float = 30.0


class Lun:
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
        self._isid = int.from_bytes(os.urandom(3), "big")
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
