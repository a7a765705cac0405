"""Tries whether tests/core notices mistakes: ``python -m mutants.run [--seconds N] [MODULE ...]``.

Each mutant is one small mistake in one of the modules that plan, write and recover. It is killed
when a test fails, or takes far too long. Those known to survive are listed in survivors.toml, each
with its reason; any other survivor fails the run, and so does less than 95 % killed of all of them.
"""

import argparse
import json
import os
import random
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mutants.alter import source_of
from mutants.operators import Mutant, mutants
from mutants.trial import OPTIONS, Trial, Verdicts, try_at_import

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "mutants"
RESULTS = ROOT / ".cache" / "results" / "mutants.json"
SURVIVORS = Path(__file__).with_name("survivors.toml")
MODULES = (
    "plan",
    "transaction",
    "journal_store",
    "progress",
    "space",
    "edit",
    "seal",
    "mgt",
    "vhd",
    "cbt",
    "smjournal",
    "journal.marker",
    "journal.pages",
    "journal.payload",
    "lvm2.label",
    "lvm2.mda",
    "lvm2.text",
    "rewrite.dropping",
    "rewrite.images",
    "rewrite.lvm",
    "rewrite.mgt",
)
WRITERS = {"lvm2.text": ("MetadataText.render", "quote")}  # the rest of it reads only
AT_LEAST = 95  # per cent


def reasons() -> dict[str, str]:
    """Return why each of those listed survives, by full name."""
    listed = tomllib.loads(SURVIVORS.read_text(encoding="utf-8"))
    return {
        f"{module} | {name}": reason
        for module, known in listed.items()
        for reason, names in known.items()
        for name in names
    }


def judge(verdicts: Verdicts, listed: dict[str, str], whole: bool, possible: int) -> dict[str, Any]:
    """Return the result of a run; ``whole``: all mutants of all modules were to be tried."""
    survived = {_full(mutant) for mutant in verdicts.survived}
    killed = {_full(mutant) for mutant in verdicts.killed}
    untried = sorted(map(_full, verdicts.untried))
    unlisted = sorted(survived - listed.keys())
    stale = sorted(listed.keys() - survived if whole else listed.keys() & killed)
    tried = len(killed) + len(survived)
    share = 100 * len(killed) / tried if tried else 0.0
    too_few = whole and share < AT_LEAST
    return {
        "possible": possible,
        "tried": tried,
        "killed": len(killed),
        "by_time": len(verdicts.by_time),
        "survived": len(survived),
        "listed": len(survived) - len(unlisted),
        "per_cent": round(share, 1),
        "whole": whole,
        "unlisted": unlisted,
        "listed_but_killed_or_gone": stale,
        "could_not_be_tried": untried,
        "failed": bool(unlisted or stale or untried or too_few),
    }


def told(result: dict[str, Any]) -> str:
    """Return a result in words."""
    lines = [f"survived, and not listed: {name}" for name in result["unlisted"]]
    lines += [f"listed, but killed or gone: {name}" for name in result["listed_but_killed_or_gone"]]
    lines += [f"could not be tried: {name}" for name in result["could_not_be_tried"]]
    lines.append(
        "mutants: {tried} of {possible} tried: {killed} killed ({per_cent} %; {by_time} of them "
        "by taking too long), {survived} survived, {listed} of them listed".format(**result)
    )
    if result["whole"] and result["per_cent"] < AT_LEAST:
        lines.append(f"less than {AT_LEAST} % killed")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Try all mutants, or for so many seconds a random selection of them; return 1 on failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=", ".join(MODULES))
    parser.add_argument("--seconds", type=float, default=0, help="a random selection, so long")
    parser.add_argument("--seed", type=int, default=1, help="of the random selection")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    parser.add_argument("--listed", action="store_true", help="only those known to survive")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    os.chdir(ROOT)
    if given.one:
        return try_at_import(given.one)
    possible = _possible(given.modules or MODULES)
    listed = reasons()
    known = [mutant for mutant in possible if _full(mutant) in listed]
    chosen = list(known if given.listed else possible)
    if given.seconds:
        random.Random(given.seed).shuffle(chosen)
    began = time.monotonic()
    trial = Trial(chosen, MODULES, CACHE, given.seconds, given.jobs, known)
    status = pytest.main([*OPTIONS, "tests/core"], plugins=[trial])
    if status != 0:
        return int(status)
    whole = not (given.seconds or given.modules or given.listed)
    result = judge(trial.verdicts, listed, whole, len(possible))
    result["seconds"] = round(time.monotonic() - began)
    if given.seconds:
        result["seed"] = given.seed
        sys.stdout.write(f"a random selection, --seed {given.seed}\n")
    if not (given.modules or given.listed):
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(told(result))
    return int(result["failed"])


def _possible(modules: Sequence[str]) -> list[Mutant]:
    return [
        mutant
        for module in modules
        for mutant in mutants(module, source_of(module))
        if mutant.function in WRITERS.get(module, (mutant.function,))
    ]


def _full(mutant: Mutant) -> str:
    return f"{mutant.module} | {mutant.name}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
