"""VHD bytes as libvhd writes them: footers, header, BAT, batmap, locators, blocks."""

import struct
import uuid
from typing import Dict, List, NamedTuple, Sequence, Tuple

BLOCK = 2 << 20
SECTOR = 512
_HEADER_AT = 512
_BAT_AT = 1536
_UNUSED = 0xFFFFFFFF
_DATA_ALIGNMENT = 4096  # blktap aligns a block's data, so its bitmap lies in the sector before
CREATED = 764157952  # seconds since 2000-01-01 00:00 UTC

Pieces = List[Tuple[int, bytes]]


class Written(NamedTuple):
    """The pieces (offset in the volume) without the primary footer, and the bytes they need."""

    pieces: Pieces
    footer: bytes
    end: int


def checksummed(data: bytes, offset: int) -> bytes:
    """Return ``data`` with the inverted sum of its bytes at ``offset``."""
    blank = data[:offset] + bytes(4) + data[offset + 4 :]
    return data[:offset] + struct.pack(">I", ~sum(blank) & 0xFFFFFFFF) + data[offset + 4 :]


def footer(identifier: str, size: int, kind: int, hidden: bool, created: int = CREATED) -> bytes:
    """Return a footer; kind 3 is dynamic, 4 differencing."""
    data = struct.pack(">8sIIQI4sII", b"conectix", 2, 0x10000, 512, created, b"tap\0", 0x10003, 0)
    data += struct.pack(">QQIII", size, size, geometry(size), kind, 0)
    data += uuid.UUID(identifier).bytes + bytes([0, int(hidden)])
    return checksummed(data.ljust(SECTOR, b"\0"), 64)


def geometry(size: int) -> int:
    """Return cylinders, heads and sectors by the VHD specification's rule."""
    sectors = min(size // SECTOR, 65535 * 16 * 255)
    if sectors > 65535 * 16 * 63:
        per_track, heads = 255, 16
        cylinders = sectors // per_track // heads
    else:
        per_track = 17
        by_head = sectors // per_track
        heads = max(4, (by_head + 1023) // 1024)
        if by_head >= heads * 1024 or heads > 16:
            per_track, heads = 31, 16
            by_head = sectors // per_track
        if by_head >= heads * 1024:
            per_track, heads = 63, 16
            by_head = sectors // per_track
        cylinders = by_head // heads
    return cylinders << 16 | heads << 8 | per_track


def header(
    entries: int,
    parent_identifier: str = "",
    parent_name: str = "",
    locators: Sequence[Tuple[bytes, int, int]] = (),
    parent_time: int = 0,
) -> bytes:
    """Return the sparse header; ``locators`` are (code, data length, data offset)."""
    data = struct.pack(
        ">8sQQIIII", b"cxsparse", 0xFFFFFFFFFFFFFFFF, _BAT_AT, 0x10000, entries, BLOCK, 0
    )
    data += uuid.UUID(parent_identifier).bytes if parent_identifier else bytes(16)
    data += struct.pack(">II", parent_time, 0)
    data += parent_name.encode("utf-16-be").ljust(512, b"\0")
    for code, length, offset in locators:
        data += struct.pack(">4sIIIQ", code, SECTOR, length, 0, offset)
    return checksummed(data.ljust(1024, b"\0"), 36)


def locator_text(code: str, name: str) -> bytes:
    """Return a locator's data for a parent of mapper name ``name``."""
    if code.startswith("W2"):
        return (".\\" + name).encode("utf-16-le")
    return ("file://./" + name).encode("ascii")


def write(
    identifier: str,
    size: int,
    runs: Sequence[Tuple[int, bytes]],
    hidden: bool = False,
    bat_entries: int = 0,
    parent: str = "",
    parent_identifier: str = "",
    locators: Sequence[str] = (),
) -> Written:
    """Return a VHD with the guest data of ``runs``; with ``parent`` (mapper name) differencing."""
    entries = bat_entries or -(-size // BLOCK)
    bat_end = _up(_BAT_AT + 4 * entries, SECTOR)
    map_size = _up(-(-entries // 8), SECTOR)
    at = bat_end + SECTOR + map_size
    slots: List[Tuple[bytes, int, int]] = []
    pieces: Pieces = []
    for code in locators if parent else ():
        data = locator_text(code, parent)
        slots.append((code.encode("ascii"), len(data), at))
        pieces.append((at, data))
        at += SECTOR
    table, blocks, end = _blocks(runs, at if parent else at + 3 * SECTOR)
    first = footer(identifier, size, 4 if parent else 3, hidden)
    bat = bytearray(b"\xff" * (bat_end - _BAT_AT))
    for block, sector in table.items():
        struct.pack_into(">I", bat, 4 * block, sector)
    pieces += [(0, first), (_HEADER_AT, header(entries, parent_identifier, parent, slots))]
    pieces += [(_BAT_AT, bytes(bat)), (bat_end, _batmap_header(bat_end + SECTOR, map_size))]
    return Written(pieces + blocks, first, end)


def _batmap_header(offset: int, size: int) -> bytes:
    # The map is all zero (no block is full), so the inverted sum of its bytes is all ones.
    data = struct.pack(">8sQIII", b"tdbatmap", offset, size // SECTOR, 0x10002, 0xFFFFFFFF)
    return data.ljust(SECTOR, b"\0")


def _blocks(runs: Sequence[Tuple[int, bytes]], at: int) -> Tuple[Dict[int, int], Pieces, int]:
    table: Dict[int, int] = {}
    bitmaps: Dict[int, bytearray] = {}
    pieces: Pieces = []
    for offset, data in runs:
        while data:
            block, inside = divmod(offset, BLOCK)
            if block not in table:
                start = _up(at + SECTOR, _DATA_ALIGNMENT) - SECTOR
                table[block], bitmaps[block] = start // SECTOR, bytearray(SECTOR)
                at = start + SECTOR + BLOCK
            part = data[: BLOCK - inside]
            for sector in range(inside // SECTOR, (inside + len(part)) // SECTOR):
                bitmaps[block][sector // 8] |= 0x80 >> sector % 8
            pieces.append((table[block] * SECTOR + SECTOR + inside, part))
            offset, data = offset + len(part), data[len(part) :]
    pieces += [(table[block] * SECTOR, bytes(bitmap)) for block, bitmap in bitmaps.items()]
    return table, pieces, at


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
