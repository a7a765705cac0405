"""VHD inside an LV: two footers, the sparse header, the parent's name and locators.

Source: blktap vhd/lib/libvhd.c and include/vhd.h. All integers are big endian. Offsets count bytes
from the start of the LV. Each class wraps the raw bytes; a ``with_…`` method returns new ones.
"""

import struct
from zlib import adler32

from relun.core.errors import FormatError
from relun.core.hints import List, NamedTuple, Tuple, Union

FOOTER_SIZE = 512
HEADER_SIZE = 1024
HEADER_AT = 512
TYPE_FIXED, TYPE_DYNAMIC, TYPE_DIFFERENCING = 2, 3, 4
ZERO_UUID = bytes(16)

_COOKIE = b"conectix"
_POISON = b"v_poison"  # a resize journal is open: openers refuse the image
_HEADER_COOKIE = b"cxsparse"
_CHECKSUM_AT = 64
_UUID_AT = 68
_HIDDEN_AT = 85
_OLD_CREATORS = (0x00000001, 0x00010001)  # set ``hidden`` without a new checksum
_NAME_AT, _NAME_SIZE = 64, 512
_LOCATORS_AT, _LOCATOR_COUNT = 576, 8
_LOCATOR = struct.Struct(">4sIIIQ")
_ENCODINGS = {
    b"MacX": "utf-8",
    b"Mac ": "utf-8",
    b"W2ku": "utf-16-le",
    b"W2ru": "utf-16-le",
    b"Wi2k": "utf-8",
    b"Wi2r": "utf-8",
}


def checksum(raw: Union[bytes, bytearray], at: int) -> int:
    """Return the ones' complement of the byte sum, the checksum field itself taken as zero."""
    return ~(_byte_sum(raw) - sum(raw[at : at + 4])) & 0xFFFFFFFF


def _byte_sum(raw: Union[bytes, bytearray]) -> int:
    """Return the sum of all bytes, by Adler-32: its low half is 1 + the sum, modulo 65,521.

    Exact for up to 256 bytes at a time, and ten times as fast as ``sum``.
    """
    return sum([(adler32(raw[at : at + 256]) & 0xFFFF) - 1 for at in range(0, len(raw), 256)])


class Footer(NamedTuple):
    """A footer (512 bytes)."""

    raw: bytes

    @property
    def valid(self) -> bool:
        """Length, cookie and checksum are right."""
        whole = len(self.raw) == FOOTER_SIZE
        return whole and self.raw[:8] in (_COOKIE, _POISON) and self._checksum_holds()

    @property
    def poisoned(self) -> bool:
        """A resize was interrupted: the image is waiting for its journal."""
        return self.raw[:8] == _POISON

    @property
    def uuid(self) -> bytes:
        """The image's own uuid, 16 bytes; not the VDI's."""
        return self.raw[_UUID_AT : _UUID_AT + 16]

    @property
    def type(self) -> int:
        """2 fixed, 3 dynamic, 4 differencing."""
        return _u32(self.raw, 60)

    @property
    def virtual_size(self) -> int:
        """Bytes the guest sees."""
        return int(struct.unpack_from(">Q", self.raw, 48)[0])

    @property
    def header_offset(self) -> int:
        """Where the sparse header lies, bytes from the start."""
        return int(struct.unpack_from(">Q", self.raw, 16)[0])

    @property
    def hidden(self) -> bool:
        """A base copy, not offered to guests."""
        return self.raw[_HIDDEN_AT] != 0

    def with_uuid(self, uuid: bytes) -> "Footer":
        """Return the footer with another uuid and a fresh checksum."""
        raw = bytearray(self.raw)
        raw[_UUID_AT : _UUID_AT + 16] = uuid
        raw[_CHECKSUM_AT : _CHECKSUM_AT + 4] = struct.pack(">I", checksum(raw, _CHECKSUM_AT))
        return Footer(bytes(raw))

    def _checksum_holds(self) -> bool:
        stored = _u32(self.raw, _CHECKSUM_AT)
        actual = checksum(self.raw, _CHECKSUM_AT)
        if stored != actual and _u32(self.raw, 32) in _OLD_CREATORS:
            actual = (actual + self.raw[_HIDDEN_AT]) & 0xFFFFFFFF
        return stored == actual


class Locator(NamedTuple):
    """One of the eight places that tell where the parent is."""

    slot: int
    code: bytes
    space: int  # bytes on disk
    length: int  # bytes used
    offset: int  # bytes from the start of the LV

    def decode(self, data: bytes) -> str:
        """Return the path in ``data``. Raise FormatError (vhd-locator) when it cannot be read."""
        encoding = _ENCODINGS.get(self.code)
        try:
            if encoding is None:
                raise ValueError(self.code)
            return data[: self.length].decode(encoding)
        except ValueError:
            raise FormatError(
                "vhd-locator", self.offset, slot=self.slot, kind=self.code.decode("latin-1")
            ) from None

    def encode(self, path: str) -> bytes:
        """Return ``path`` as this locator stores it."""
        return path.encode(_ENCODINGS[self.code])


class Header(NamedTuple):
    """The sparse header (1024 bytes)."""

    raw: bytes

    @property
    def parent_uuid(self) -> bytes:
        """The parent's footer uuid; all zero for a raw parent or none."""
        return self.raw[40:56]

    @property
    def parent_name(self) -> str:
        """The parent's device-mapper name, empty when there is none."""
        return _parent_name(self.raw)

    @property
    def bat_offset(self) -> int:
        """Where the block allocation table lies, bytes from the start of the LV."""
        return int(struct.unpack_from(">Q", self.raw, 16)[0])

    def locators(self) -> Tuple[Locator, ...]:
        """Return the locators in use. Raise FormatError (vhd-locator) for impossible ones."""
        found: List[Locator] = []
        for slot in range(_LOCATOR_COUNT):
            at = _LOCATORS_AT + slot * _LOCATOR.size
            code, space, length, _reserved, offset = _LOCATOR.unpack_from(self.raw, at)
            if code == bytes(4):
                continue
            if space < 512:  # written by others in sectors, by libvhd in bytes
                space *= 512
            if not 0 < length <= min(space, 64 * 1024):
                kind = code.decode("latin-1")
                raise FormatError("vhd-locator", HEADER_AT + at, slot=slot, kind=kind)
            found.append(Locator(slot, code, space, length, offset))
        return tuple(found)

    def with_parent(self, uuid: bytes, name: str) -> "Header":
        """Return the header naming another parent, checksum renewed.

        Raise FormatError (vhd-header) for a name of another length: it could not be put in place.
        """
        encoded = name.encode("utf-16-be")
        if len(name) != len(self.parent_name) or len(encoded) > _NAME_SIZE:
            raise FormatError("vhd-header", HEADER_AT + _NAME_AT)
        raw = bytearray(self.raw)
        raw[40:56] = uuid
        raw[_NAME_AT : _NAME_AT + len(encoded)] = encoded
        raw[36:40] = struct.pack(">I", checksum(raw, 36))
        return Header(bytes(raw))


def parse_header(raw: bytes) -> Header:
    """Parse a sparse header.

    Raise FormatError (vhd-header) for a wrong length, cookie or checksum, or a parent name that is
    no text.
    """
    if len(raw) != HEADER_SIZE or raw[:8] != _HEADER_COOKIE or _u32(raw, 36) != checksum(raw, 36):
        raise FormatError("vhd-header", HEADER_AT)
    try:
        _parent_name(raw)
    except UnicodeDecodeError:
        raise FormatError("vhd-header", HEADER_AT + _NAME_AT) from None
    return Header(raw)


def _parent_name(raw: bytes) -> str:
    return raw[_NAME_AT : _NAME_AT + _NAME_SIZE].decode("utf-16-be").split("\0", 1)[0]


def _u32(raw: bytes, at: int) -> int:
    return int(struct.unpack_from(">I", raw, at)[0])
