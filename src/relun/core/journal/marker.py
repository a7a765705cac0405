"""The marker, which stands where the label was while a LUN is in progress, and the pointer.

Both are one 512-byte sector: a text for a person with a hex dump, then the fields, then a CRC-32.
All integers are little endian.
"""

import struct
import zlib

from relun.core.hints import NamedTuple, Optional

SECTOR = 512
POINTER_AT = 2048
STASH_AT = POINTER_AT + SECTOR
TAG_SIZE = 8
LARGEST_REGION = 16 << 20  # bytes; a forged pointer could claim anything
GAP_END = 4096  # the first metadata area starts here or later

RESIGN = 1  # going forward: the clone gets its new identity
UNDO = 2  # going back: the edits are being reverted
CLEAR = 3  # back already, but for the journal's own space
DIRECTIONS = {RESIGN: "resign", UNDO: "undo", CLEAR: "undo"}

_FIELDS_AT = 192
_CRC_AT = SECTOR - 4
_MARKER_MAGIC = b"RELUN IN PROGRESS"
_MARKER_TEXT = (
    'RELUN IN PROGRESS: the LVM label of this LUN is put away. Run "relun recover" (or "relun '
    'undo") on it. Journal at byte {}, {} bytes.\n'
)
_POINTER_MAGIC = b"RELUN JOURNAL AT "
_POINTER_TEXT = (
    'RELUN JOURNAL AT byte {}, {} bytes. "relun undo" needs it, "relun seal" removes it.\n'
)
_REGION = struct.Struct("<QI8sB")  # offset, size, tag, flags
_ZEROED, _PRESENT, _HERE = 1, 2, 4
_MARKER = struct.Struct("<BBBB8s20s21s21s32sH")
_POINTER = struct.Struct("<21sB21s32sI")


class Region(NamedTuple):
    """Where a journal lies: bytes on its LUN. ``zeroed``: nothing but zeros lay there before.

    ``tag`` (8 bytes) stands in each of its pages, so that no other journal's page is taken for one.
    ``here`` is False on the other LUNs of its VG, which only say that they belong to it.
    """

    offset: int
    size: int
    zeroed: bool
    tag: bytes
    here: bool = True


class Pointer(NamedTuple):
    """``begun`` until the edits are applied: then ``previous``, ``pv_uuid`` and ``seqno`` count.

    ``previous`` is the pointer that this one replaced. The PV uuid and seqno are those of the
    untouched clone: LVM has not written since as long as they still hold.
    """

    region: Region
    begun: bool = False
    previous: Optional[Region] = None
    pv_uuid: str = ""
    seqno: int = 0

    def pack(self) -> bytes:
        """Return the sector."""
        fields = _POINTER.pack(
            _pack_region(self.region),
            self.begun,
            _pack_region(self.previous),
            self.pv_uuid.encode("latin-1"),
            self.seqno,
        )
        return _sector(_POINTER_TEXT.format(self.region.offset, self.region.size), fields)


class Marker(NamedTuple):
    """``member``: number of the LUN in its VG; the one numbered ``switch`` has the journal."""

    direction: int
    member: int
    switch: int
    members: int
    token: bytes  # 8 random bytes: which run wrote it
    digest: bytes  # SHA-1 of the journal's payload, 20 bytes
    region: Region
    previous: Optional[Region]
    switch_pv: str  # uuid, before the resign, of the PV with the journal
    old_label: bytes  # the sector as it was, 512 bytes

    @property
    def is_switch(self) -> bool:
        """This LUN holds the journal; its label is what decides."""
        return self.member == self.switch

    def pack(self) -> bytes:
        """Return the sector. Raise ValueError when the old label is too long even compressed."""
        label = _deflated(self.old_label)
        fields = _MARKER.pack(
            self.direction,
            self.member,
            self.switch,
            self.members,
            self.token,
            self.digest,
            _pack_region(self.region),
            _pack_region(self.previous),
            self.switch_pv.encode("latin-1"),
            len(label),
        )
        return _sector(_MARKER_TEXT.format(self.region.offset, self.region.size), fields + label)


MOST_MEMBERS = 255  # a byte in the marker counts the LUNs


def fits_marker(old_label: bytes) -> bool:
    """Tell whether a label sector, compressed, has room in a marker: one as LVM writes it has."""
    return len(_deflated(old_label)) <= _CRC_AT - _FIELDS_AT - _MARKER.size


def parse_marker(sector: bytes) -> Optional[Marker]:
    """Return the marker in a sector, None when there is none or its CRC is wrong."""
    if not sector.startswith(_MARKER_MAGIC) or not _crc_holds(sector):
        return None
    direction, member, switch, members, token, digest, region, previous, switch_pv, size = (
        _MARKER.unpack_from(sector, _FIELDS_AT)
    )
    where = _unpack_region(region)
    label_at = _FIELDS_AT + _MARKER.size
    inflate = zlib.decompressobj()
    try:
        label = inflate.decompress(sector[label_at : label_at + size], SECTOR)
    except zlib.error:
        return None
    if where is None or direction not in DIRECTIONS or len(label) != SECTOR:
        return None
    return Marker(
        direction,
        member,
        switch,
        members,
        token,
        digest,
        where,
        _unpack_region(previous),
        switch_pv.rstrip(b"\0").decode("latin-1"),
        label,
    )


def parse_pointer(sector: bytes) -> Optional[Pointer]:
    """Return the pointer in a sector, None when there is none or its CRC is wrong."""
    if not sector.startswith(_POINTER_MAGIC) or not _crc_holds(sector):
        return None
    region, begun, previous, pv_uuid, seqno = _POINTER.unpack_from(sector, _FIELDS_AT)
    where = _unpack_region(region)
    if where is None:
        return None
    pv = pv_uuid.rstrip(b"\0").decode("latin-1")
    return Pointer(where, bool(begun), _unpack_region(previous), pv, seqno)


def _deflated(label: bytes) -> bytes:
    """Return a zlib stream of a sector, made with the smallest window: quick to set up."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, 9, 1)
    return deflate.compress(label) + deflate.flush()


def _sector(text: str, fields: bytes) -> bytes:
    body = text.encode("ascii").ljust(_FIELDS_AT, b"\0") + fields
    if len(body) > _CRC_AT:
        raise ValueError("{} bytes do not fit".format(len(body)))
    body = body.ljust(_CRC_AT, b"\0")
    return body + struct.pack("<I", zlib.crc32(body))


def _crc_holds(sector: bytes) -> bool:
    return bool(struct.unpack_from("<I", sector, _CRC_AT)[0] == zlib.crc32(sector[:_CRC_AT]))


def _pack_region(region: Optional[Region]) -> bytes:
    if region is None:
        return bytes(_REGION.size)
    flags = _PRESENT | (_ZEROED if region.zeroed else 0) | (_HERE if region.here else 0)
    return _REGION.pack(region.offset, region.size, region.tag, flags)


def _unpack_region(raw: bytes) -> Optional[Region]:
    offset, size, tag, flags = _REGION.unpack(raw)
    if not flags & _PRESENT or size > LARGEST_REGION:
        return None
    return Region(offset, size, bool(flags & _ZEROED), tag, bool(flags & _HERE))
