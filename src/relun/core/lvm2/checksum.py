"""The CRC of LVM2: label, mda header and metadata text all use the same one."""

import zlib

# Initial value of calc_crc() in lvm2 lib/misc/crc.c: CRC-32 with this seed and no final xor.
_INITIAL = 0xF597A6CF
_ONES = 0xFFFFFFFF


def lvm_crc(data: bytes) -> int:
    """Return LVM2's CRC-32 of ``data``."""
    return zlib.crc32(data, _INITIAL ^ _ONES) ^ _ONES
