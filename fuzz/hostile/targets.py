"""What is fuzzed: one function for each parser, and whole LUNs. A target returns, or it is a bug.

Of what relun raises only its own errors may come out of a parser, and none at all out of ``load``.
"""

import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hostile import luns, repair
from relun.core import conflicts, grouping, names, verbs, verify
from relun.core.cbt import CbtLog
from relun.core.errors import DeviceError, FormatError, Interrupted, Refused
from relun.core.journal import marker, pages, payload
from relun.core.lvm2 import label, mda, vg
from relun.core.mgt import Record, parse_mgt
from relun.core.options import Options
from relun.core.plan import build_plan
from relun.core.qcow2 import parse_qcow2
from relun.core.repository import Repository, load
from relun.core.smjournal import ResizeJournal, entry_count, parse_payload, replace_payload
from relun.core.vhd import Footer, parse_header
from support.sparse import SparseDevice

SECTOR = 512
_UUID = "8f3a2b1c-0000-4000-8000-00000000000a"


class BugError(AssertionError):
    """Something that no input may do."""


class Target(NamedTuple):
    """``run`` takes an input; ``seeds`` makes inputs to begin with."""

    run: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]
    max_length: int = 4096


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise BugError(what)


# --- parsers


def _label(data: bytes) -> None:
    head = data[: 4 * SECTOR].ljust(4 * SECTOR, b"\0")
    sectors = [head[at : at + SECTOR] for at in range(0, len(head), SECTOR)]
    for number, sector in enumerate(sectors):
        if label.looks_like_label(sector):
            fixed = b"LABELONE" + struct.pack("<Q", number) + sector[16:24] + b"LVM2 001"
            sectors[number] = repair.label(fixed + sector[32:])
    try:
        found = label.find_labels(b"".join(sectors))
    except FormatError:
        return
    for one in found:
        new = label.parse_label(one.with_pv_uuid("x" * 32), one.sector)
        _expect(new._replace(raw=one.raw, pv_uuid=one.pv_uuid) == one, "label changed")


def _mda(data: bytes) -> None:
    start, size = 4096, 1 << 20
    fixed = struct.pack("<QQ", start, size)
    body = data[:472].ljust(472, b"\0")
    raw = repair.mda(bytes(4) + b" LVM2 x[5A%r0N*>" + struct.pack("<I", 1) + fixed + body)
    try:
        header = mda.parse_mda_header(raw, start, size)
    except FormatError:
        return
    if header.empty:
        return
    where = header.committed
    pieces = header.pieces(where.offset, where.size)
    _expect(sum(length for _at, length in pieces) == where.size, "pieces")
    _expect(all(at >= SECTOR and at + n <= size for at, n in pieces), "a piece outside")
    text = data[:2000] or b"x"
    offset = header.place(len(text))
    if offset is not None:
        new = mda.parse_mda_header(header.with_committed(offset, text), start, size)
        taken = {at for at, n in pieces for at in range(at, at + n)}
        mine = {at for at, n in new.pieces(offset, len(text)) for at in range(at, at + n)}
        _expect(not taken & mine, "the new text lies on the old one")
        mda.check_text(new, text)


def _text(data: bytes) -> None:
    try:
        group = vg.parse_vg(data)
    except FormatError:
        return
    _expect(group.text.render({}) == data, "text changed")
    for lv in group.lvs.values():
        for offset in (0, max(0, lv.size - SECTOR)):
            try:
                runs = list(group.runs(lv, offset, SECTOR))
            except FormatError:
                continue
            _expect(sum(length for _pv, _at, length in runs) == SECTOR, "runs")


def _mgt(data: bytes) -> None:
    try:
        mgt = parse_mgt(data)
    except FormatError:
        return
    try:
        _expect(mgt.with_sr_uuid(_UUID)[:SECTOR] == mgt.head[:SECTOR], "header changed")
    except ValueError:
        pass  # no room in the sector: a plan refuses with mgt-room
    mgt.sr_name_sector("a & b")
    for record in mgt.records:
        _mgt_record(record)


def _mgt_record(record: Record) -> None:
    _expect(len(record.raw) == 1024, "record")
    if names.is_uuid(record.uuid):
        try:
            _expect(len(record.replaced(uuid=_UUID).raw) == 1024, "record length")
        except ValueError:
            pass  # as above
    if record.parsable:
        new = record.renamed("x < y")
        _expect(new is None or new.name == "x < y", "name")


def _vhd(data: bytes) -> None:
    footer = Footer(repair.vhd(b"conectix" + data[8:SECTOR].ljust(SECTOR - 8, b"\0"), 64))
    _expect(footer.valid, "footer")
    _expect(footer.with_uuid(bytes(16)).valid, "footer with another uuid")
    Footer(data).valid  # noqa: B018 - any length
    raw = b"cxsparse" + data[SECTOR + 8 : 1536].ljust(1016, b"\0")
    try:
        header = parse_header(repair.vhd(raw, 36))
        for locator in header.locators():
            try:
                path = locator.decode(data[1536:].ljust(locator.length, b"x"))
            except FormatError:
                continue
            new = names.rename_references(path, lambda _sr: _UUID, lambda _vdi: _UUID)
            _expect(len(locator.encode(new)) == locator.length, "locator length")
        header.with_parent(bytes(16), header.parent_name)
    except FormatError:
        return


def _qcow2(data: bytes) -> None:
    try:
        header = parse_qcow2(data.ljust(104, b"\0"))
    except FormatError:
        return
    _expect(header.backing_offset + header.backing_size <= header.cluster_size, "backing name")


def _cbt(data: bytes) -> None:
    log = CbtLog(data[:SECTOR].ljust(SECTOR, b"\0"))
    _expect(log.with_links(log.parent, log.child) == log, "log")
    _expect(isinstance(log.consistent, bool) and log.virtual_size >= 0, "log")


def _smjournal(data: bytes) -> None:
    sector = data[:SECTOR].ljust(SECTOR, b" ")
    try:
        old = parse_payload(sector)
        new = names.rename_uuids(old, lambda _old: _UUID)
        _expect(len(replace_payload(sector, old, new)) == SECTOR, "payload length")
    except FormatError:
        pass
    journal = ResizeJournal((b"vjournal" + data)[:SECTOR].ljust(SECTOR, b"\0"))
    _expect(journal.with_uuid(journal.uuid) == journal, "resize journal")
    _expect(entry_count(journal) >= 0 and journal.live in (True, False), "resize journal")


def _marker(data: bytes) -> None:
    for start, parse in ((b"RELUN IN PROGRESS", marker.parse_marker), (_AT, marker.parse_pointer)):
        body = start + b": ".ljust(192 - len(start)) + data[:316].ljust(316, b"\0")
        found: Any = parse(repair.own(body[:508] + bytes(4)))
        if found is not None:
            try:
                _expect(parse(found.pack()) is not None, "packed anew it is gone")
            except ValueError:  # an old label that does not fit: a plan looks at that beforehand
                pass


_AT = b"RELUN JOURNAL AT "


def _pages(data: bytes) -> None:
    tag, body = data[:8].ljust(8, b"\0"), data[8:]
    region = b""
    for number, at in enumerate(range(0, len(body), 1000)):
        blob, part = body[at : at + 300], body[at + 300 : at + 900]
        fields = struct.pack("<4s8sIHHII", b"RLNJ", tag, number, len(blob), len(part), 0, 0)
        region += repair.page((fields + blob + part).ljust(1024, b"\0")[:1024])
    pages.read_payload(region, tag)
    count = struct.unpack("<I", (body + bytes(4))[:4])[0] % 4
    head = struct.pack("<4sIII", b"RLNS", 0, count, zlib.crc32(body))
    pages.parse_stash((head + body).ljust(pages.STASH_SIZE, b"\0")[: pages.STASH_SIZE])
    try:
        change = payload.unpack_change(b"relun1" + zlib.compress(body))
        _expect(payload.unpack_change(payload.pack_change(change)) == change, "change")
    except FormatError:
        pass
    try:
        payload.unpack_change(data)
    except FormatError:
        pass


def _names(data: bytes) -> None:
    text = data.decode("latin-1")
    name = names.parse_volume_name(text)
    if name.vdi:
        _expect(names.is_uuid(name.vdi) and name.vdi in text, "volume name")
    names.find_uuids(text)
    names.find_reference(text)
    same = names.rename_references(text, lambda old: old, lambda old: old)
    _expect(same == text, "reference changed")
    new = names.rename_references(text, lambda _old: _UUID, lambda _old: _UUID)
    _expect(len(new) == len(text), "reference length")


# --- whole LUNs


def _inspected(devices: Sequence[SparseDevice]) -> Repository:
    try:
        repository = load(devices)
    except (FormatError, Refused, Interrupted, DeviceError) as error:
        raise BugError("load raised {!r}".format(error)) from error
    for volume in repository.volumes:
        _expect(isinstance(volume.hidden, bool) and volume.virtual_size >= 0, "volume")
    return repository


def _inspect(data: bytes) -> None:
    devices = luns.mutated(data, writable=False)
    repository = _inspected(devices)
    verify.check_soundness(repository)
    members = [grouping.membership(device) for device in devices]
    grouping.group(members)
    if len(devices) == 1:
        conflicts.find_conflicts([(repository, None), (repository, None)])


def _plan(data: bytes) -> None:
    flags, data = data[:1], data[1:]
    bits = flags[0] if flags else 0
    devices = luns.mutated(data, writable=False)
    options = Options(
        sr_uuid=luns.NEW_SR,
        label="{name} copy of {sr}" if bits & 1 else "",
        drop_snapshots=bool(bits & 2),
        drop_cbt=bool(bits & 4),
        force_journals=bool(bits & 8),
        force_mgt=bool(bits & 16),
        lvm_only=bool(bits & 32),
    )
    repository = _inspected(devices)
    try:
        plan = build_plan(repository, options)
    except Refused:
        return
    for edit in plan.edits:
        _expect(len(edit.old) == len(edit.new), "edit")
        _expect(devices[edit.device].read(edit.offset, len(edit.old)) == edit.old, "old bytes")


def _settle(data: bytes) -> None:
    """Every writing verb on whatever a LUN shows; what it writes is its own affair here."""
    flags, data = data[:1], data[1:]
    devices = luns.mutated(data, writable=True)
    verb = (verbs.undo, verbs.recover, verbs.seal, _resign)[(flags or b"\0")[0] % 4]
    try:
        verb(devices)
    except (Refused, Interrupted, DeviceError):
        pass


def _resign(devices: Sequence[SparseDevice]) -> None:
    before = [device.copy() for device in devices]
    try:
        verbs.resign(devices, Options(sr_uuid=luns.NEW_SR))
    except Refused:
        for now, then in zip(devices, before, strict=True):
            _expect(now.pages == then.pages, "refused, and bytes changed")
        raise
    verbs.undo(devices)
    for now, then in zip(devices, before, strict=True):
        if luns_untouched_before(then):
            _expect(now.pages == then.pages, "undo did not give back the clone")


def luns_untouched_before(lun: SparseDevice) -> bool:
    """Tell whether no journal of relun stood on the LUN before."""
    return not any(lun.read(marker.POINTER_AT, SECTOR))


# --- seeds


def _programs() -> list[bytes]:
    made = []
    for number in range(len(luns.seeds())):
        head = bytes([number, 0])
        made += [head, head + b"\1\0\1\x0a\0\0\0", head + b"\4\0\0\0\0\x20\x05", head + b"\5"]
    return made


def _flagged() -> list[bytes]:
    flags = (0, 1, 2, 3, 8, 63)
    return [bytes([flags[n % 6]]) + program for n, program in enumerate(_programs())]


def _sectors(magic: bytes, at: int = 0, size: int = SECTOR) -> list[bytes]:
    """Return what of the seeds' LUNs has ``magic`` at ``at``."""
    found = []
    for seed in luns.seeds():
        for number, sector in seed.sectors:
            lun = seed.luns[number]
            data = lun.read(sector * SECTOR, min(size, lun.size - sector * SECTOR))
            if data[at : at + len(magic)] == magic:
                found.append(data)
    return found


def _texts() -> list[bytes]:
    found = []
    for seed in luns.seeds():
        found += [lun.text for lun in load(seed.luns).luns if 0 < len(lun.text) < 1 << 14]
    return sorted(set(found))


def _name_seeds() -> list[bytes]:
    uuid = _UUID
    vg_name = names.SR_PREFIX + uuid
    made = [f"{kind}{uuid}" for kind in ("VHD-", "LV-", "QCOW2-", "VHD-OLD_")]
    made += [f"{uuid}.cbtlog", f"clone_{uuid}_1", f"leaf_{uuid}_{uuid}", f"jvhd_{uuid}", "MGT"]
    made += [f"/dev/{vg_name}/VHD-{uuid}", "./" + names.dm_name(vg_name, f"LV-{uuid}")]
    return [name.encode() for name in made]


TARGETS = {
    "label": Target(_label, lambda: [s * 2 for s in _sectors(b"LABELONE")], 2048),
    "mda": Target(_mda, lambda: [s[40:] for s in _sectors(b" LVM2", 4)], 512),
    "text": Target(_text, _texts, 1 << 14),
    "mgt": Target(_mgt, lambda: _sectors(b"XSSM", 0, 8192), 8192),
    "vhd": Target(_vhd, lambda: _sectors(b"conectix", 0, 4096)),
    "qcow2": Target(_qcow2, lambda: _sectors(b"QFI\xfb", 0, 4096)),
    "cbt": Target(_cbt, lambda: [bytes(range(48))], 512),
    "smjournal": Target(_smjournal, lambda: _sectors(b"73 ") + _sectors(b"vjournal"), 512),
    "marker": Target(_marker, lambda: [s[192:] for s in _sectors(b"RELUN")], 512),
    "pages": Target(_pages, lambda: [*_sectors(b"RLNJ", 0, 4096), _change()]),
    "names": Target(_names, _name_seeds, 1024),
    "inspect": Target(_inspect, _programs, 512),
    "plan": Target(_plan, _flagged, 512),
    "settle": Target(_settle, _flagged, 512),
}


def _change() -> bytes:
    plan = verbs.plan(luns.seeds()[0].copies(False), Options(sr_uuid=luns.NEW_SR))
    packed = payload.pack_change(plan.change)
    return bytes(8) + zlib.decompress(packed[6:])
