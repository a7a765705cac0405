"""QCOW2 inside an LV: the header, its extensions and the backing file name.

Source: qemu docs/interop/qcow2.txt; SM's private extension 0x76617465 ("vate") from XCP-ng's
qcow2util. All integers are big endian. There is no checksum and no uuid.
"""

import struct

from relun.core.errors import FormatError
from relun.core.hints import Dict, NamedTuple

MAGIC = b"QFI\xfb"
EXTERNAL_DATA = 1 << 2
_HEADER = struct.Struct(">4sIQIIQ")
_MAX_NAME = 1023
_EXT_END, _EXT_DATA_FILE, _EXT_HIDDEN = 0, 0x44415441, 0x76617465
_V2_LENGTH, _V3_LENGTH = 72, 104


class Qcow2Header(NamedTuple):
    """What relun needs of a QCOW2 header; offsets and sizes in bytes."""

    version: int
    backing_offset: int  # 0: no backing file
    backing_size: int
    cluster_size: int
    virtual_size: int
    hidden: bool
    external_data: bool


def parse_qcow2(head: bytes) -> Qcow2Header:
    """Parse the first bytes of an image (4 KiB or more, up to its first cluster).

    Raise FormatError (qcow2-header) for a wrong magic, version or size.
    """
    if len(head) < _V3_LENGTH:
        raise FormatError("qcow2-header", 0)
    magic, version, offset, size, cluster_bits, virtual_size = _HEADER.unpack_from(head)
    if magic != MAGIC or version not in (2, 3) or not 9 <= cluster_bits <= 21:
        raise FormatError("qcow2-header", 0)
    cluster_size = 1 << cluster_bits
    if offset and not (0 < size <= _MAX_NAME and offset + size <= cluster_size):
        raise FormatError("qcow2-header", 8)
    incompatible, length = 0, _V2_LENGTH
    if version == 3:
        incompatible = struct.unpack_from(">Q", head, 72)[0]
        length = struct.unpack_from(">I", head, 100)[0]
        if length < _V3_LENGTH:
            raise FormatError("qcow2-header", 100)
    if 0 < offset < length:  # the name lies behind the header and its extensions
        raise FormatError("qcow2-header", 8)
    extensions = _extensions(head, length, offset or cluster_size)
    return Qcow2Header(
        version,
        offset,
        size if offset else 0,
        cluster_size,
        virtual_size,
        extensions.get(_EXT_HIDDEN, b"")[:1] == b"\1",
        bool(incompatible & EXTERNAL_DATA) or _EXT_DATA_FILE in extensions,
    )


def _extensions(head: bytes, position: int, end: int) -> Dict[int, bytes]:
    found: Dict[int, bytes] = {}
    end = min(end, len(head))
    while position + 8 <= end:
        kind, length = struct.unpack_from(">II", head, position)
        if kind == _EXT_END:
            break
        position += 8
        if position + length > end:
            raise FormatError("qcow2-header", position - 8)
        found[kind] = head[position : position + length]
        position += -(-length // 8) * 8
    return found
