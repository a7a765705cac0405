"""QCOW2 bytes (version 3): one file with header, refcounts, one L1 table, L2 tables and data."""

import struct
from typing import List, NamedTuple, Optional, Sequence, Tuple

_COPIED = 1 << 63  # the cluster belongs to this table alone
_BACKING_FORMAT = 0xE2792ACA
_DATA_FILE = 0x44415441
_PRIVATE = 0x76617465  # SM's own extension: its first byte is the hidden mark
_L1_CLUSTER = 3

Pieces = List[Tuple[int, bytes]]


class Written(NamedTuple):
    """The pieces (offset in the volume) and the bytes the image needs."""

    pieces: Pieces
    end: int


def write(
    size: int,
    clusters: Sequence[Tuple[int, bytes]],
    cluster_bits: int = 16,
    backing: str = "",
    backing_format: str = "",
    hidden: Optional[bool] = None,
    name_last: bool = False,
    data_file: bool = False,
) -> Written:
    """Return an image; ``clusters`` are (guest cluster number, its whole content)."""
    unit = 1 << cluster_bits
    per_table = unit // 8
    tables = {}  # L2 number -> cluster
    place = _L1_CLUSTER + 1
    content = {}
    entries = {}
    for number, data in clusters:
        if number // per_table not in tables:
            tables[number // per_table] = place
            place += 1
        entries[number], content[place] = place, data
        place += 1
    l1_size = max(1, -(-size // (unit * per_table)))
    l1 = bytearray(unit)
    for number, cluster in tables.items():
        struct.pack_into(">Q", l1, 8 * number, cluster * unit | _COPIED)
    l2 = {cluster: bytearray(unit) for cluster in tables.values()}
    for number, cluster in entries.items():
        table = l2[tables[number // per_table]]
        struct.pack_into(">Q", table, 8 * (number % per_table), cluster * unit | _COPIED)
    refcounts = struct.pack(">{}H".format(place), *([1] * place))
    pieces = [
        (
            0,
            _header(
                size, cluster_bits, l1_size, backing, backing_format, hidden, name_last, data_file
            ),
        ),
        (unit, struct.pack(">Q", 2 * unit)),
        (2 * unit, refcounts),
        (_L1_CLUSTER * unit, bytes(l1)),
    ]
    pieces += [(cluster * unit, bytes(table)) for cluster, table in l2.items()]
    pieces += [(cluster * unit, data) for cluster, data in content.items()]
    return Written(pieces, place * unit)


def _header(
    size: int,
    bits: int,
    l1_size: int,
    backing: str,
    backing_format: str,
    hidden: Optional[bool],
    name_last: bool,
    data_file: bool,
) -> bytes:
    unit = 1 << bits
    extensions = b""
    if backing_format:
        extensions += _extension(_BACKING_FORMAT, backing_format.encode("ascii"))
    if data_file:
        extensions += _extension(_DATA_FILE, b"/dev/elsewhere/data")
    if hidden is not None:
        extensions += _extension(_PRIVATE, bytes([int(hidden)]) + bytes(7))
    extensions += bytes(8)  # end mark
    name = backing.encode("ascii")
    at = (unit - len(name) if name_last else 104 + len(extensions)) if name else 0
    head = b"QFI\xfb" + struct.pack(">IQIIQ", 3, at, len(name), bits, size)
    head += struct.pack(">IIQQIIQ", 0, l1_size, _L1_CLUSTER * unit, unit, 1, 0, 0)
    head += struct.pack(">QQQII", 4 if data_file else 0, 0, 0, 4, 104)
    head += extensions
    return head.ljust(at, b"\0") + name if name else head


def _extension(kind: int, data: bytes) -> bytes:
    return struct.pack(">II", kind, len(data)) + data.ljust(-(-len(data) // 8) * 8, b"\0")
