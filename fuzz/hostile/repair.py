"""Renews checksums after a mutation, so that a fuzzer gets past them.

The formats' checksums are computed here anew, from their specifications, not by relun.
"""

import struct
import zlib

SECTOR = 512
_LVM_START = 0xF597A6CF ^ 0xFFFFFFFF
_MDA_MAGIC = bytes.fromhex("204c564d3220785b35412572304e2a3e")
_PAGE = 1024


def lvm_crc(data: bytes) -> int:
    """Return LVM2's CRC-32: its own start value, not inverted at the end."""
    return zlib.crc32(data, _LVM_START) ^ 0xFFFFFFFF


def label(sector: bytes) -> bytes:
    """Return a label sector with its checksum renewed."""
    return sector[:16] + struct.pack("<I", lvm_crc(sector[20:SECTOR])) + sector[20:]


def mda(sector: bytes) -> bytes:
    """Return a metadata area's header with its checksum renewed."""
    return struct.pack("<I", lvm_crc(sector[4:SECTOR])) + sector[4:]


def vhd(data: bytes, at: int) -> bytes:
    """Return a VHD footer (``at`` 64) or header (36) with its checksum renewed."""
    blank = data[:at] + bytes(4) + data[at + 4 :]
    return data[:at] + struct.pack(">I", ~sum(blank) & 0xFFFFFFFF) + data[at + 4 :]


def own(sector: bytes) -> bytes:
    """Return relun's marker or pointer with its checksum renewed."""
    return sector[: SECTOR - 4] + struct.pack("<I", zlib.crc32(sector[: SECTOR - 4]))


def page(data: bytes) -> bytes:
    """Return a page of relun's journal with its checksum renewed (the last field of 28 bytes)."""
    crc = zlib.crc32(data[:24] + bytes(4) + data[28:])
    return data[:24] + struct.pack("<I", crc) + data[28:]


def any_structure(data: bytes) -> bytes:
    """Return up to 1024 bytes with the checksum of whatever structure begins there renewed."""
    sector = data[:SECTOR]
    if sector[:8] == b"LABELONE":
        return label(sector) + data[SECTOR:]
    if sector[4:20] == _MDA_MAGIC:
        return mda(sector) + data[SECTOR:]
    if sector[:8] in (b"conectix", b"v_poison"):
        return vhd(sector, 64) + data[SECTOR:]
    if sector[:8] == b"cxsparse" and len(data) >= 2 * SECTOR:
        return vhd(data[: 2 * SECTOR], 36)
    if sector[:5] == b"RELUN":
        return own(sector) + data[SECTOR:]
    if sector[:4] == b"RLNJ" and len(data) >= _PAGE:
        return page(data[:_PAGE])
    return data
