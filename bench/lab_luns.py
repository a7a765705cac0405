"""relun and its peers on the same living LUNs, in one guest with a kernel of its own.

    python bench/lab_luns.py [image ...]     single, chain and many when none is named

The LUNs come over iSCSI; whole processes are measured, from the start of the first to the end of
the last, on a fresh clone with cold caches. The ancestor's method is the one of the
ReLVHDoISCSISR driver of 2015, as commands; it drops all snapshots, so relun does the same here.
Needs root; exit code 1 when a bar is not met.
"""

import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

import table  # noqa: E402

from lab import peers  # noqa: E402
from lab.guest import Guest, obstacles  # noqa: E402
from lab.lab import Lab  # noqa: E402

ROUNDS = 5
# How many times faster than the ancestor's method relun must be, and how often that one is run.
ANCESTOR = {"single": (5, ROUNDS), "chain": (50, 1), "many": (150, 1)}
VGIMPORTCLONE = {"single": 3.0}  # at most so many times the time of vgimportclone


def measure(lab: Lab, image: str) -> tuple[list[table.Row], list[peers.Measure]]:
    """Run every way on an image, in turns; return its rows, and the median run of each way."""
    faster, ancestors = ANCESTOR[image]
    ways: dict[Callable[[Lab, str], peers.Measure], int] = {
        peers.relun: ROUNDS, peers.vgimportclone: ROUNDS, peers.ancestor: ancestors,
    }  # fmt: skip
    runs: dict[str, list[peers.Measure]] = {}
    peers.relun(lab, image)  # the first run of all fills the guest's caches and does not count
    for number in range(ROUNDS):
        for way, count in ways.items():
            if number < count:
                one = way(lab, image)
                runs.setdefault(one.way, []).append(one)
    times = {way: table.Times(tuple(one.seconds for one in found)) for way, found in runs.items()}
    what = f"{image}, in a guest over iSCSI: relun process"
    ours = times["relun"]
    rows = [
        table.compare(
            what, ours, "vgimportclone", times["vgimportclone"], VGIMPORTCLONE.get(image)
        ),
        table.compare(what, ours, "ancestor's method", times["ancestor"], round(1 / faster, 4)),
    ]
    return rows, [_median(found) for found in runs.values()]


def _median(runs: Sequence[peers.Measure]) -> peers.Measure:
    middle = statistics.median_low(one.seconds for one in runs)
    return next(one for one in runs if one.seconds == middle)


def main() -> int:
    """Measure, print both tables, and say whether every bar is met."""
    reasons = obstacles()
    if reasons:
        print("no guest on this machine: " + "; ".join(reasons), file=sys.stderr)
        return 2
    rows: list[table.Row] = []
    measures: list[peers.Measure] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Guest(Path(folder)) as guest:
        lab = Lab(guest)
        for image in sys.argv[1:] or ANCESTOR:
            found, medians = measure(lab, image)
            rows += found
            measures += medians
        lab.clear()
    print(table.markdown(rows))
    print()
    print(peers.table(measures))
    return int(any(row.met is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
