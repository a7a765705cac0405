"""Tries the crash states of one scenario: ``python -m crash.campaign NAME FILE-FOR-COUNTS``.

First every crash of the resign and of an undo after it, then every crash of the recover and of the
undo that settle these: in a random (seeded) selection of them, until ``--second`` were tried.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from crash import sealing
from crash.check import Checker, Counts, Run, repeatable
from crash.recording import Event, State, copied, devices, same
from crash.scenarios import SCENARIOS
from crash.states import RANDOM_SUBSETS, epochs, state, subsets
from relun.core import verbs

ATOMS = (512, 4096)
_SEED = 20180720


class Campaign:
    """``kept`` of the crashes of the run itself are kept, to go deeper into."""

    def __init__(self, checker: Checker, target: int, keep: int, randoms: int) -> None:
        self.checker = checker
        self.target = target
        self.keep = keep
        self.randoms = randoms
        self.chance = random.Random(_SEED)
        self.kept: list[tuple[State, str, int]] = []

    def crashes(self, name: str, start: State, log: Sequence[Event], atom: int) -> None:
        """Try every crash of a run."""
        for luns, where in _crashes(name, start, log, atom, self.randoms):
            if not self._try(luns, where):
                continue
            met = self.checker.counts.states
            if len(self.kept) < self.keep:
                self.kept.append((luns, where, atom))
            elif self.chance.randrange(met) < self.keep:
                self.kept[self.chance.randrange(self.keep)] = (luns, where, atom)

    def deeper(self) -> None:
        """Try every crash of what settles the kept ones, until the target is met."""
        counts = self.checker.counts
        self.chance.shuffle(self.kept)
        for luns, where, atom in self.kept:
            if counts.second >= self.target:
                return
            counts.deeper += 1
            self.checker.where = where
            for number, log in enumerate(self.checker.check(luns)):
                inner = "{} > {}".format(where, number)
                for left, inside in _crashes(inner, luns, log, atom, self.randoms // 10):
                    counts.second += self._try(left, inside)

    def _try(self, luns: State, where: str) -> bool:
        if not self.checker.new(luns):
            return False
        self.checker.where = where
        self.checker.check(luns)
        return True


def _crashes(
    name: str, start: State, log: Sequence[Event], atom: int, randoms: int
) -> Iterator[tuple[State, str]]:
    for number, epoch in enumerate(epochs(start, log, atom)):
        for subset in subsets(epoch, _SEED + number, randoms=randoms):
            units = ",".join(map(str, subset))
            where = "{}/{} epoch {} units {} of {}".format(
                name, atom, number, units, len(epoch.units)
            )
            yield state(epoch, subset), where


def tried(run: Run, target: int, keep: int, randoms: int = RANDOM_SUBSETS) -> Counts:
    """Try the crash states of a resign, of an undo after it, and of what settles them."""
    counts = Counts()
    campaign = Campaign(Checker(run, counts), target, keep, randoms)
    back, log = copied(run.end), list[Event]()
    verbs.undo(devices(back, run.block_size, log))
    if not same(back, run.start):
        counts.failures.append("the uninterrupted undo is not the start")
    for atom in ATOMS:
        if atom >= run.block_size:
            campaign.crashes("resign", run.start, run.log, atom)
            campaign.crashes("undo", run.end, log, atom)
    campaign.deeper()
    return counts


def sealed(run: Run, target: int, keep: int, randoms: int = RANDOM_SUBSETS) -> Counts:
    """Try the crash states of a seal, and of the second seal that completes it."""
    counts = Counts()
    sealing_run = sealing.sealed(run)
    campaign = Campaign(sealing.SealChecker(sealing_run, counts), target, keep, randoms)
    for atom in ATOMS:
        if atom >= run.block_size:
            campaign.crashes("seal", sealing_run.start, sealing_run.log, atom)
    campaign.deeper()
    return counts


def main(arguments: Sequence[str]) -> int:
    """Try one scenario; return 1 when a state failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=[scenario.name for scenario in SCENARIOS])
    parser.add_argument("file", type=Path, help="where the counts go, as JSON")
    parser.add_argument("--second", type=int, default=0, help="go deeper until so many were tried")
    parser.add_argument("--keep", type=int, default=300, help="go deeper into so many at most")
    parser.add_argument("--seal", action="store_true", help="the crashes of a seal instead")
    chosen = parser.parse_args(arguments)
    began = time.process_time()
    scenario = next(one for one in SCENARIOS if one.name == chosen.scenario)
    with tempfile.TemporaryDirectory() as folder, repeatable():
        run = scenario.run(Path(folder))
        counts = (sealed if chosen.seal else tried)(run, chosen.second, chosen.keep)
    result = {
        "scenario": ("seal " if chosen.seal else "") + scenario.name,
        "states": counts.states,
        "first": counts.states - counts.second,
        "second": counts.second,
        "deeper": counts.deeper,
        "duplicates": counts.duplicates,
        "verbs": counts.runs,
        "by_phase": counts.by_phase,
        "failed": len(counts.failures),
        "failures": counts.failures[:20],
        "cpu_seconds": round(time.process_time() - began, 1),
    }
    chosen.file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 1 if counts.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
