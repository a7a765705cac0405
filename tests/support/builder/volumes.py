"""Volumes made ready: name, size, tags, and the bytes that stand in them."""

from typing import Any, List, NamedTuple, Tuple

from support.builder import contents, qcow2, vhd
from support.builder.ids import Names, make_uuid
from support.builder.model import MIB, SECTOR, Cbt, Journal, Qcow2, Raw, Sr, Vhd

Pieces = List[Tuple[int, bytes]]

_PRIMARY_DEAD = b"\xc7" * SECTOR  # what a writable tapdisk leaves there until it closes


class Volume(NamedTuple):
    """A volume ready to be placed and written."""

    name: str
    size: int  # a multiple of the extent size
    pieces: Pieces
    tags: Tuple[str, ...] = ()
    read_only: bool = False
    segments: int = 1
    pv: int = 0
    segment_type: str = "striped"


def prepare(sr: Sr, names: Names, volume: Any) -> Volume:
    """Return a declared volume ready to be placed."""
    if isinstance(volume, Vhd):
        return _vhd(sr, names, volume)
    if isinstance(volume, Qcow2):
        return _qcow2(sr, names, volume)
    unit = sr.extent_size
    if isinstance(volume, Raw):
        pieces = names.runs(volume) + ([(0, volume.content)] if volume.content else [])
        tags = volume.tags + (("hidden",) if volume.hidden else ())
        where = (volume.read_only, volume.segments, volume.pv)
        return Volume(names.names[volume.key], round_up(volume.size, unit), pieces, tags, *where)
    if isinstance(volume, Cbt):
        name = names.resolve(volume.vdi) + ".cbtlog"
        return Volume(name, unit, contents.cbt(volume, names.resolve), ("cbtlog",))
    if isinstance(volume, Journal):
        return _journal(sr, names, volume)
    pieces = [(0, volume.content)] if volume.content else []
    shape = (volume.read_only, volume.segments, volume.pv, volume.segment_type)
    name = volume.name.replace("{sr}", names.sr_uuid)
    return Volume(name, round_up(volume.size, unit), pieces, volume.tags, *shape)


def _journal(sr: Sr, names: Names, volume: Journal) -> Volume:
    known = volume.vdi in names.footers
    footer = bytes(SECTOR)
    if known:
        footer = vhd.footer(names.footers[volume.vdi], names.by_key[volume.vdi].size, 3, False)
    pieces = contents.journal(volume, footer, names.resolve)
    jvhd = volume.kind == "jvhd"
    name = contents.journal_name(volume, names.resolve)
    size = round_up(8 * MIB if jvhd else 1, sr.extent_size)
    return Volume(name, size, pieces, ("jvhd" if jvhd else "journaler",))


def _vhd(sr: Sr, names: Names, volume: Vhd) -> Volume:
    parent, identifier = "", ""
    if volume.parent:
        known = names.names.get(volume.parent) or "VHD-" + names.resolve(volume.parent)
        parent = volume.parent_name or mapper_name(names.vg, known)
        identifier = names.footers.get(volume.parent, "")
        if volume.parent not in names.by_key:
            identifier = make_uuid(sr.seed, "footer/" + volume.parent)
    written = vhd.write(
        names.footers[volume.key],
        volume.size,
        names.runs(volume),
        volume.hidden,
        volume.bat_entries,
        parent,
        volume.parent_identifier or identifier,
        volume.locators,
    )
    size = round_up(max(volume.lv_size, written.end + SECTOR), sr.extent_size)
    pieces = written.pieces + _footers(written.footer, volume.footers, size)
    where = (volume.read_only, volume.segments, volume.pv)
    return Volume(names.names[volume.key], size, pieces, volume.tags, *where)


def _footers(footer: bytes, state: str, size: int) -> Pieces:
    """Return what overlays the copy at the start, and the primary at the end."""
    if state == "poison":
        return [(0, contents.poisoned(footer)), (size - SECTOR, contents.poisoned(footer))]
    other = vhd.checksummed(footer[:84] + bytes([1]) + footer[85:], 64)
    primary = {"both": footer, "dead-copy": footer, "differ": other}.get(state, _PRIMARY_DEAD)
    dead = [(0, b"\0" * SECTOR)] if state in ("dead-copy", "dead-both") else []
    return [*dead, (size - SECTOR, primary)]


def _qcow2(sr: Sr, names: Names, volume: Qcow2) -> Volume:
    backing, kind = "", ""
    if volume.parent:
        lv = names.names.get(volume.parent) or "QCOW2-" + names.resolve(volume.parent)
        backing = "/dev/{}/{}".format(names.vg, lv)
        if volume.mapper_path:
            backing = "/dev/mapper/" + mapper_name(names.vg, lv)
        kind = "raw" if lv.startswith("LV-") else "qcow2"
    unit = 1 << volume.cluster_bits
    disk = names.guest(volume.key)
    touched = sorted(
        {n for at, size in volume.data for n in range(at // unit, -(-(at + size) // unit))}
    )
    written = qcow2.write(
        volume.size,
        [(n, bytes(disk[n * unit : (n + 1) * unit])) for n in touched],
        volume.cluster_bits,
        backing,
        kind,
        volume.hidden,
        volume.name_first,
        volume.data_file,
    )
    where = (volume.read_only, volume.segments, volume.pv)
    size = round_up(written.end, sr.extent_size)
    return Volume(names.names[volume.key], size, written.pieces, volume.tags, *where)


def mapper_name(vg: str, lv: str) -> str:
    """Return the device-mapper name of a volume."""
    return vg.replace("-", "--") + "-" + lv.replace("-", "--")


def round_up(value: int, unit: int) -> int:
    """Return the next multiple of ``unit``."""
    return -(-value // unit) * unit
