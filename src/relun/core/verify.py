"""Verify: is a resigned SR sound, and does nothing in it lead back to the original?"""

from relun.core.device import Device
from relun.core.edit import Edit
from relun.core.errors import FormatError
from relun.core.finding import NOTE, REFUSE, Finding
from relun.core.hints import Dict, Iterator, List, Sequence, Tuple
from relun.core.identity import pack_uuid
from relun.core.journal.marker import GAP_END
from relun.core.lvm2.vg import shown_uuid
from relun.core.options import FORCED_BY, Options
from relun.core.physical import read_journal
from relun.core.plan import build_plan
from relun.core.repository import DONE, Repository
from relun.core.rewrite.images import identity_ranges

_CHUNK = 1 << 20
_EVERYTHING = Options(force_journals=True, force_mgt=True, lvm_only=True)

Range = Tuple[int, int]  # (start, end) in bytes


def check_soundness(clone: Repository) -> List[Finding]:
    """Return what is wrong with the clone's own structures."""
    return [f for f in clone.findings if f.severity != NOTE and f.code not in FORCED_BY]


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
    dropped = original.vg is not None and len(clone.vg.lvs) < len(original.vg.lvs)
    options = _EVERYTHING._replace(sr_uuid=clone.sr_uuid, drop_snapshots=dropped)
    if clone.sr_uuid == original.sr_uuid:
        options = options._replace(sr_uuid="")
    plan = build_plan(original, options)
    findings += _old_ids(clone, plan.new_ids)
    findings += _foreign_bytes(clone, original, _planned(clone, plan.edits))
    return findings


def _old_ids(clone: Repository, ids: Dict[str, Dict[str, str]]) -> Iterator[Finding]:
    blobs = list(_metadata(clone))
    raw = b"".join(data for _where, _offset, data in blobs)
    text = _plain(raw)
    for kind, given in ids.items():
        for old in given:
            if any(form in raw for form in _raw_forms(kind, old)) or any(
                form in text for form in _text_forms(kind, old)
            ):
                yield _located(kind, old, blobs)


def _located(kind: str, old: str, blobs: Sequence[Tuple[str, int, bytes]]) -> Finding:
    for where, offset, data in blobs:
        for form in _raw_forms(kind, old):
            if form in data:
                at = offset + data.index(form)
                return Finding("old-id", REFUSE, where, at, {"kind": kind, "id": old})
        if any(form in _plain(data) for form in _text_forms(kind, old)):
            return Finding("old-id", REFUSE, where, offset, {"kind": kind, "id": old})
    return Finding("old-id", REFUSE, "", -1, {"kind": kind, "id": old})


def _raw_forms(kind: str, old: str) -> List[bytes]:
    return [] if kind == "lvm" else [pack_uuid(old)]


def _text_forms(kind: str, old: str) -> List[bytes]:
    if kind == "lvm":
        return [old.encode("latin-1"), shown_uuid(old).encode("latin-1")]
    return [old.encode("ascii"), old.replace("-", "").encode("ascii")]


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
    if not clone.volumes:
        return
    reader = clone.reader()
    for volume in clone.volumes:
        for offset, length in identity_ranges(volume):
            try:
                place = reader.places(volume.lv, offset, length)[0].offset
                yield volume.lv.name, place, reader.read(volume.lv, offset, length)
            except FormatError:
                continue  # told by the soundness check


def _planned(clone: Repository, edits: Sequence[Edit]) -> Dict[int, List[Range]]:
    """Return the ranges by LUN that a resign may change: its edits, rings, labels and gaps."""
    ranges: Dict[int, List[Range]] = {}
    for number, lun in enumerate(clone.luns):
        mine = [(0, GAP_END)]
        mine += [(area.header.start, area.header.start + area.header.size) for area in lun.areas]
        ranges[number] = mine + clone.behind_extents(number)
    for edit in _journaled(clone) or edits:
        ranges[edit.device].append((edit.offset, edit.end))
    return {number: sorted(found) for number, found in ranges.items()}


def _journaled(clone: Repository) -> List[Edit]:
    """Return the edits of the resign itself while its journal is there."""
    if clone.state != DONE:
        return []
    for lun in clone.luns:
        if lun.pointer and len(clone.luns) == 1:
            return list(read_journal(lun.device, lun.pointer.region).edits)
    return []


def _foreign_bytes(
    clone: Repository, original: Repository, planned: Dict[int, List[Range]]
) -> Iterator[Finding]:
    """Yield one finding a LUN whose bytes differ outside the plan, at the first difference."""
    for name, number in clone.members.items():
        if name not in original.members:
            continue
        mine, other = clone.luns[number].device, original.luns[original.members[name]].device
        if mine.size != other.size:
            fields = {"size": mine.size, "original": other.size}
            yield Finding("size-differs", NOTE, mine.path, -1, fields)
        at = _first_difference(mine, other, planned[number])
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
