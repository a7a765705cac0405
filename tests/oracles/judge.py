"""Judges a resigned clone beside its original with foreign tools and independent readers."""

import re
import struct
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from relun.core import verbs
from relun.core.device import open_device
from relun.core.options import Options
from support import chain, lvm
from support.compare import Ranges, differences, outside
from support.identity import leftovers, uuids_in
from support.layout import Layout, layout

_SECTOR = 512
_UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Snapshot(NamedTuple):
    """What the original was before; it must be the same afterwards."""

    paths: tuple[str, ...]
    stamps: tuple[tuple[int, int], ...]


def watch(paths: Sequence[str]) -> Snapshot:
    """Remember size and time of change of files that nobody may write to."""
    return Snapshot(tuple(paths), tuple(_stamp(path) for path in paths))


def untouched(before: Snapshot) -> bool:
    """Tell whether the files are as they were."""
    return before.stamps == tuple(_stamp(path) for path in before.paths)


def _stamp(path: str) -> tuple[int, int]:
    about = Path(path).stat()
    return about.st_size, about.st_mtime_ns


def run(verb: str, paths: Sequence[str], *more: Any) -> Any:
    """Run a verb on LUN files opened for writing; return its outcome."""
    devices = [open_device(path, writable=True) for path in paths]
    try:
        return getattr(verbs, verb)(devices, *more)
    finally:
        for device in devices:
            device.close()


def resign(paths: Sequence[str], **options: Any) -> Any:
    """Resign the SR on LUN files; return the outcome."""
    return run("resign", paths, Options(**options))


def assert_separate(
    originals: Sequence[str], clones: Sequence[str], outcome: Any, tolerated: Sequence[str] = ()
) -> None:
    """Assert that LVM2 sees two clean groups and that no id is on both sides."""
    reports = lvm.clean_side_by_side(list(originals), list(clones), tolerated=tolerated)
    before, after = layout(*originals), layout(*clones)
    assert after.vg == before.vg.replace(outcome.old_sr, outcome.new_sr)
    assert leftovers(after, ids_of(before, originals)) == []
    assert {row["vg_name"] for row in reports.vgs} == {before.vg, after.vg}


def ids_of(place: Layout, paths: Sequence[str]) -> set[str]:
    """Return every id of an SR: LVM's as pvck tells, uuids in names, MGT, images and CBT logs.

    So an id that only a dangling reference still names is among them.
    """
    ids: set[str] = set()
    for path in paths:
        text = lvm.dump_metadata(path) if lvm.has_metadata(path) else ""
        ids |= {line.split('"')[1] for line in text.splitlines() if line.startswith("id = ")}
        ids |= uuids_in(text.partition("# Generated")[0].encode("latin-1"))
    for name in place.volumes:
        if name == "MGT":
            ids |= uuids_in(place.read(name, 0, place.size(name)))
        if chain.kind_of(name) == "vhd":
            header = place.read(name, 0, 1536)
            ids |= {_raw(header, 68), _raw(header, 512 + 40)} | uuids_in(header)
        if chain.kind_of(name) == "qcow2":
            ids |= uuids_in(place.read(name, 0, 65536))
        if name.endswith(".cbtlog"):
            head = place.read(name, 0, 32)
            ids |= {_raw(head, 0), _raw(head, 16)}
    return ids - {"00000000-0000-0000-0000-000000000000"}


def _raw(data: bytes, offset: int) -> str:
    text = data[offset : offset + 16].hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def assert_guests(
    originals: Sequence[str], clones: Sequence[str], outcome: Any, expected: dict[str, str]
) -> None:
    """Assert that every image opens through its chain with its data, the tree being the same.

    ``expected``: SHA-256 of the guest data by the original volume's name.
    """
    before, after = chain.read_guests(*originals, hashes=False), chain.read_guests(*clones)
    renamed = {name: renamed_by(name, outcome) for name in before}
    assert set(after) == set(renamed.values())
    for old, new in renamed.items():
        was, now = before[old], after[new]
        assert now.sha256 == expected[old], f"guest data of {old}"
        assert (now.kind, now.type, now.virtual_size) == (was.kind, was.type, was.virtual_size)
        assert now.parent == renamed.get(was.parent, ""), f"parent of {old}"
        if was.kind == "vhd":
            assert now.identifier != was.identifier, f"footer of {old}"


def renamed_by(name: str, outcome: Any) -> str:
    """Return a volume's new name by the outcome's own map."""
    for old, new in outcome.plan.new_ids["vdi"].items():
        if old in name:
            return name.replace(old, new)
    return name


def assert_renamed(originals: Sequence[str], clones: Sequence[str], outcome: Any) -> None:
    """Assert that MGT, CBT logs and journals say the same as before, with the new ids.

    MGT's metadata_of_pool may be empty now, and a sector's padding longer.
    """
    new = outcome.plan.new_ids
    ids = {**new["sr"], **new["vdi"], **new["image"]}
    before, after = layout(*originals), layout(*clones)
    assert len(set(ids.values())) == len(ids)
    for name in before.volumes:
        renamed = renamed_by(name, outcome)
        assert before.size(name) == after.size(renamed)
        if not chain.kind_of(name):
            size = before.size(name) if name == "MGT" else _SECTOR
            was, now = before.read(name, 0, size), after.read(renamed, 0, size)
            for at in range(0, size, _SECTOR):
                old, new_sector = was[at : at + _SECTOR], now[at : at + _SECTOR]
                expected = _mapped(
                    old, ids, raw=name.startswith("jvhd_") or name.endswith(".cbtlog")
                )
                assert _said(new_sector) in (_said(expected), _poolless(expected)), (
                    f"{name}+{at}: {new_sector!r}"
                )


def _mapped(sector: bytes, ids: dict[str, str], raw: bool) -> bytes:
    if not raw:
        return _UUID.sub(lambda m: ids.get(m[0].decode(), m[0].decode()).encode(), sector)
    for old, new in ids.items():
        sector = sector.replace(uuid.UUID(old).bytes, uuid.UUID(new).bytes)
    return sector


def _poolless(sector: bytes) -> bytes:
    empty = b"<metadata_of_pool></metadata_of_pool>"
    return _said(re.sub(rb"<metadata_of_pool>.*</metadata_of_pool>", empty, sector))


def _said(sector: bytes) -> bytes:
    return sector.rstrip(b" ")


def assert_within_plan(originals: Sequence[str], clones: Sequence[str], outcome: Any) -> None:
    """Assert that not one byte differs outside the plan, and no edit touches guest data."""
    plan = outcome.plan
    before = layout(*originals)
    for number, (original, clone) in enumerate(zip(originals, clones, strict=True)):
        edits = [(edit.offset, len(edit.new)) for edit in plan.edits if edit.device == number]
        data = guest_ranges(before, original)
        assert outside(edits, outside(edits, data)) == [], "edits of guest data"
        space: Ranges = [(2048, 2048)]  # the gap with relun's pointer, and its journal
        if plan.change.switch == number:
            region = plan.space.region
            space.append((region.offset, region.size))
        assert outside(differences(original, clone), edits + space) == []


def guest_ranges(place: Layout, path: str) -> Ranges:
    """Return where guest data lies on a LUN: blocks of VHDs, whole raw volumes, QCOW2 clusters."""
    found: Ranges = []
    for name in place.volumes:
        kind = chain.kind_of(name)
        if kind == "raw":
            found += _on(place, name, path, 0, place.size(name))
        if kind == "qcow2":
            cluster = 1 << int.from_bytes(place.read(name, 20, 4), "big")
            found += _on(place, name, path, cluster, place.size(name) - cluster)
        if kind == "vhd":
            for at, size in _blocks(place, name):
                found += _on(place, name, path, at, size)
    return found


def _blocks(place: Layout, name: str) -> Ranges:
    header = place.read(name, _SECTOR, 1024)
    table, _, entries, block = struct.unpack_from(">QIII", header, 16)
    footer = place.read(name, 0, _SECTOR)
    used = min(entries, -(-int.from_bytes(footer[48:56], "big") // block))
    bat = struct.unpack(f">{used}I", place.read(name, table, 4 * used))
    return [(entry * _SECTOR, _SECTOR + block) for entry in bat if entry != 0xFFFFFFFF]


def _on(place: Layout, name: str, path: str, offset: int, length: int) -> Ranges:
    """Return a volume's byte range as ranges of one LUN file."""
    found: Ranges = []
    base = 0
    for part in place.volumes[name]:
        first, last = max(offset, base), min(offset + length, base + part.length)
        if first < last and part.path == path:
            found.append((part.offset + first - base, last - first))
        base += part.length
    return found
