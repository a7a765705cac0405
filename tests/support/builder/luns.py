"""LUNs that are no LVM SR: empty, gfs2-like, a plain volume group, SRs with a filesystem."""

import os
import struct
from typing import Tuple

from support.builder.model import MIB, Plain, Sr

_GFS2_SUPERBLOCK = 65536


def empty(path: str, size: int = 64 * MIB) -> str:
    """Write a LUN of zeros; return the path."""
    return _sparse(path, size, ())


def gfs2(path: str, size: int = 64 * MIB) -> str:
    """Write a LUN whose superblock is that of a GFS2; return the path."""
    head = struct.pack(">IIQIIII", 0x01161970, 1, 0, 100, 0, 1801, 1900)
    head += struct.pack(">III", 0, 4096, 12) + bytes(44)
    names = b"lock_dlm".ljust(64, b"\0") + b"xapi-cluster:sr".ljust(64, b"\0")
    return _sparse(path, size, ((_GFS2_SUPERBLOCK, head + names),))


def plain_group(seed: str = "plain") -> Sr:
    """Return a volume group of LVM that is no SR."""
    return Sr((Plain("root"), Plain("swap-1")), seed=seed, vg_name="vg_system", mgt=False)


def filesystem_sr(prefix: str = "XSLocalEXT-", seed: str = "ext", uuid: str = "") -> Sr:
    """Return an SR whose VDIs are files: one volume with an ext superblock."""
    block = bytearray(1024)
    struct.pack_into("<II", block, 0, 1024, 4096)
    struct.pack_into("<H", block, 0x38, 0xEF53)
    block[0x88 : 0x88 + 15] = b"/run/sr-mount/x"
    content = bytes(1024) + bytes(block)
    return Sr((Plain("{sr}", 8 * MIB, content),), seed, uuid, vg_prefix=prefix, mgt=False)


def _sparse(path: str, size: int, pieces: Tuple[Tuple[int, bytes], ...]) -> str:
    with open(path, "wb") as file:
        file.truncate(size)
        for offset, data in pieces:
            os.pwrite(file.fileno(), data, offset)
    return path
