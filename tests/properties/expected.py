"""What a resign must make of an SR, by the builder: the same declaration with the new ids.

Nothing of relun takes part. That a new id is the name-based uuid of the old one below the new SR's
is a promise of relun's, so it is computed here by the standard library.
"""

import re
import tempfile
import uuid
from functools import lru_cache
from pathlib import Path
from typing import Any

from support import builder
from support.builder import Built, Cbt, Journal, Qcow2, Record, Sr, Vhd
from support.builder.ids import Names, make_uuid
from support.sparse import SparseDevice

Luns = tuple[SparseDevice, ...]
_LVM_ID = re.compile(rb'"(\w{6}(?:-\w{4}){5}-\w{6})"')
_OPEN = ("", "OpaqueRef")


@lru_cache(maxsize=64)
def built(sr: Sr) -> tuple[Built, Luns]:
    """Return an SR's LUNs and what was built; not to be written to."""
    with tempfile.TemporaryDirectory(prefix="sr-") as folder:
        made = builder.build(sr, Path(folder) / "lun")
        luns = tuple(SparseDevice.load(path) for path in made.paths)
    return made, luns


def copies(luns: Luns) -> list[SparseDevice]:
    """Return LUNs of one's own."""
    return [lun.copy() for lun in luns]


def same(some: Any, others: Any) -> bool:
    """Tell whether LUNs are equal byte for byte."""
    return all(one.pages == other.pages for one, other in zip(some, others, strict=True))


def new_vdi(new_sr: str, old: str) -> str:
    """Return a VDI's new uuid."""
    return str(uuid.uuid5(uuid.UUID(new_sr), old))


def new_image(new_sr: str, old: str) -> str:
    """Return a VHD's new uuid."""
    return str(uuid.uuid5(uuid.uuid5(uuid.UUID(new_sr), "image"), old))


def renamed(sr: Sr, new_sr: str) -> Sr:
    """Return the declaration of the same SR with its new ids."""
    names = Names(sr)

    def vdi(key: str) -> str:
        """A key of a volume stays, for it has a new uuid; all else becomes a literal one."""
        if key.startswith(_OPEN[1]) or not key or key in names.by_key:
            return key
        return new_vdi(new_sr, names.resolve(key))

    def record(old: Record) -> Record:
        pool = old.metadata_of_pool
        return old._replace(
            vdi=vdi(old.vdi),
            snapshot_of=vdi(old.snapshot_of),
            metadata_of_pool=pool if pool == "OpaqueRef:NULL" else "",
        )

    def volume(old: Any) -> Any:
        if isinstance(old, Cbt):
            return old._replace(vdi=vdi(old.vdi), parent=vdi(old.parent), child=vdi(old.child))
        if isinstance(old, Journal):
            return old._replace(vdi=vdi(old.vdi), payload=tuple(map(vdi, old.payload)))
        new = old._replace(
            uuid=new_vdi(new_sr, names.uuids[old.key]),
            record=record(old.record) if old.record else old.record,
        )
        if isinstance(old, (Vhd, Qcow2)) and old.parent not in names.by_key:
            new = new._replace(parent=vdi(old.parent))
        if isinstance(old, Vhd):
            # Whatever stood at either end, the good footer now stands at both.
            new = new._replace(
                footers="both", footer_uuid=new_image(new_sr, names.footers[old.key])
            )
            if old.parent and old.parent not in names.by_key:
                gone = old.parent_identifier or make_uuid(sr.seed, "footer/" + old.parent)
                new = new._replace(parent_identifier=new_image(new_sr, gone))
        return new

    return sr._replace(
        uuid=new_sr,
        volumes=tuple(map(volume, sr.volumes)),
        records=tuple(map(record, sr.records)),
        stale_records=tuple(map(record, sr.stale_records)),
    )


def volumes(made: Built, luns: Any) -> dict[str, bytes]:
    """Return the bytes of every volume, those of its zero pages left out, by name."""
    found = {}
    for name, place in made.lvs.items():
        parts = []
        for pv, start, length in place.runs:
            for low, high in luns[pv].data_ranges(start, start + length):
                parts.append(str(low - start).encode() + b":" + luns[pv].read(low, high - low))
        found[name] = b"".join(parts)
    return found


def texts(luns: Any) -> list[bytes]:
    """Return the current text of every metadata area in use, found by label and header."""
    found = []
    for lun in luns:
        for start in areas(lun):
            header = lun.read(start, 512)
            size = int.from_bytes(header[32:40], "little")
            offset, length = (int.from_bytes(header[at : at + 8], "little") for at in (40, 48))
            if header[60] & 1 or not length:  # ignored, or nothing there
                continue
            first = min(length, size - offset)
            found.append(lun.read(start + offset, first) + lun.read(start + 512, length - first))
    return found


def labels(luns: Any) -> list[tuple[int, bytes]]:
    """Return (sector number, bytes) of each LUN's label."""
    found = []
    for lun in luns:
        head = [lun.read(sector * 512, 512) for sector in range(4)]
        found += [(n, raw) for n, raw in enumerate(head) if raw[:8] == b"LABELONE"]
    return found


def areas(lun: SparseDevice) -> list[int]:
    """Return where a LUN's metadata areas begin."""
    [(_sector, raw)] = labels([lun])
    pairs = [int.from_bytes(raw[at : at + 8], "little") for at in range(72, 400, 16)]
    first = pairs.index(0) + 1
    return pairs[first : pairs.index(0, first)]


def lvm_ids(text: bytes) -> list[bytes]:
    """Return all ids of a text, in order."""
    return _LVM_ID.findall(text)


def anonymous(text: bytes, seqno: int) -> bytes:
    """Return a text without its ids, and with ``seqno`` taken off its number."""
    number = int(re.search(rb"seqno = (\d+)", text).group(1))  # type: ignore[union-attr]
    text = text.replace(b"seqno = %d" % number, b"seqno = %d" % (number - seqno), 1)
    text = re.sub(rb"device_id(_type)? = .*\n", b"", text)
    text = re.sub(rb'description = ".*"', b'description = ""', text)
    return _LVM_ID.sub(b'""', text).rstrip(b"\0\n")


def forms(plain: str) -> list[bytes]:
    """Return a dashed uuid in every encoding that any structure uses."""
    undashed, doubled = plain.replace("-", ""), plain.replace("-", "--")
    texts_ = [plain, undashed, doubled, plain.upper(), undashed.upper()]
    found = [text.encode(code) for text in texts_ for code in ("ascii", "utf-16-le", "utf-16-be")]
    raw = uuid.UUID(plain)
    return [*found, raw.bytes, raw.bytes_le]
