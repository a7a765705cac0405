"""Verify: is a resigned SR sound, and does nothing in it lead back to the original?"""

from relun.core.device import Device
from relun.core.errors import FormatError
from relun.core.finding import NOTE, REFUSE, Finding
from relun.core.hints import Dict, Iterator, List, Set, Tuple
from relun.core.identity import pack_uuid
from relun.core.journal.marker import GAP_END
from relun.core.lvm2.vg import shown_uuid
from relun.core.options import Options
from relun.core.plan import build_plan
from relun.core.repository import Repository, applied_change
from relun.core.rewrite.images import identity_ranges

_CHUNK = 1 << 20
_EVERYTHING = Options(force_journals=True, force_mgt=True, lvm_only=True)
_NO_FAULTS = ("journal-undo", "sr-filesystem")  # refusals that say nothing against the SR itself

Range = Tuple[int, int]  # (start, end) in bytes


def check_soundness(clone: Repository) -> List[Finding]:
    """Return what is wrong with the clone's own structures."""
    return [f for f in clone.findings if f.severity != NOTE and f.code not in _NO_FAULTS]


def check_against(clone: Repository, original: Repository) -> List[Finding]:
    """Return how the clone differs from what a resign of ``original`` should have made of it.

    Faults that the original has too are no differences. Raise Refused when the original cannot be
    planned for, DeviceError when something cannot be read.
    """
    inherited = [finding.code for finding in check_soundness(original)]
    findings = []
    for finding in check_soundness(clone):
        if finding.code in inherited:
            inherited.remove(finding.code)
        else:
            findings.append(finding)
    if clone.vg is None:
        return findings
    same = clone.sr_uuid == original.sr_uuid
    plan = build_plan(original, _EVERYTHING._replace(sr_uuid="" if same else clone.sr_uuid))
    findings += _old_ids(clone, plan.new_ids)
    findings += _foreign_bytes(clone, original, _planned(clone, original))
    return findings


def _old_ids(clone: Repository, ids: Dict[str, Dict[str, str]]) -> Iterator[Finding]:
    """Yield one finding for each id of the original that the clone still shows."""
    raw: Dict[bytes, Tuple[str, str]] = {}
    text: Dict[bytes, Tuple[str, str]] = {}
    for kind, given in ids.items():
        for old in given:
            if kind != "lvm":
                raw[pack_uuid(old)] = (kind, old)
            dashed = shown_uuid(old) if kind == "lvm" else old
            for form in (dashed, dashed.replace("-", "")):
                text[form.encode("latin-1")] = (kind, old)
    told: Set[Tuple[str, str]] = set()
    for where, offset, data in _metadata(clone):
        hits = [(offset + at, found) for at, found in _hits(data.rstrip(b"\0") + bytes(16), raw)]
        hits += [(offset, found) for _at, found in _hits(_plain(data), text)]
        for at, (kind, old) in hits:
            if (kind, old) not in told:
                told.add((kind, old))
                yield Finding("old-id", REFUSE, where, at, {"kind": kind, "id": old})


def _hits(
    data: bytes, wanted: Dict[bytes, Tuple[str, str]]
) -> Iterator[Tuple[int, Tuple[str, str]]]:
    """Yield where any of ``wanted`` stands; the time does not grow with their number."""
    for size in {len(form) for form in wanted}:
        for at in range(len(data) - size + 1):
            if data[at : at + size] in wanted:
                yield at, wanted[data[at : at + size]]


def _plain(data: bytes) -> bytes:
    """Return text of any width and dash doubling in one form: UTF-16 without its zero bytes."""
    return data.replace(b"\0", b"").replace(b"--", b"-")


def _metadata(clone: Repository) -> Iterator[Tuple[str, int, bytes]]:
    """Yield (where, LUN offset, bytes) of all that may hold an id, relun's journal apart."""
    for lun in clone.luns:
        yield lun.device.path, 0, lun.head[: GAP_END // 2]
        for area in lun.areas:
            if area.text:
                yield lun.device.path, area.header.start, area.header.raw + area.text
    reader = clone.reader()
    if any(device.pipelined for device in clone.devices):
        reader.read_ahead((v.lv, at, n) for v in clone.volumes for at, n in identity_ranges(v))
    for volume in clone.volumes:
        for offset, length in identity_ranges(volume):
            try:
                place = reader.places(volume.lv, offset, length)[0].offset
                yield volume.lv.name, place, reader.read(volume.lv, offset, length)
            except FormatError:
                continue  # told by the soundness check


def _planned(clone: Repository, original: Repository) -> Dict[str, List[Range]]:
    """Return by PV name what a resign may change: its edits, labels, gaps, rings, journal space."""
    ranges: Dict[str, List[Range]] = {}
    for name, number in clone.members.items():
        areas = clone.luns[number].areas
        rings = [(area.header.start, area.header.start + area.header.size) for area in areas]
        ranges[name] = [(0, GAP_END), *rings, *clone.behind_extents(number)]
    for name, start, end in _journaled(clone, original) or _identities(original):
        ranges.setdefault(name, []).append((start, end))
    return {name: sorted(found) for name, found in ranges.items()}


def _journaled(clone: Repository, original: Repository) -> List[Tuple[str, int, int]]:
    """Return (PV name, start, end) of the edits that made the clone of this very original."""
    change = applied_change(clone.luns)
    assert original.vg is not None
    names = {pv.uuid: pv.name for pv in original.vg.pvs.values()}
    if change is None or not set(change.pv_uuids) <= set(names):
        return []
    return [(names[change.pv_uuids[e.device]], e.offset, e.end) for e in change.edits]


def _identities(original: Repository) -> Iterator[Tuple[str, int, int]]:
    """Yield (PV name, start, end) of whatever in the original's volumes may hold an id."""
    names = {number: name for name, number in original.members.items()}
    reader = original.reader()
    for volume in original.volumes:
        for offset, length in identity_ranges(volume):
            for place in reader.places(volume.lv, offset, length):
                yield names[place.device], place.offset, place.offset + place.length


def _foreign_bytes(
    clone: Repository, original: Repository, planned: Dict[str, List[Range]]
) -> Iterator[Finding]:
    """Yield one finding a LUN whose bytes differ outside the plan, at the first difference."""
    for name, number in clone.members.items():
        mine = clone.luns[number].device
        if name not in original.members:
            yield Finding("pv-foreign", REFUSE, mine.path)
            continue
        other = original.luns[original.members[name]].device
        if mine.size != other.size:
            fields = {"size": mine.size, "original": other.size}
            yield Finding("size-differs", NOTE, mine.path, -1, fields)
        at = _first_difference(mine, other, planned[name])
        if at >= 0:
            yield Finding("bytes-differ", REFUSE, mine.path, at, {"original": other.path})


def _first_difference(mine: Device, other: Device, planned: List[Range]) -> int:
    for start, end in _outside(planned, min(mine.size, other.size)):
        for low, high in _data_ranges(mine, other, start, end):
            for at in range(low, high, _CHUNK):
                size = min(_CHUNK, high - at)
                ours, theirs = mine.read(at, size), other.read(at, size)
                if ours != theirs:
                    return at + next(i for i in range(size) if ours[i] != theirs[i])
    return -1


def _outside(planned: List[Range], size: int) -> Iterator[Range]:
    position = 0
    for start, end in planned:
        if start > position:
            yield position, min(start, size)
        position = max(position, end)
    if position < size:
        yield position, size


def _data_ranges(mine: Device, other: Device, start: int, end: int) -> Iterator[Range]:
    """Yield the parts of a range in which either LUN may hold something but zeros."""
    parts = sorted(set(mine.data_ranges(start, end)) | set(other.data_ranges(start, end)))
    position = start
    for low, high in parts:
        low = max(low, position)
        if low < high:
            yield low, high
            position = high
