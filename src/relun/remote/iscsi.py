"""iSCSI LUNs: devices over a session that outlives resets and lost connections.

A target that was reset may have lost what its cache held. What was written since the last flush is
therefore kept, and written anew before anything else goes to a target that was away.
"""

from relun.core.errors import DeviceError
from relun.core.hints import List, Sequence, Tuple
from relun.core.sysfs import BlockNode
from relun.remote import scsi
from relun.remote.blocks import Range, RemoteDevice, split
from relun.remote.libiscsi import Command
from relun.remote.login import Login
from relun.remote.lun import Lun, Patience

_MOST = 1 << 20  # bytes a command transfers unless the LUN says less
_KEPT = 256 << 20  # bytes written since the last flush that are kept for a reset


class IscsiDevice(RemoteDevice):
    """An iSCSI LUN. Open it with ``open_iscsi``."""

    def __init__(self, lun: Lun, identity: scsi.Identity, most: int) -> None:
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
    lun = Lun(shown, login, patience)
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
