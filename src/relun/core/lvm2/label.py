"""The PV label: one sector among the first four, with the PV uuid and where its areas lie.

Source: lvm2 lib/label/label.h (label_header) and lib/format_text/layout.h (pv_header,
pv_header_extension). All integers are little endian.
"""

import struct

from relun.core.errors import FormatError
from relun.core.hints import List, NamedTuple, Tuple
from relun.core.lvm2.checksum import lvm_crc

SECTOR = 512
SCAN_SECTORS = 4  # LABEL_SCAN_SECTORS: LVM looks at sectors 0 to 3
_ID = b"LABELONE"
_TYPE = b"LVM2 001"
_HEADER = struct.Struct("<8sQII8s")
_PAIR = struct.Struct("<QQ")
_UUID_AT = 32
_AREAS_AT = 72

Area = Tuple[int, int]  # (offset, size) in bytes; size 0 = to the end of the device


class Label(NamedTuple):
    """A label sector. ``raw`` is the whole sector; everything else was read from it."""

    raw: bytes
    sector: int
    pv_uuid: str  # 32 characters, no dashes
    device_size: int  # bytes, as recorded by LVM
    data_areas: Tuple[Area, ...]
    metadata_areas: Tuple[Area, ...]
    extension_version: int  # 0: written before LVM 2.02.99
    bootloader_areas: Tuple[Area, ...]

    @property
    def offset(self) -> int:
        """Byte offset of the label on the device."""
        return self.sector * SECTOR

    def with_pv_uuid(self, pv_uuid: str) -> bytes:
        """Return the sector with another PV uuid and a fresh CRC; all else byte for byte."""
        raw = bytearray(self.raw)
        raw[_UUID_AT : _UUID_AT + 32] = pv_uuid.encode("ascii")
        raw[16:20] = struct.pack("<I", lvm_crc(bytes(raw[20:])))
        return bytes(raw)


def looks_like_label(sector: bytes) -> bool:
    """Tell whether LVM could take this sector for a label.

    LVM accepts a sector by its type alone when the id is something else (_find_lvm_header in
    lib/label/label.c), so both are looked at.
    """
    return sector[:8] == _ID or sector[24:32] == _TYPE


def find_labels(head: bytes) -> List[Label]:
    """Return the labels in the first four sectors. Raise FormatError for one that is damaged."""
    labels = []
    for sector in range(SCAN_SECTORS):
        raw = head[sector * SECTOR : (sector + 1) * SECTOR]
        if looks_like_label(raw):
            labels.append(parse_label(raw, sector))
    return labels


def parse_label(raw: bytes, sector: int) -> Label:
    """Parse a label sector. Raise FormatError (label-*) when LVM itself would not trust it."""
    if len(raw) != SECTOR:
        raise FormatError("label-malformed", sector * SECTOR, sector=sector)
    magic, number, crc, content, kind = _HEADER.unpack_from(raw)
    if magic != _ID or kind != _TYPE or number != sector:
        raise FormatError("label-malformed", sector * SECTOR, sector=sector)
    if crc != lvm_crc(raw[20:]):
        raise FormatError("label-checksum", sector * SECTOR, sector=sector)
    if content != _UUID_AT:
        raise FormatError("label-malformed", sector * SECTOR, sector=sector)
    position = _AREAS_AT
    data_areas, position = _areas(raw, position, sector)
    metadata_areas, position = _areas(raw, position, sector)
    # The lists end on a pair, so that version and flags always fit before the end of the sector.
    version = struct.unpack_from("<I", raw, position)[0]
    bootloader_areas: Tuple[Area, ...] = ()
    if version:
        bootloader_areas, position = _areas(raw, position + 8, sector)
    return Label(
        raw,
        sector,
        raw[_UUID_AT : _UUID_AT + 32].decode("latin-1"),
        struct.unpack_from("<Q", raw, 64)[0],
        data_areas,
        metadata_areas,
        version,
        bootloader_areas,
    )


def _areas(raw: bytes, position: int, sector: int) -> Tuple[Tuple[Area, ...], int]:
    found: List[Area] = []
    while True:
        if position + _PAIR.size > len(raw):
            raise FormatError("label-malformed", sector * SECTOR, sector=sector)
        offset, size = _PAIR.unpack_from(raw, position)
        position += _PAIR.size
        if offset == 0:
            return tuple(found), position
        found.append((offset, size))
