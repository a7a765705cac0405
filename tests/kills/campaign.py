"""Kills and signals on the LUNs of one scenario: ``python -m kills.campaign NUMBER FILE``.

Two thirds strike at a chosen I/O of the process, the others after a random delay. All is seeded.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM, Signals, default_int_handler, signal
from typing import Any

from kills import process
from kills.judge import Case, Judge
from kills.luns import SCENARIOS, Luns, Pages
from kills.process import WRITES, Point, command

_SEED = 20180720
TELLING = "its last word"
_READS_OF_TEN = 3  # so many of ten strikes at reads, the others at writes and flushes


class Campaign:
    """Strikes at the processes of one scenario."""

    def __init__(self, luns: Luns, folder: Path, seed: int) -> None:
        self.luns = luns
        self.log = folder / "strace.log"
        self.told = folder / "told.txt"
        self.chance = random.Random(seed)
        self.counts: dict[str, dict[str, int]] = {"killed": {}, "signalled": {}, "verbs": {}}
        clone = luns.pages()
        resign = self._points(command("resign", luns.paths))
        resigned = luns.pages()
        self.judge = Judge(luns, clone, resigned)
        undo = self._points(command("undo", luns.paths))
        if luns.pages() != clone:
            self.judge.fail("an undo that nothing disturbs does not give the clone back")
        hidden = self._left("resign", clone, _late(resign, 0.5))
        begun = self._left("resign", clone, [p for p in resign if p.call == "fsync"][1])
        undoing = self._left("undo", resigned, _late(undo, 0.5))
        self.cases = [
            Case("resign", "resign", clone, resigned),
            Case("undo", "undo", resigned, clone),
            Case("recover", "recover", hidden, resigned),
            Case("undo of half a resign", "undo", hidden, clone),
            Case("recover of half an undo", "recover", undoing, clone),
            Case("undo of a begun resign", "undo", begun, clone),
            Case("resign of a begun resign", "resign", begun, resigned),
        ]

    def run(self, kills: int, signals: int) -> None:
        """Strike so many times: SIGKILL, and SIGINT and SIGTERM in turn."""
        points: dict[str, list[Point]] = {}
        lives: dict[str, float] = {}
        for case in self.cases:
            self.luns.put(case.start)
            points[case.name] = self._points(command(case.verb, self.luns.paths))
            if self.luns.pages() != case.end:
                self.judge.fail(f"{case.name} that nothing disturbs has another end")
            lives[case.name] = statistics.median(self._life(case) for _ in range(3))
        for number, sent in enumerate(self._signals(kills, signals)):
            case = self.cases[number % len(self.cases)]
            if sent != SIGKILL and self.chance.randrange(6) == 0:
                self._strike(case, sent, TELLING)
            elif number % 3 == 2:
                self._strike(case, sent, self.chance.uniform(0, 1.05 * lives[case.name]))
            else:
                self._strike(case, sent, self._chosen(points[case.name]))
        while not self.judge.failures and sum(self.counts["killed"].values()) < kills:
            case = self.chance.choice(self.cases)  # for a delay that was too long
            self._strike(case, SIGKILL, self._chosen(points[case.name]))

    def _signals(self, kills: int, signals: int) -> Iterator[Signals]:
        left = [SIGKILL] * kills + [SIGTERM, SIGINT] * (signals // 2)
        self.chance.shuffle(left)
        yield from left

    def _strike(self, case: Case, sent: Signals, at: "Point | float | str") -> None:
        self.luns.put(case.start)
        self.judge.where = f"{case.name}, {sent.name} at {at}"
        words = command(case.verb, self.luns.paths)
        exact = isinstance(at, Point)
        if isinstance(at, Point):
            ended = process.signalled(words, self.luns.paths, at, sent)
        elif isinstance(at, str):
            ended = process.signalled_while_telling(words, self.told, sent)
        else:
            ended = process.delayed(words, at, sent)
        _count(self.counts["verbs"], case.name)
        if sent != SIGKILL:
            _count(self.counts["signalled"], sent.name)
            self.judge.told(case, ended, sent, exact)
            if at == TELLING and (ended.code or not ended.said):
                self.judge.fail(f"done, and yet ended with {ended.code}")
        elif ended.code == -SIGKILL:
            _count(self.counts["killed"], "at an I/O" if exact else "after a delay")
            self.judge.killed(case)
        elif exact or ended.code or self.luns.pages() != case.end:
            self.judge.fail(f"was not killed, ended with {ended.code}: {ended.said[-300:]}")

    def _chosen(self, points: list[Point]) -> Point:
        reads = self.chance.randrange(10) < _READS_OF_TEN
        kinds = ("pread64", "read") if reads else (*WRITES, "fsync")
        return self.chance.choice([point for point in points if point.call in kinds])

    def _points(self, words: Sequence[str]) -> list[Point]:
        return process.points(words, self.luns.paths, self.log)

    def _left(self, verb: str, start: Pages, point: Point) -> Pages:
        self.luns.put(start)
        process.signalled(command(verb, self.luns.paths), self.luns.paths, point, SIGKILL)
        return self.luns.pages()

    def _life(self, case: Case) -> float:
        self.luns.put(case.start)
        began = time.monotonic()
        process.whole(command(case.verb, self.luns.paths))
        return time.monotonic() - began


def _late(points: list[Point], part: float) -> Point:
    writes = [point for point in points if point.call in WRITES]
    return writes[int(len(writes) * part)]


def _count(counts: dict[str, int], what: str) -> None:
    counts[what] = counts.get(what, 0) + 1


def main(arguments: Sequence[str]) -> int:
    """Run one scenario; return 1 when something failed."""
    # Whoever runs the tests in the background may ignore SIGINT; relun would inherit that.
    signal(SIGINT, default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", type=int, choices=range(len(SCENARIOS)))
    parser.add_argument("file", type=Path, help="where the counts go, as JSON")
    parser.add_argument("--kills", type=int, required=True)
    parser.add_argument("--signals", type=int, required=True)
    chosen = parser.parse_args(arguments)
    scenario = SCENARIOS[chosen.scenario]
    began = time.monotonic()
    quick = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a kill needs no real flush
    with (
        tempfile.TemporaryDirectory(dir=quick) as folder,
        scenario.luns(Path(folder)) as luns,
    ):
        campaign = Campaign(luns, Path(folder), _SEED + chosen.scenario)
        campaign.run(chosen.kills, chosen.signals)
    result: dict[str, Any] = {
        "scenario": scenario.name,
        "kills": sum(campaign.counts["killed"].values()),
        "signals": sum(campaign.counts["signalled"].values()),
        **campaign.counts,
        "left": dict(sorted(campaign.judge.phases.items())),
        "failed": len(campaign.judge.failures),
        "failures": campaign.judge.failures[:20],
        "seconds": round(time.monotonic() - began, 1),
    }
    chosen.file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return int(bool(campaign.judge.failures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
