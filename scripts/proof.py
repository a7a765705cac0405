"""Prints what the last run of the tests tried: crashes, faults, kills, fuzzing, mutants.

    .venv/bin/python scripts/proof.py           print; exit 1 when a part is missing or has failures
    .venv/bin/python scripts/proof.py --write   and put the table into README.md and docs/safety.md
    .venv/bin/python scripts/proof.py --check   exit 1 when what stands there is not such a table

Every number comes from a file in .cache/results that the run itself wrote. `make test` empties that
folder before it starts, so that nothing of an earlier run counts.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / ".cache" / "results"
QUOTED_IN = (ROOT / "README.md", ROOT / "docs" / "safety.md")
BEGIN = "<!-- proof: one run of `make test` printed this; scripts/proof.py --write puts it here -->"
END = "<!-- /proof -->"
_BLOCK = re.compile(re.escape(BEGIN) + r"\n```text\n(.*?)```\n" + re.escape(END), re.DOTALL)
_NONE_YET = "(no run yet)\n"

Result = dict[str, Any]


class Row(NamedTuple):
    """One line of the table. Rows of detail belong to the one above them.

    The README leaves out details, but for those that say what the row above does not: ``kept``.
    """

    what: str
    tried: int
    failed: int
    detail: bool = False
    kept: bool = False


class Part(NamedTuple):
    """What a tier of the tests leaves in ``file``, and how it is read."""

    name: str
    file: str
    rows: Callable[[Result], Iterable[Row]]


def _crashes(found: Result) -> Iterator[Row]:
    yield Row("crash states", found["states"], found["failed"])
    for one in found["scenarios"]:
        yield Row(one["scenario"], one["states"], one["failed"], detail=True)


def _faults(found: Result) -> Iterator[Row]:
    yield Row("faults of one I/O", found["faults"], found["failed"])
    for scenario, tried in found["by_scenario"].items():
        yield Row(scenario, tried, 0, detail=True)


def _two_hosts(found: Result) -> Iterator[Row]:
    """The tier itself fails for what it does not know; what it calls broken needs a reservation."""
    yield Row("two hosts at once", found["interleavings"], found.get("failed", 0))
    for outcome in ("clean", "settled", "loose", "broken"):
        yield Row(outcome, found[outcome], 0, detail=True, kept=True)


def _kills(found: Result) -> Iterator[Row]:
    yield Row("kills of the process", found["kills"], found["failed"])
    for one in found["scenarios"]:
        yield Row(one["scenario"], one["kills"], one["failed"], detail=True)
    yield Row("SIGINT and SIGTERM", found["signals"], 0)


def _fuzzing(found: Result) -> Iterator[Row]:
    targets = found["targets"]
    broken = [int(told["failed"] or bool(told["crashes"])) for told in targets.values()]
    yield Row("fuzz executions", sum(told["executions"] for told in targets.values()), sum(broken))
    for (name, told), failed in zip(targets.items(), broken, strict=True):
        yield Row(name, told["executions"], failed, detail=True)


def _properties(found: Result) -> Iterator[Row]:
    yield Row("properties' examples", sum(found["examples"].values()), found["tests_failed_in_run"])
    for name, tried in found["examples"].items():
        yield Row(name, tried, 0, detail=True)


def _mutants(found: Result) -> Iterator[Row]:
    """A random selection, unless ``make mutants`` has tried all of them."""
    wrong = ("unlisted", "listed_but_killed_or_gone", "could_not_be_tried")
    failed = sum(len(found[name]) for name in wrong)
    yield Row("mutants", found["tried"], max(failed, int(found["failed"])))
    yield Row("a test failed", found["killed"] - found["by_time"], 0, detail=True, kept=True)
    yield Row("the tests took too long", found["by_time"], 0, detail=True, kept=True)
    yield Row("not noticed, for a listed reason", found["listed"], 0, detail=True, kept=True)


PARTS = (
    Part("crash states", "crash", _crashes),
    Part("faults", "faults", _faults),
    Part("two hosts", "two-hosts", _two_hosts),
    Part("kills", "kills", _kills),
    Part("fuzzing", "fuzz", _fuzzing),
    Part("properties", "properties", _properties),
    Part("mutants", "mutants", _mutants),
)


def read(results: Path) -> tuple[list[Row], list[str]]:
    """Return the table's rows, and what is missing or failed."""
    rows: list[Row] = []
    wrong: list[str] = []
    for part in PARTS:
        try:
            found = json.loads((results / (part.file + ".json")).read_text(encoding="utf-8"))
            mine = list(part.rows(found))
        except FileNotFoundError:
            wrong.append(f"{part.name}: no result of this run")
            continue
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            wrong.append(f"{part.name}: result not understood: {error!r}")
            continue
        rows += mine
        wrong += [f"{part.name}: {row.what}: {row.failed} failed" for row in mine if row.failed]
        wrong += [f"{part.name}: nothing was tried" for row in mine[:1] if not row.tried]
    return rows, wrong


def table(rows: Iterable[Row], details: bool = True) -> str:
    """Return the table as text."""
    lines = ["{:48}{:>12}{:>8}".format("", "tried", "failed")]
    for row in rows:
        if details or row.kept or not row.detail:
            what = "  " + row.what if row.detail else row.what
            failed = str(row.failed) if row.failed or not row.detail else ""
            lines.append(f"{what:48}{row.tried:>12,}{failed:>8}".rstrip())
    return "\n".join(lines) + "\n"


def quoted(text: str, shown: str) -> str:
    """Return a document with the table in its place. Raise ValueError when it has none."""
    changed, count = _BLOCK.subn(lambda _match: f"{BEGIN}\n```text\n{shown}```\n{END}", text)
    if count != 1:
        raise ValueError(f"{count} places for the table")
    return changed


def shape(shown: str) -> list[str]:
    """Return the names of a table's main rows."""
    lines = shown.splitlines()[1:]
    return [re.split(r"  +", line)[0] for line in lines if not line.startswith("  ")]


def check(text: str, wanted: list[str]) -> str:
    """Return what is wrong with a document's table, nothing when it is as a run prints it."""
    found = _BLOCK.search(text)
    if found is None:
        return "no place for the table"
    if found.group(1) == _NONE_YET:
        return ""
    if shape(found.group(1)) != wanted:
        return f"the table has {shape(found.group(1))}, a run prints {wanted}"
    if any(not line.endswith(" 0") for line in found.group(1).splitlines()[1:] if line[0] != " "):
        return "the table is of a run with failures"
    return ""


MAIN_ROWS = [
    "crash states",
    "faults of one I/O",
    "two hosts at once",
    "kills of the process",
    "SIGINT and SIGTERM",
    "fuzz executions",
    "properties' examples",
    "mutants",
]


def main(arguments: list[str]) -> int:
    """Print, write or check; return the exit code."""
    if arguments == ["--check"]:
        told = [(path, check(path.read_text(encoding="utf-8"), MAIN_ROWS)) for path in QUOTED_IN]
        for path, wrong in told:
            if wrong:
                print(f"{path.name}: {wrong}")
        return int(any(wrong for _path, wrong in told))
    rows, wrongs = read(RESULTS)
    print(table(rows))
    for wrong in wrongs:
        print("NOT PROVEN:", wrong)
    if wrongs:
        return 1
    print("Failures: 0")
    if arguments == ["--write"]:
        for path, details in zip(QUOTED_IN, (False, True), strict=True):
            text = path.read_text(encoding="utf-8")
            path.write_text(quoted(text, table(rows, details)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
