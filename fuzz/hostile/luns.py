"""Whole LUNs to be mutated: a fuzzer's input is a short program of changes to one of some seeds.

A LUN of megabytes would leave a mutator nothing but zeros to hit. So the input names a seed and
says what to change in the sectors that hold metadata; checksums are renewed afterwards, unless the
input asks for the contrary.
"""

import struct
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from hostile import repair
from relun.core import verbs
from relun.core.errors import DeviceError, Interrupted
from relun.core.options import Options
from support import builder, golden
from support.builder import Cbt, Journal, Pv, Qcow2, Raw, Record, Ring, Sr, Vhd
from support.sparse import PAGE, SparseDevice

SECTOR = 512
NEW_SR = "11111111-2222-4333-8444-555555555555"

_NUMBERS = [0, 1, 8, 511, 512, 4096, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32]
_NUMBERS += [(1 << 63) - 1, 1 << 63, (1 << 64) - 512, (1 << 64) - 1]
_WORDS = [
    *[str(number).encode() for number in _NUMBERS],
    b"99999999999999999999",
    b"100000000000000000000",
    b"9" * 5000,
    b"-1",
    b"0x10",
    b"1.5",
    b"\xb2",  # a digit to str.isdigit(), not to int()
    b'""',
    b'"pv0"',
    b'"pv9"',
    b"pv0",
    b'"mirror"',
    b"[]",
    b"[ 1, ]",
    b"{",
    b"}",
    b"=",
    b"id",
    b"segment1",
    b"stripes",
    b"stripe_size",
    b"stripe_count",
    b"MGT",
    b"OLD_",
    b"#",
    b"\\",
    b"\0",
]

SRS = (
    Sr((Vhd("a"),), "one"),
    Sr(
        (
            Vhd("base", hidden=True, read_only=True),
            Vhd("leaf", "base", data=((8192, 512),), footers="dead-primary"),
            Raw("raw", size=1 << 20, hidden=True),
            Vhd("on raw", "raw", segments=2),
            Cbt("leaf", parent="base", child="gone"),
            Journal("inflate", "leaf", "4194304"),
            Journal("jvhd", "leaf", state="committed"),
            Journal("leaf", "leaf", payload=("base",)),
            Journal("clone", "leaf", payload=("base", "raw")),
        ),
        "kinds",
        records=(Record("dropped", deleted=1, snapshot_of="leaf", updated=True),),
        stale_records=(Record("stale"),),
    ),
    Sr((Qcow2("q0", hidden=True), Qcow2("q1", "q0", name_first=True)), "qcow2"),
    Sr(
        (Vhd("a", segments=2), Vhd("b", "a", pv=1)),
        "two",
        pvs=(Pv(mdas=2, mda_size=1 << 16), Pv(label_sector=3, mda_size=1 << 16)),
    ),
    Sr((Vhd("a"),), "full", pvs=(Pv(mda_size=0),), ring=Ring(spare=16384, filled=True)),
    Sr((Vhd("a"),), "wrapped", ring=Ring(offset=-700, history=2, precommitted=True)),
)
SAMPLES = ("single", "chain", "twomda", "wrapped")


class Seed(NamedTuple):
    """LUNs of one SR, and (LUN, sector number) of what holds metadata."""

    luns: tuple[SparseDevice, ...]
    sectors: tuple[tuple[int, int], ...]

    def copies(self, writable: bool) -> list[SparseDevice]:
        """Return LUNs of one's own."""
        return [lun.copy(writable) for lun in self.luns]


@cache
def seeds() -> tuple[Seed, ...]:
    """Return all seeds: clones, and of each the resigned, the hidden and the half undone LUNs."""
    clones = []
    with tempfile.TemporaryDirectory() as folder:
        for sr in SRS:
            built = builder.build(sr, Path(folder) / sr.seed)
            clones.append(tuple(SparseDevice.load(path) for path in built.paths))
    clones += [(_what_is_read(golden.image(name)),) for name in SAMPLES]
    found = [_seed(luns) for luns in clones]
    for luns in clones[:1] + clones[3:6]:
        for stop in _STOPS:
            copies = tuple(_Stopping(lun) for lun in luns)
            _run(copies, stop)
            found.append(_seed(tuple(lun.copy() for lun in copies)))
    return tuple(found)


class _Stopping(SparseDevice):
    """A LUN whose writes fail from the moment its budget is used up."""

    def __init__(self, lun: SparseDevice) -> None:
        super().__init__(lun.size, lun.pages, path=lun.path)
        self.left = 1 << 30

    def _write(self, offset: int, data: bytes) -> None:
        if not self.left:
            raise OSError("stopped")
        self.left -= 1
        super()._write(offset, data)


_STOPS = ("done", "begun", "hidden", "undoing")


def _run(luns: tuple[_Stopping, ...], stop: str) -> None:
    options = Options(sr_uuid=NEW_SR)
    if stop == "begun":
        luns[0].left = 2
    elif stop == "hidden":
        luns[0].left = 5 if len(luns) == 1 else 4
    try:
        verbs.resign(luns, options)
        if stop == "undoing":
            luns[0].left = 3
            verbs.undo(luns)
    except (DeviceError, Interrupted):
        pass


def _what_is_read(path: str) -> SparseDevice:
    """Return an image's LUN without the pages that a plan does not read: the guests' data."""
    lun = _Reading(SparseDevice.load(path))
    verbs.plan([lun], Options(sr_uuid=NEW_SR))
    pages = {number: page for number, page in lun.pages.items() if number in lun.seen}
    return SparseDevice(lun.size, pages, path=lun.path)


class _Reading(SparseDevice):
    """Notes which pages are read."""

    def __init__(self, lun: SparseDevice) -> None:
        super().__init__(lun.size, lun.pages, writable=False, path=lun.path)
        self.seen: set[int] = set()

    def _read(self, offset: int, length: int) -> bytes:
        if length <= 1 << 16:
            self.seen.update(range(offset // PAGE, (offset + length) // PAGE + 1))
        return super()._read(offset, length)


def _seed(luns: tuple[SparseDevice, ...]) -> Seed:
    sectors = []
    for number, lun in enumerate(luns):
        for page in sorted(lun.pages):
            for at in range(0, PAGE, SECTOR):
                if any(lun.pages[page][at : at + SECTOR]):
                    sectors.append((number, (page * PAGE + at) // SECTOR))
    return Seed(luns, tuple(sectors))


def mutated(data: bytes, writable: bool) -> list[SparseDevice]:
    """Return the LUNs that a program makes."""
    reader = _Program(data)
    all_seeds = seeds()
    seed = all_seeds[reader.byte() % len(all_seeds)]
    keep_checksums = reader.byte() == 255
    luns = seed.copies(writable=True)
    touched: set[tuple[int, int]] = set()
    for number, offset, change in _changes(reader, seed, luns):
        change = change[: luns[number].size - offset]
        luns[number].write(offset, change)
        for sector in range(offset // SECTOR, -(-(offset + len(change)) // SECTOR)):
            touched.add((number, sector))
    if not keep_checksums:
        _renew(luns, touched)
    for lun in luns:
        lun.writable = writable
    return luns


def _renew(luns: list[SparseDevice], touched: set[tuple[int, int]]) -> None:
    """Renew checksums of what was touched; those of metadata areas last, for their texts' sake."""
    starts = {(number, sector - back) for number, sector in touched for back in (0, 1)}
    for number, sector in sorted(starts):
        _renew_at(luns[number], sector * SECTOR)
    for lun in luns:
        for at in _areas(lun):
            _renew_text(lun, at)


def _renew_at(lun: SparseDevice, offset: int) -> None:
    if 0 <= offset <= lun.size - SECTOR:
        data = lun.read(offset, min(2 * SECTOR, lun.size - offset))
        renewed = repair.any_structure(data)
        if renewed != data:
            lun.write(offset, renewed)


def _areas(lun: SparseDevice) -> list[int]:
    """Return where metadata areas may begin: as the label says."""
    found = []
    for sector in range(4):
        raw = lun.read(sector * SECTOR, SECTOR)
        if raw[:8] == b"LABELONE":
            pairs = [struct.unpack_from("<Q", raw, at)[0] for at in range(72, 480, 16)]
            found += [at for at in pairs if 0 < at <= lun.size - SECTOR]
    return found


def _renew_text(lun: SparseDevice, start: int) -> None:
    header = lun.read(start, SECTOR)
    if header[4:20] != repair.mda(header)[4:20] or header[4:9] != b" LVM2":
        return
    size = struct.unpack_from("<Q", header, 32)[0]
    offset, length = struct.unpack_from("<QQ", header, 40)
    text = b""
    if SECTOR <= offset < size and 0 < length < 1 << 20 and start + size <= lun.size:
        first = min(length, size - offset)
        text = lun.read(start + offset, first)
        if start + SECTOR + length - first <= lun.size:
            text += lun.read(start + SECTOR, length - first)
    if text:
        header = header[:56] + struct.pack("<I", repair.lvm_crc(text)) + header[60:]
    lun.write(start, repair.mda(header))


def _changes(
    reader: "_Program", seed: Seed, luns: list[SparseDevice]
) -> Iterator[tuple[int, int, bytes]]:
    """Yield (LUN, offset, bytes) of what a program writes."""
    while reader.more and seed.sectors:
        kind = reader.byte() % 6
        number, sector = seed.sectors[reader.short() % len(seed.sectors)]
        start = sector * SECTOR
        if kind == 0:
            yield number, start + reader.short() % SECTOR, reader.blob()
        elif kind == 1:
            value = _NUMBERS[reader.byte() % len(_NUMBERS)] + reader.signed()
            at = reader.byte() % 128 * 4
            form = ("<Q", ">Q", "<I", ">I")[reader.byte() % 4]
            mask = (1 << 8 * struct.calcsize(form)) - 1
            yield number, start + at, struct.pack(form, value & mask)
        elif kind == 2:
            other, source = seed.sectors[reader.short() % len(seed.sectors)]
            yield number, start, luns[other].read(source * SECTOR, SECTOR)
        elif kind == 3:
            yield number, start, bytes(SECTOR)
        else:
            for offset, part in _text_change(reader, luns[number], kind):
                yield number, offset, part


def _text_change(reader: "_Program", lun: SparseDevice, kind: int) -> Iterator[tuple[int, bytes]]:
    """Yield the new text and header of an area whose text had a word replaced or a range moved."""
    areas = _areas(lun)
    if not areas:
        return
    start = areas[reader.byte() % len(areas)]
    header = lun.read(start, SECTOR)
    size = struct.unpack_from("<Q", header, 32)[0]
    offset, length = struct.unpack_from("<QQ", header, 40)
    if not SECTOR <= offset < size or length > 1 << 18 or start + size > lun.size:
        return
    first = min(length, size - offset)
    text = lun.read(start + offset, first) + lun.read(start + SECTOR, length - first)
    words = text.split(b" ")
    lines = text.split(b"\n")
    if kind == 4:
        at = reader.short() % len(words)
        words[at] = _WORDS[reader.byte() % len(_WORDS)] + (b"\n" if b"\n" in words[at] else b"")
        text = b" ".join(words)
    else:
        at, count, to = (reader.short() % len(lines) for _ in range(3))
        part = lines[at : at + count % 16]
        if reader.byte() % 2:
            del lines[at : at + len(part)]
        text = b"\n".join(lines[:to] + part + lines[to:])
    text = text[: size - SECTOR]
    first = min(len(text), size - offset)
    yield start + offset, text[:first]
    if text[first:]:
        yield start + SECTOR, text[first:]
    yield start + 48, struct.pack("<Q", len(text))


class _Program:
    """Takes an input apart; past its end everything is zero."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    @property
    def more(self) -> bool:
        return self.position < len(self.data)

    def byte(self) -> int:
        return self.take(1)[0]

    def short(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def signed(self) -> int:
        return int.from_bytes(self.take(1), "big", signed=True)

    def blob(self) -> bytes:
        return self.take(self.byte() % 64 + 1)

    def take(self, count: int) -> bytes:
        part = self.data[self.position : self.position + count]
        self.position += count
        return part.ljust(count, b"\0")
