"""Contents of SM's journal volumes: the value of clone_ and leaf_, the VHD resize journal.

Source: SM's journaler (value in the first sector as "<length> <value>", space padded) and blktap
vhd/lib/libvhd-journal.c.
"""

import struct

from relun.core.errors import FormatError
from relun.core.hints import NamedTuple
from relun.core.names import is_uuid

SECTOR = 512
_VHD_JOURNAL = b"vjournal"


def parse_payload(sector: bytes) -> str:
    """Return the value in a clone_ or leaf_ journal's first sector.

    It is one uuid, or two joined by "_" of which the second may be empty. Raise FormatError
    (journal-payload) for anything else.
    """
    length, _space, rest = sector.partition(b" ")
    value = rest[: int(length)] if length.isdigit() and len(length) < 4 else b""
    text = value.decode("latin-1")
    first, _underscore, second = text.partition("_")
    if not length.isdigit() or len(text) != int(length) or not is_uuid(first):
        raise FormatError("journal-payload", 0)
    if second and not is_uuid(second):
        raise FormatError("journal-payload", 0)
    return text


def replace_payload(sector: bytes, old: str, new: str) -> bytes:
    """Return the sector with ``old`` replaced by ``new`` of the same length."""
    at = sector.index(b" ") + 1
    return sector[:at] + new.encode("ascii") + sector[at + len(old) :]


class ResizeJournal(NamedTuple):
    """The header of a jvhd_ volume (512 bytes, big endian)."""

    raw: bytes

    @property
    def present(self) -> bool:
        """There is a journal header at all."""
        return self.raw[:8] == _VHD_JOURNAL

    @property
    def uuid(self) -> bytes:
        """Footer uuid of the image being resized."""
        return self.raw[8:24]

    @property
    def live(self) -> bool:
        """There are entries to be applied or reverted."""
        return self.present and self.raw[32:40] != bytes(8)

    def with_uuid(self, uuid: bytes) -> "ResizeJournal":
        """Return the header naming another image."""
        return ResizeJournal(self.raw[:8] + uuid + self.raw[24:])


def entry_count(journal: ResizeJournal) -> int:
    """Return the number of entries, for messages."""
    return int(sum(struct.unpack_from(">II", journal.raw, 32)))
