"""Measures relun against its peers, all in one run on one machine; prints a markdown table.

    make bench                    everything
    python bench/run.py --quick   fewer runs
    python bench/run.py --core    without the ``relun`` command

Needs root (vgimportclone works on a loop device). Exit code 1 when a bar is not met.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

import peers  # noqa: E402
import table  # noqa: E402

from support import builder, golden, lvm  # noqa: E402

PYTHON = str(ROOT / ".venv/bin/python")
RELUN = str(ROOT / ".venv/bin/relun")
IMAGES = ("single", "chain", "many")
SCALES = (1, 100, 300, 1000, 2000)
LUNS = 100
MEBIBYTE = 1 << 20

# The peak of resident memory is read inside the process: the kernel's own figure for a child
# (ru_maxrss) starts from its parent's.
_PEAK = """
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
"""
_RESIGN = """
import sys
from relun.core.device import open_device
from relun.core import verbs
from relun.core.options import Options
with open_device(sys.argv[1], writable=True) as device:
    verbs.resign([device], Options(sr_uuid=sys.argv[2]))
"""


class Bench:
    """The measurements, each a function that returns rows."""

    def __init__(self, folder: str, runs: int, command: bool) -> None:
        self.folder = folder
        self.runs = runs
        self.command = command

    def times(self, measure: Callable[[], float], runs: int = 0) -> table.Times:
        """Return the times of several runs after one that does not count."""
        measure()
        return table.Times(tuple(measure() for _ in range(runs or self.runs)))

    def image(self, name: str) -> list[table.Row]:
        """One sample image: all things that are compared run in turns, on one copy of it."""
        original, copy = golden.image(name), golden.copy(name, self.folder)
        os.sync()
        steps, traffic = peers.record(copy)
        ranges = peers.written(steps)
        peers.restore(copy, original, ranges)
        pe_start = int(golden.manifest(name)["pvs"][0]["pe_start"])
        with lvm.attached(copy) as tools:
            direct, _ = peers.record(tools.devices[0])
        peers.restore(copy, original, ranges)

        def on_file(action: Callable[[], object]) -> Callable[[], float]:
            def measure() -> float:
                seconds = peers.timed(action)
                peers.restore(copy, original, ranges)
                return seconds

            return measure

        # A file that a loop device has open is in use: each turn attaches it for itself. What is
        # written over the device ends in the file, so the same restoring serves.
        def on_loop(action: Callable[[lvm.Lvm], object]) -> Callable[[], float]:
            def measure() -> float:
                with lvm.attached(copy) as tools:
                    seconds = peers.timed(lambda: action(tools))
                peers.restore(copy, original, ranges)
                peers.restore_head(copy, original, pe_start)
                return seconds

            return measure

        things = {
            "file": on_file(lambda: peers.resign(copy)),
            "bare file": on_file(lambda: peers.replay(copy, steps)),
            "loop": on_loop(lambda tools: peers.resign(tools.devices[0])),
            "bare loop": on_loop(lambda tools: peers.replay_direct(tools.devices[0], direct)),
            "lvm2": on_loop(peers.vgimportclone),
            "interpreter": lambda: peers.process([PYTHON, "-c", "pass"]),
        }
        if self.command:
            words = [RELUN, "resign", "--yes", "--sr-uuid", peers.SR_UUID, copy]
            things["command"] = on_file(lambda: peers.process(words))
        times = self.rounds(things)
        os.unlink(copy)
        return self._image_rows(name, times, traffic)

    def _image_rows(
        self, name: str, times: dict[str, table.Times], traffic: Any
    ) -> list[table.Row]:
        def bar(value: float) -> float | None:
            return value if name == "single" else None  # the bars are those of one VDI

        file, loop, lvm2 = times["file"], times["loop"], times["lvm2"]
        on_file, on_loop = f"{name}: in-process", f"{name}: in-process, loop device"
        peer = "vgimportclone process"
        rows = [
            table.compare(on_file, file, "bare loop", times["bare file"], bar(2)),
            table.compare(on_loop, loop, "bare loop, loop device", times["bare loop"], bar(2)),
            table.compare(on_file, file, peer, lvm2, bar(0.5)),
            table.compare(on_loop, loop, peer, lvm2, bar(0.5)),
        ]
        if self.command:
            whole, pass_ = times["command"], times["interpreter"]
            rows += [
                table.compare(f"{name}: relun process", whole, "python -c pass", pass_, bar(3)),
                table.compare(f"{name}: relun process", whole, peer, lvm2),
            ]
        if name == "many":
            rows.append(_plain("300 VDIs in-process", str(file), file.median, 0.5, " s"))
        flushes, kibibytes = float(traffic.flushes), traffic.bytes_written / 1024
        written = f"{kibibytes:.1f} KiB in {traffic.writes} writes"
        return [
            *rows,
            _plain(f"{name}: flushes", f"{flushes:.0f}", flushes, bar(5)),
            _plain(f"{name}: bytes written", written, kibibytes, bar(64), " KiB"),
        ]

    def rounds(self, things: dict[str, Callable[[], float]]) -> dict[str, table.Times]:
        """Run all things in turns, so that a busy moment of the machine meets all of them."""
        found: dict[str, list[float]] = {name: [] for name in things}
        for number in range(self.runs + 1):
            for name, measure in things.items():
                seconds = measure()
                if number:  # the first round does not count
                    found[name].append(seconds)
        return {name: table.Times(tuple(seconds)) for name, seconds in found.items()}

    def hundred(self) -> list[table.Row]:
        """100 LUNs of one VDI each: one relun command, and vgimportclone one by one."""
        folder = Path(self.folder, "luns")
        folder.mkdir()
        paths = []
        for number in range(LUNS):
            sr = builder.Sr(builder.fleet(1), seed=f"lun-{number}")
            paths.append(builder.build(sr, folder / f"{number}.img").path)

        def lvm2(path: str) -> float:
            with lvm.attached(path) as tools:
                return peers.vgimportclone(tools)

        each = table.Times(tuple(lvm2(path) for path in paths))

        def fresh() -> None:
            for number, path in enumerate(paths):
                builder.build(builder.Sr(builder.fleet(1), seed=f"lun-{number}"), path)
            os.sync()

        def ours() -> float:
            fresh()
            return peers.process([RELUN, "resign", "--yes", *paths]) / LUNS

        def core() -> float:
            fresh()
            return peers.timed(lambda: [peers.resign(path) for path in paths]) / LUNS

        runs = min(3, self.runs)
        inside = self.times(core, runs)
        what, peer = f"{LUNS} LUNs of 1 VDI, per LUN", "vgimportclone per LUN"
        rows = [table.compare(f"{what}: in-process", inside, peer, each, 0.25)]
        if self.command:
            whole = self.times(ours, runs)
            rows.append(table.compare(f"{what}: one relun command", whole, peer, each, 0.25))
        return rows

    def growth(self) -> list[table.Row]:
        """1 to 2,000 VDIs: the time per VDI must not rise."""
        medians = {}
        rows = []
        for count in SCALES:
            path = os.path.join(self.folder, f"{count}.img")
            sr = builder.Sr(builder.fleet(count))
            original = builder.build(sr, path + ".original").path
            builder.build(sr, path)
            steps, traffic = peers.record(path)
            ranges = peers.written(steps)

            def ours(path: str = path, original: str = original, ranges: object = ranges) -> float:
                peers.restore(path, original, ranges)  # type: ignore[arg-type]
                return peers.timed(lambda: peers.resign(path))

            times = self.times(ours)
            medians[count] = times.median
            rows.append(
                table.Row(
                    f"{count} VDIs in-process",
                    str(times),
                    f"{traffic.flushes} flushes, {traffic.bytes_written / 1024:.0f} KiB written",
                )
            )
            os.unlink(path)
            os.unlink(original)
        first, last = 300, SCALES[-1]
        ratio = medians[last] / last / (medians[first] / first)
        label = f"time per VDI, {last} against {first} VDIs"
        return [*rows, table.Row(label, "", "1 = linear", ratio, 1.25)]

    def memory(self) -> list[table.Row]:
        """Peak resident memory beyond the interpreter's, by the size of the LUN."""
        path = os.path.join(self.folder, "big.img")
        tebibyte = 1 << 40
        size = next(size for size in (16 * tebibyte - (64 << 20), tebibyte) if _holds(path, size))
        rows = [self._peak(path, builder.Sr(builder.fleet(1), pvs=(builder.Pv(size=size),)))]
        rows.append(self._peak(path, builder.Sr(builder.fleet(SCALES[-1]))))
        return rows

    def _peak(self, path: str, sr: builder.Sr) -> table.Row:
        size = os.path.getsize(builder.build(sr, path).path)
        beyond = _peak_of(_RESIGN + _PEAK, path, peers.SR_UUID) - _peak_of("pass" + _PEAK)
        os.unlink(path)
        what = f"peak memory beyond the interpreter: {size / (1 << 40):.2f} TiB"
        what += f", {len(sr.volumes)} VDIs"
        return _plain(what, f"{beyond:.1f} MiB", beyond, 64, " MiB")


def _peak_of(code: str, *words: str) -> float:
    environment = dict(os.environ, PYTHONPATH=str(ROOT / "src"))
    command = [PYTHON, "-c", code, *words]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return int(said.stdout) / 1024


def _holds(path: str, size: int) -> bool:
    try:
        with open(path, "wb") as file:
            file.truncate(size)
    except OSError:
        return False
    return True


def _plain(
    what: str, figure: str, value: float, bar: float | None = None, unit: str = ""
) -> table.Row:
    return table.Row(what, figure, bar=bar, value=value, unit=unit)


def main() -> int:
    """Measure, print, and say whether every bar is met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 runs each instead of 9")
    parser.add_argument("--core", action="store_true", help="leave the relun command out")
    parser.add_argument("--only", help="one of: image, hundred, growth, memory")
    chosen = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root: vgimportclone works on a loop device", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = Bench(folder, 3 if chosen.quick else 9, not chosen.core)
        parts: dict[str, Callable[[], list[table.Row]]] = {
            "image": lambda: [row for name in IMAGES for row in bench.image(name)],
            "hundred": bench.hundred,
            "growth": bench.growth,
            "memory": bench.memory,
        }
        rows = [
            row for name, part in parts.items() if chosen.only in (None, name) for row in part()
        ]
    print(table.markdown(rows))
    missed = [row.what for row in rows if row.met is False]
    print(f"\n{len(missed)} of {sum(row.met is not None for row in rows)} bars not met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
