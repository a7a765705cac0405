"""What stands inside MGT, CBT logs, journals and special VDIs."""

import struct
import uuid
from typing import Callable, List, Sequence, Tuple

from support.builder import vhd
from support.builder.model import SECTOR, Cbt, Journal, Record, Sr

Pieces = List[Tuple[int, bytes]]
Resolve = Callable[[str], str]

_NAMES_LIMIT, _NAME_LIMIT = 445, 222
_JOURNAL_COOKIE = 0xAAAA12344321AAAA
# SM 7+ gives the backup of the pool's metadata this VDI uuid: uuid5 of it and the SR's uuid.
_POOL_BACKUP = uuid.UUID("e93e0639-2bdb-4a59-8b46-352b3f408c19")


def pool_backup_uuid(sr_uuid: str) -> str:
    """Return the VDI uuid by which xe-backup-metadata finds its disk in an SR."""
    return str(uuid.uuid5(_POOL_BACKUP, sr_uuid))


def mgt(sr: Sr, sr_uuid: str, records: Sequence[Record], resolve: Resolve) -> Pieces:
    """Return MGT's sectors; records lie in the given order, stale ones beyond the length."""
    length = 4 * SECTOR + 2 * SECTOR * len(records)
    texts = [sr.mgt_header or "XSSM:{:<10}:1:2".format(length).encode("ascii")]
    texts.append(
        '<?xml version="1.0" ?><uuid>{}</uuid><allocation>{}</allocation>'.format(
            sr_uuid, sr.allocation
        ).encode("ascii")
    )
    texts.append(_element("name_label", _escaped(sr.name)))
    texts.append(_element("name_description", _escaped(sr.description)))
    for record in [*records, *sr.stale_records]:
        texts += [_first(record), _second(record, len(texts) * SECTOR, resolve)]
    return [(n * SECTOR, text.ljust(SECTOR, b" ")[:SECTOR]) for n, text in enumerate(texts)]


def _first(record: Record) -> bytes:
    name, description = _escaped(record.name), _escaped(record.description)
    if len(name) + len(description) > _NAMES_LIMIT:  # cut after escaping, as SM does
        name, description = name[:_NAME_LIMIT], description[:_NAME_LIMIT]
    made = b"<vdi>" + _element("name_label", name) + _element("name_description", description)
    return record.first or made


def _second(record: Record, offset: int, resolve: Resolve) -> bytes:
    if record.second:
        return record.second
    fields = [
        ("uuid", resolve(record.vdi)),
        ("is_a_snapshot", str(record.is_a_snapshot)),
        ("snapshot_of", resolve(record.snapshot_of)),
        ("snapshot_time", record.snapshot_time),
        ("type", record.type),
        ("vdi_type", record.vdi_type),
        ("read_only", str(record.read_only)),
        ("managed", str(record.managed)),
        ("metadata_of_pool", record.metadata_of_pool),
        ("deleted", str(record.deleted)),
    ]
    if record.updated:
        fields.append(("offset", str(offset)))
    if record.python2:  # a dictionary without order
        fields.sort(key=lambda field: field[0][::-1])
    return b"".join(_element(name, value.encode("utf-8")) for name, value in fields) + b"</vdi>"


def _element(name: str, value: bytes) -> bytes:
    tag = name.encode("ascii")
    return b"<" + tag + b">" + value + b"</" + tag + b">"


def _escaped(text: str) -> bytes:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").encode("utf-8")


def cbt(log: Cbt, resolve: Resolve) -> Pieces:
    """Return a changed-block log: header and a bitmap with one bit set."""
    ids = [uuid.UUID(resolve(key)).bytes if key else bytes(16) for key in (log.parent, log.child)]
    head = b"".join(ids) + struct.pack("<iiQ", log.consistent, 0, log.size)
    return [(0, head + b"\x01")]


def journal_name(journal: Journal, resolve: Resolve) -> str:
    """Return the journal volume's name."""
    vdi = resolve(journal.vdi)
    if journal.kind == "jvhd":
        return "jvhd_" + vdi
    value = journal.value
    if journal.in_name:
        value = "_".join(resolve(key) for key in journal.payload)
    return "{}_{}_{}".format(journal.kind, vdi, value)


def journal(entry: Journal, footer: bytes, resolve: Resolve) -> Pieces:
    """Return the journal's content; ``footer`` is the image's, saved by a resize journal."""
    if entry.kind == "jvhd":
        return [] if entry.state == "empty" else _resize_journal(entry, footer)
    if entry.payload and not entry.in_name:
        value = "_".join(resolve(key) for key in entry.payload)
        text = "{} {}".format(len(value), value)
        return [(0, text.encode("ascii").ljust(SECTOR, b" "))]
    return []


def _resize_journal(entry: Journal, footer: bytes) -> Pieces:
    saved = [] if entry.state == "committed" else [(1, footer), (2, footer)]
    body = b""
    for kind, data in saved:
        head = struct.pack(">QIIQII", _JOURNAL_COOKIE, kind, len(data), 0, 0, 0)
        check = ~sum(head + data) & 0xFFFFFFFF
        body += head[:24] + struct.pack(">II", check, 0) + data
    head = b"vjournal" + footer[68:84] + struct.pack(">QIIQQ", 0, 0, len(saved), 0, SECTOR)
    head += struct.pack("<Q", SECTOR + len(body))
    return [(0, head.ljust(SECTOR, b"\0")), (SECTOR, body)]


def special(kind: str, sr_uuid: str) -> bytes:
    """Return the first bytes of a special VDI: ha_statefile, redo_log, metadata or rrd."""
    if kind == "ha_statefile":
        return b"pool" + uuid.UUID(sr_uuid).bytes.ljust(4092, b"\0")
    if kind in ("redo_log", "metadata"):
        return b"redo-log--------" + b"\0\0" + sr_uuid.encode("ascii")
    if kind == "rrd":
        return struct.pack(">III", 0x7ADA7ADA, 1, 16) + b"stats of this SR"
    raise ValueError(kind)


def poisoned(footer: bytes) -> bytes:
    """Return a footer as it stands while a resize journal is open."""
    return vhd.checksummed(b"v_poison" + footer[8:], 64)
