"""Interrupted LUNs kept as files: the sectors that differ from a sample image, for every step.

``python -m crash.golden_states`` (with src and tests on PYTHONPATH) makes those of the present
format. Files of earlier formats stay: what an earlier version left, every later one must finish.
"""

import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from crash.check import Run, resigned
from crash.recording import SECTOR, Event, Image, Lun, State, copied, devices
from crash.scenarios import NEW_SR, litter
from relun.core import verbs
from relun.core.journal.marker import CLEAR, parse_marker
from relun.core.options import Options
from support import golden

FOLDER = Path(__file__).resolve().parent / "golden"
FORMAT = "format-1"
IMAGES = {"single": False, "raw": False, "twomda": False, "wrapped": True}  # True: needs the stash
_NUMBER = struct.Struct("<Q")


def pack(luns: State) -> bytes:
    """Return the changed sectors of a LUN: number and bytes of each, compressed."""
    (lun,) = luns
    parts = [_NUMBER.pack(number) + lun.sectors[number] for number in sorted(lun.sectors)]
    return zlib.compress(b"".join(parts), 9)


def unpack(image: str, packed: bytes) -> State:
    """Return the LUN: a sample image with the sectors changed."""
    raw = zlib.decompress(packed)
    lun = Lun(Image(golden.image(image)))
    for at in range(0, len(raw), _NUMBER.size + SECTOR):
        number = _NUMBER.unpack_from(raw, at)[0]
        lun.put(number, raw[at + _NUMBER.size : at + _NUMBER.size + SECTOR])
    return (lun,)


def steps(run: Run) -> Iterator[tuple[str, State]]:
    """Yield a state of each step of a resign, of an undo and of what makes room for the journal."""
    yield from _named(run, run.start, run.log, ("journal", "apply", "done", "done"))
    log: list[Event] = []
    verbs.undo(devices(copied(run.end), run.block_size, log))
    yield from _named(run, run.end, log, ("", "undo", "undo-clear", "undone"))


def _named(
    run: Run, start: State, log: list[Event], names: tuple[str, str, str, str]
) -> Iterator[tuple[str, State]]:
    """Yield the states between two writes, and one torn in the middle of every longer write."""
    luns = copied(start)
    counts: dict[str, int] = {}
    for event in log:
        if event.data is None:
            continue
        parts = [event.data[: len(event.data) // 2 // SECTOR * SECTOR], event.data]
        for part in parts if len(event.data) > SECTOR else parts[1:]:
            luns[0].write(event.offset, part)
            name = _step(run, luns, names)
            counts[name] = counts.get(name, 0) + 1
            yield "{}-{:02d}".format(name, counts[name]), copied(luns)


def _step(run: Run, luns: State, names: tuple[str, str, str, str]) -> str:
    label = luns[0].read(run.label_sector * SECTOR, SECTOR)
    marker = parse_marker(label)
    if marker is None:
        at_start = label == run.start[0].read(run.label_sector * SECTOR, SECTOR)
        return names[0] or names[3] if at_start else names[3]
    return names[2] if marker.direction == CLEAR else names[1]


def chosen(run: Run) -> dict[str, State]:
    """Return up to four states of each step: the first, the last and two between."""
    by_step: dict[str, list[tuple[str, State]]] = {}
    for name, luns in steps(run):
        by_step.setdefault(name.rpartition("-")[0], []).append((name, luns))
    found = {}
    for states in by_step.values():
        last = len(states) - 1
        for number in sorted({0, last // 3, 2 * last // 3, last}):
            found[states[number][0]] = states[number][1]
    found["start"], found["end"] = run.start, run.end
    return found


def main() -> int:
    """Write the files of the present format."""
    folder = FOLDER / FORMAT
    folder.mkdir(parents=True, exist_ok=True)
    for image, full in IMAGES.items():
        base = Image(golden.image(image))
        run = resigned((Lun(base, litter(base) if full else {}),), Options(sr_uuid=NEW_SR))
        assert run.region.zeroed != full
        for name, luns in chosen(run).items():
            (folder / "{}.{}.patch".format(image, name)).write_bytes(pack(luns))
    return 0


if __name__ == "__main__":
    sys.exit(main())
