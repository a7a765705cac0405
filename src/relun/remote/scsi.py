"""SCSI: the few commands that relun sends, and what comes back. Bytes only, no I/O.

Layouts: SPC-4 (INQUIRY, VPD pages, sense data, PERSISTENT RESERVE IN) and SBC-3 (READ CAPACITY,
READ, WRITE, SYNCHRONIZE CACHE, block limits).
"""

import struct

from relun.core.hints import Dict, List, NamedTuple, Optional, Tuple

# Status byte.
GOOD, CHECK_CONDITION, BUSY = 0x00, 0x02, 0x08
RESERVATION_CONFLICT, TASK_SET_FULL, TASK_ABORTED = 0x18, 0x28, 0x40

# Sense keys.
NOT_READY, ILLEGAL_REQUEST, UNIT_ATTENTION, DATA_PROTECT, ABORTED_COMMAND = 2, 5, 6, 7, 0xB

DISK = b"\0"  # first byte of the standard INQUIRY data: there, and a disk
SERIAL_PAGE, IDENTITY_PAGE, LIMITS_PAGE = 0x80, 0x83, 0xB0
TEST_UNIT_READY = bytes(6)
SYNCHRONIZE_CACHE = bytes([0x35]) + bytes(9)  # all blocks, not done before they are durable

READ_RESERVATION, READ_FULL_STATUS = 1, 3
ALL_PAGES, CACHING_PAGE = 0x3F, 0x08

_RESERVATION_TYPES: Dict[int, str] = {
    1: "write exclusive",
    3: "exclusive access",
    5: "write exclusive, registrants only",
    6: "exclusive access, registrants only",
    7: "write exclusive, all registrants",
    8: "exclusive access, all registrants",
}

# (type of designator, format of NAA), the best first.
_PREFERRED = ((3, 6), (3, 5), (3, 2), (3, 3), (2, 0), (1, 0))

# (sense key, ASC, ASCQ or None for any) -> words.
_SENSE: Tuple[Tuple[int, int, Optional[int], str], ...] = (
    (NOT_READY, 0x04, 0x01, "the LUN is becoming ready"),
    (NOT_READY, 0x04, 0x0A, "the path is in transition"),
    (NOT_READY, 0x04, 0x0B, "this path is on standby: another portal serves the LUN"),
    (NOT_READY, 0x04, 0x0C, "this path is unavailable: another portal serves the LUN"),
    (NOT_READY, 0x3A, None, "no medium"),
    (3, 0x11, None, "unrecovered read error"),
    (3, 0x0C, None, "write error"),
    (ILLEGAL_REQUEST, 0x20, None, "the target does not know the command"),
    (ILLEGAL_REQUEST, 0x21, None, "the block lies outside the LUN"),
    (ILLEGAL_REQUEST, 0x25, None, "there is no LUN of this number"),
    (DATA_PROTECT, 0x27, 0x07, "the array has no space left"),
    (DATA_PROTECT, 0x27, None, "the LUN is write-protected"),
)
_KEYS = {
    1: "recovered error",
    NOT_READY: "not ready",
    3: "medium error",
    4: "hardware error",
    ILLEGAL_REQUEST: "illegal request",
    UNIT_ATTENTION: "unit attention",
    DATA_PROTECT: "data protect",
    ABORTED_COMMAND: "aborted command",
    0xE: "miscompare",
}


class Sense(NamedTuple):
    """Why a command failed."""

    key: int = 0
    asc: int = 0
    ascq: int = 0

    @property
    def transient(self) -> bool:
        """Worth the same command again, a moment later."""
        becoming_ready = self.key == NOT_READY and (self.asc, self.ascq) in ((4, 1), (4, 0x0A))
        return becoming_ready or self.key in (UNIT_ATTENTION, ABORTED_COMMAND)

    @property
    def doubtful(self) -> bool:
        """The target may have lost what its cache held, or offer another LUN than before.

        After a power cycle or reset; another capacity; other inquiry data or LUNs.
        """
        changed = (self.asc, self.ascq) in ((0x2A, 0x09), (0x3F, 0x03), (0x3F, 0x0E))
        return self.key == UNIT_ATTENTION and (self.asc == 0x29 or changed)

    @property
    def reservations_changed(self) -> bool:
        """Somebody took, preempted or released a reservation."""
        return self.key == UNIT_ATTENTION and self.asc == 0x2A and self.ascq in (3, 4, 5)

    @property
    def no_such_lun(self) -> bool:
        """The target has no LUN of this number, for this initiator at least."""
        return self.key == ILLEGAL_REQUEST and self.asc == 0x25

    @property
    def unknown_command(self) -> bool:
        """The target does not implement the command, or this form of it."""
        return self.key == ILLEGAL_REQUEST and self.asc in (0x20, 0x24)

    def __str__(self) -> str:
        for key, asc, ascq, words in _SENSE:
            if (key, asc) == (self.key, self.asc) and ascq in (None, self.ascq):
                return words
        name = _KEYS.get(self.key, "sense key {:x}h".format(self.key))
        return "{} ({:02x}h/{:02x}h)".format(name, self.asc, self.ascq)


class Identity(NamedTuple):
    """Who a LUN is, and how large: another LUN at the same address differs in one of these."""

    serial: str
    scsi_id: str  # as scsi_id(8) and the pool spell it
    size: int
    block_size: int


class Reservation(NamedTuple):
    """A persistent reservation. ``holder``: the initiator's name, or its key alone."""

    key: int
    kind: str
    holder: str


def inquiry(page: int, length: int = 255) -> bytes:
    """Return the command for a page of vital product data."""
    return struct.pack(">BBBHB", 0x12, 1, page, length, 0)


def inquiry_standard() -> bytes:
    """Return the command for the standard data, whose first byte says what kind of unit it is."""
    return struct.pack(">BBBHB", 0x12, 0, 0, 36, 0)


def read_capacity() -> bytes:
    """Return READ CAPACITY (16)."""
    return struct.pack(">BBQIBB", 0x9E, 0x10, 0, 32, 0, 0)


def mode_sense(page: int) -> bytes:
    """Return MODE SENSE (6)."""
    return struct.pack(">BBBBBB", 0x1A, 0x08, page, 0, 255, 0)


def report_luns(length: int = 4096) -> bytes:
    """Return REPORT LUNS."""
    return struct.pack(">B5xIBB", 0xA0, length, 0, 0)


def reserve_in(action: int, length: int = 4096) -> bytes:
    """Return PERSISTENT RESERVE IN."""
    return struct.pack(">BB5xHB", 0x5E, action, length, 0)


def read(block: int, count: int) -> bytes:
    """Return READ (16)."""
    return struct.pack(">BBQIBB", 0x88, 0, block, count, 0, 0)


def write(block: int, count: int) -> bytes:
    """Return WRITE (16)."""
    return struct.pack(">BBQIBB", 0x8A, 0, block, count, 0, 0)


def parse_capacity(data: bytes) -> Tuple[int, int]:
    """Return the LUN's size and its block size in bytes."""
    last, block_size = struct.unpack(">QI", data[:12])
    return (last + 1) * block_size, block_size


def parse_page(data: bytes) -> bytes:
    """Return the content of a page of vital product data."""
    return data[4 : 4 + int.from_bytes(data[2:4], "big")]


def parse_serial(data: bytes) -> str:
    """Return the unit serial number (page 80h)."""
    return parse_page(data).decode("ascii", "replace").strip(" \0")


def parse_scsi_id(data: bytes) -> str:
    """Return the LUN's id of page 83h as scsi_id(8) spells it: 3<naa>, 2<eui>, 1<vendor's>.

    Of several the one that scsi_id prefers: NAA of format 6, 5, 2, 3; EUI-64; the vendor's own.
    """
    page = parse_page(data)
    found: Dict[Tuple[int, int], str] = {}
    while len(page) >= 4:
        code_set, kind, length = page[0] & 0xF, page[1] & 0x3F, page[3]
        value, page = page[4 : 4 + length], page[4 + length :]
        if kind >> 4 or not any(value):  # a port's or the whole target's, or none
            continue
        text = value.hex() if code_set == 1 else value.decode("ascii", "replace")
        form = value[0] >> 4 if kind == 3 else 0
        found.setdefault((kind, form), str(kind) + "_".join(text.strip(" \0").split()))
    return next((found[which] for which in _PREFERRED if which in found), "")


def parse_limits(data: bytes) -> int:
    """Return the most blocks that one command may transfer (page B0h); 0 when there is no limit."""
    page = parse_page(data)
    return int.from_bytes(page[4:8], "big") if len(page) >= 8 else 0


def parse_write_protected(data: bytes) -> bool:
    """Tell by any MODE SENSE (6) data whether the LUN is write-protected."""
    return len(data) > 2 and bool(data[2] & 0x80)


def parse_write_cache(data: bytes) -> bool:
    """Tell by the caching mode page whether the target has a write cache that may lose data."""
    page = data[4 + data[3] :] if len(data) > 4 else b""
    return len(page) > 2 and page[0] & 0x3F == CACHING_PAGE and bool(page[2] & 0x04)


def parse_luns(data: bytes) -> List[int]:
    """Return the numbers of the LUNs with peripheral or flat addresses up to 255."""
    length = min(int.from_bytes(data[:4], "big"), len(data) - 8)
    entries = [data[8 + at : 8 + at + 8] for at in range(0, length, 8)]
    return sorted(entry[1] for entry in entries if entry[0] in (0, 0x40))


def parse_reservation(data: bytes) -> Optional[Reservation]:
    """Return the reservation of a READ RESERVATION answer, None when there is none."""
    if len(data) < 22 or int.from_bytes(data[4:8], "big") < 16:
        return None
    key = int.from_bytes(data[8:16], "big")
    return Reservation(key, _kind(data[21] & 0xF), "key {:#018x}".format(key))


def parse_full_status(data: bytes) -> Optional[Reservation]:
    """Return the reservation of a READ FULL STATUS answer with its holder's name."""
    end = 8 + int.from_bytes(data[4:8], "big")
    position = 8
    while position + 24 <= min(end, len(data)):
        entry = data[position:]
        length = int.from_bytes(entry[20:24], "big")
        if entry[12] & 1:
            key = int.from_bytes(entry[:8], "big")
            name = _transport_id(entry[24 : 24 + length])
            holder = "{} (key {:#018x})".format(name, key) if name else "key {:#018x}".format(key)
            return Reservation(key, _kind(entry[13] & 0xF), holder)
        position += 24 + length
    return None


def _kind(number: int) -> str:
    return _RESERVATION_TYPES.get(number, "type {}".format(number))


def _transport_id(data: bytes) -> str:
    if len(data) < 24:
        return ""
    protocol = data[0] & 0xF
    if protocol == 5:  # iSCSI: a name, with ",i,0x…" behind it when the format bits are 01b
        name = data[4 : 4 + int.from_bytes(data[2:4], "big")].split(b"\0")[0]
        return name.decode("utf-8", "replace").split(",i,")[0]
    if protocol == 0:
        return "WWPN " + data[8:16].hex()
    return ""
