"""Makes LUN images of SRs by declaration: ``build(Sr((Vhd("a"), Vhd("b", parent="a"))), path)``.

Independent of relun's own code, quick and sparse up to thousands of disks, and accepted by LVM2,
libvhdi and qemu-img (tests/oracles/test_builder.py). Runs on CPython 3.6 too.
"""

import hashlib
from typing import Any, Tuple

from support.builder import contents, lvmtext
from support.builder.group import allocate, texts, write_pv, write_runs
from support.builder.ids import Names, lvm_id, make_uuid
from support.builder.luns import empty, filesystem_sr, gfs2, plain_group
from support.builder.model import (
    DEFAULT_MDA,
    MIB,
    SECTOR,
    Built,
    Cbt,
    Journal,
    Place,
    Plain,
    Pv,
    Qcow2,
    Raw,
    Record,
    Ring,
    Sr,
    Vhd,
)
from support.builder.volumes import Volume, prepare, round_up

__all__ = [
    "DEFAULT_MDA",
    "MIB",
    "Built",
    "Cbt",
    "Journal",
    "Plain",
    "Pv",
    "Qcow2",
    "Raw",
    "Record",
    "Ring",
    "Sr",
    "Vhd",
    "build",
    "empty",
    "filesystem_sr",
    "fleet",
    "gfs2",
    "guest",
    "guest_sha256",
    "make_uuid",
    "plain_group",
    "special",
]


def fleet(count: int, **fields: Any) -> Tuple[Vhd, ...]:
    """Return ``count`` single disks of the same kind."""
    return tuple(Vhd("disk-{}".format(number), **fields) for number in range(count))


def special(kind: str, key: str = "", **fields: Any) -> Raw:
    """Return a special VDI: ha_statefile, redo_log, metadata, or rrd."""
    pool = fields.pop("metadata_of_pool", "")
    record = Record(key or kind, name=kind, type=kind, metadata_of_pool=pool)
    body = contents.special(kind, make_uuid("special", kind))
    return Raw(key or kind, data=(), content=body, record=record, **fields)


def guest(built: Built, key: str) -> bytes:
    """Return the whole virtual disk of a volume as it was declared."""
    return bytes(Names(built.sr).guest(key))


def guest_sha256(built: Built, key: str) -> str:
    """Return the SHA-256 of the whole virtual disk as it was declared."""
    return hashlib.sha256(guest(built, key)).hexdigest()


def build(sr: Sr, path: Any) -> Built:
    """Write the SR's LUNs to ``path`` (further PVs to ``path.1``, …); return all ids and places."""
    names = Names(sr)
    volumes = [prepare(sr, names, volume) for volume in sr.volumes]
    if sr.mgt:
        pieces = contents.mgt(sr, names.sr_uuid, names.records(), names.resolve)
        size = round_up(pieces[-1][0] + SECTOR, sr.extent_size)
        volumes.insert(0, Volume("MGT", size, pieces))
    segments, used = allocate(sr, volumes)
    pv_uuids = tuple(lvm_id(sr.seed, "pv/{}".format(n)) for n in range(len(sr.pvs)))
    lvs = [
        lvmtext.TextLv(
            volume.name,
            lvm_id(sr.seed, "lv/" + volume.name),
            parts,
            volume.tags,
            not volume.read_only,
            volume.segment_type,
            creation_host=sr.host,
        )
        for volume, parts in zip(volumes, segments)
    ]
    text, shapes = texts(sr, names.vg, pv_uuids, lvs, used)
    paths = tuple(str(path) + (".{}".format(n) if n else "") for n in range(len(sr.pvs)))
    files = []
    for number, shape in enumerate(shapes):
        file = open(paths[number], "wb")  # noqa: SIM115 - all are closed below
        files.append(file)
        file.truncate(shape.size)
        write_pv(sr, sr.pvs[number], shape, pv_uuids[number], text, file.fileno())
    placed = {}
    for volume, lv in zip(volumes, lvs):
        runs = tuple(
            (pv, shapes[pv].pe_start + first * sr.extent_size, extents * sr.extent_size)
            for extents, pv, first in lv.segments
        )
        placed[lv.name] = Place(lv.name, lv.id, runs)
        for offset, data in volume.pieces:
            write_runs(files, runs, offset, data)
    for file in files:
        file.close()
    vg_uuid = lvm_id(sr.seed, "vg")
    ids = (names.sr_uuid, names.vg, vg_uuid, pv_uuids, placed)
    return Built(paths, sr, *ids, names.uuids, names.names, names.footers, text.body)
