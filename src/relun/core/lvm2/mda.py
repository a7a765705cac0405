"""A metadata area (mda): a 512-byte header and a ring buffer of metadata texts.

Source: lvm2 lib/format_text/layout.h (mda_header, raw_locn) and format-text.c. All integers are
little endian; text offsets are relative to the start of the area.
"""

import struct

from relun.core.errors import FormatError
from relun.core.hints import NamedTuple, Optional, Tuple
from relun.core.lvm2.checksum import lvm_crc

HEADER_SIZE = 512
_MAGIC = b" LVM2 x[5A%r0N*>"
_HEADER = struct.Struct("<I16sIQQ")
_LOCN = struct.Struct("<QQII")
_SLOTS_AT = 40
_IGNORED = 1

Piece = Tuple[int, int]  # (offset relative to the area's start, length)


class RawLocation(NamedTuple):
    """Where a text lies: ``size`` counts its final NUL, ``flags`` bit 0 marks an ignored area."""

    offset: int
    size: int
    checksum: int
    flags: int


class MdaHeader(NamedTuple):
    """The header of one area. ``start`` and ``size`` (bytes, header included) locate the area."""

    raw: bytes
    start: int
    size: int
    committed: RawLocation
    precommitted: RawLocation

    @property
    def ignored(self) -> bool:
        """LVM does not read the text of an ignored area."""
        return bool(self.committed.flags & _IGNORED)

    @property
    def empty(self) -> bool:
        """The area holds no text: its PV belongs to no VG, or it was never written."""
        return self.committed.offset == 0 or self.committed.size == 0

    def pieces(self, offset: int, size: int) -> Tuple[Piece, ...]:
        """Split ``size`` bytes at ring ``offset`` where they wrap round the end of the area."""
        first = min(size, self.size - offset)
        if first == size:
            return ((offset, size),)
        return ((offset, first), (HEADER_SIZE, size - first))

    def used(self) -> Tuple[Piece, ...]:
        """Return (offset, end) in the area of what either slot points to: nobody's free space.

        The precommitted slot is not looked at when it is read, so one that makes no sense is none.
        """
        found: Tuple[Piece, ...] = ()
        for where in (self.committed, self.precommitted):
            if HEADER_SIZE <= where.offset < self.size and where.size <= self.size - HEADER_SIZE:
                found += self.pieces(where.offset, where.size)
        return tuple((at, at + length) for at, length in found)

    def with_committed(self, offset: int, text: bytes) -> bytes:
        """Return the header pointing to ``text`` at ``offset``, nothing precommitted."""
        location = (offset, len(text), lvm_crc(text), self.committed.flags)
        raw = bytearray(self.raw)
        _LOCN.pack_into(raw, _SLOTS_AT, *location)
        _LOCN.pack_into(raw, _SLOTS_AT + _LOCN.size, 0, 0, 0, 0)
        raw[0:4] = struct.pack("<I", lvm_crc(bytes(raw[4:])))
        return bytes(raw)

    def place(self, size: int) -> Optional[int]:
        """Return a ring offset for a new text of ``size`` bytes, None when there is no room.

        After the committed text, at the ring's start, or wrapped; never over the committed text,
        always on a sector, and never starting in the ring's last sector: LVM 2.02 reads the VG
        name at the start of a text without unwrapping (_vgname_from_mda).
        """
        if HEADER_SIZE + size > self.size:
            return None
        if self.empty:
            return HEADER_SIZE
        old = self.pieces(self.committed.offset, self.committed.size)
        after = _round_up(sum(old[-1]))
        candidates = [HEADER_SIZE]
        if after + HEADER_SIZE < self.size:
            wraps = after + size > self.size
            candidates.insert(1 if wraps else 0, after)
        for offset in candidates:
            if not _overlap(self.pieces(offset, _round_up(size)), old):
                return offset
        return None


def parse_mda_header(raw: bytes, start: int, size: int) -> MdaHeader:
    """Parse the header of the area the label places at ``start`` with ``size`` bytes.

    Raise FormatError (mda-*) when its CRC, magic, place or text location is wrong.
    """
    if len(raw) != HEADER_SIZE:
        raise FormatError("mda-malformed", start)
    crc, magic, version, own_start, own_size = _HEADER.unpack_from(raw)
    if magic != _MAGIC or version != 1:
        raise FormatError("mda-malformed", start)
    if crc != lvm_crc(raw[4:]):
        raise FormatError("mda-checksum", start)
    if own_start != start or own_size != size:
        raise FormatError("mda-malformed", start)
    slots = [
        RawLocation(*_LOCN.unpack_from(raw, _SLOTS_AT + index * _LOCN.size)) for index in (0, 1)
    ]
    header = MdaHeader(raw, start, size, slots[0], slots[1])
    where = slots[0]
    if not header.empty and not (
        HEADER_SIZE <= where.offset < size and where.size <= size - HEADER_SIZE
    ):
        raise FormatError("mda-text-bounds", start, text_offset=where.offset, text_size=where.size)
    return header


def check_text(header: MdaHeader, text: bytes) -> bytes:
    """Return ``text`` if its CRC is the header's. Raise FormatError (mda-text-checksum) if not."""
    if lvm_crc(text) != header.committed.checksum:
        raise FormatError("mda-text-checksum", header.start + header.committed.offset)
    return text


def _round_up(offset: int) -> int:
    return -(-offset // HEADER_SIZE) * HEADER_SIZE


def _overlap(some: Tuple[Piece, ...], others: Tuple[Piece, ...]) -> bool:
    return any(
        a < other_at + other_len and other_at < a + length
        for a, length in some
        for other_at, other_len in others
    )
