"""The table of what a run tried: complete or failing, and never written by hand."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS: dict[str, dict[str, Any]] = {
    "crash": {"states": 7, "failed": 0, "scenarios": [{"scenario": "s", "states": 7, "failed": 0}]},
    "faults": {"faults": 6, "failed": 0, "by_scenario": {"s": 6}},
    "two-hosts": {"interleavings": 4, "clean": 3, "settled": 1, "loose": 0, "broken": 0},
    "kills": {
        "kills": 5,
        "signals": 2,
        "failed": 0,
        "scenarios": [{"scenario": "s", "kills": 5, "failed": 0}],
    },
    "fuzz": {"targets": {"vhd": {"executions": 1234567, "failed": False, "crashes": []}}},
    "properties": {"examples": {"life": 9}, "tests_failed_in_run": 0},
    "mutants": {
        "tried": 8,
        "killed": 7,
        "by_time": 2,
        "listed": 1,
        "unlisted": [],
        "listed_but_killed_or_gone": [],
        "could_not_be_tried": [],
        "failed": False,
    },
}


@pytest.fixture
def proof() -> ModuleType:
    """Return the script as a module."""
    spec = importlib.util.spec_from_file_location("proof", ROOT / "scripts" / "proof.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def written(folder: Path, **changed: dict[str, Any]) -> Path:
    """Write the results of a run; ``changed`` by name, with ``_`` for ``-``."""
    for name, result in RESULTS.items():
        text = json.dumps({**result, **changed.get(name.replace("-", "_"), {})})
        (folder / (name + ".json")).write_text(text, encoding="utf-8")
    return folder


def test_a_whole_run(proof: ModuleType, tmp_path: Path) -> None:
    rows, wrong = proof.read(written(tmp_path))
    assert wrong == []
    shown = proof.table(rows)
    assert proof.shape(shown) == proof.MAIN_ROWS
    assert ["vhd", "1,234,567"] in [line.split() for line in shown.splitlines()]
    assert "life" in shown and "life" not in proof.table(rows, details=False)


def test_what_became_of_mutants(proof: ModuleType, tmp_path: Path) -> None:
    """Those whose tests only took too long are told apart from those that a test noticed."""
    rows, _wrong = proof.read(written(tmp_path))
    told = {row.what: row.tried for row in rows if row.kept}
    assert told["a test failed"] == 5 and told["the tests took too long"] == 2
    assert told["not noticed, for a listed reason"] == 1


@pytest.mark.parametrize("name", RESULTS)
def test_a_part_that_is_missing(proof: ModuleType, tmp_path: Path, name: str) -> None:
    (written(tmp_path) / (name + ".json")).unlink()
    _rows, wrong = proof.read(tmp_path)
    assert len(wrong) == 1 and wrong[0].endswith("no result of this run")


@pytest.mark.parametrize("name", RESULTS)
def test_a_part_that_is_not_understood(proof: ModuleType, tmp_path: Path, name: str) -> None:
    (written(tmp_path) / (name + ".json")).write_text("{}", encoding="utf-8")
    _rows, wrong = proof.read(tmp_path)
    assert len(wrong) == 1 and "not understood" in wrong[0]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("crash", {"failed": 1}),
        ("faults", {"failed": 1}),
        ("two_hosts", {"failed": 1}),
        ("kills", {"failed": 1}),
        ("fuzz", {"targets": {"vhd": {"executions": 9, "failed": False, "crashes": ["c"]}}}),
        ("properties", {"tests_failed_in_run": 1}),
        ("mutants", {"unlisted": ["a mutant"]}),
        ("mutants", {"listed_but_killed_or_gone": ["a mutant"]}),
        ("mutants", {"could_not_be_tried": ["a mutant"]}),
        ("mutants", {"failed": True}),
        ("mutants", {"tried": 0}),
        ("crash", {"states": 0}),
        ("kills", {"kills": 0}),
    ],
)
def test_failures_and_nothing_tried(
    proof: ModuleType, tmp_path: Path, name: str, change: dict[str, Any]
) -> None:
    _rows, wrong = proof.read(written(tmp_path, **{name: change}))
    assert wrong


def test_a_table_in_a_document(proof: ModuleType, tmp_path: Path) -> None:
    """It is put in its place, and known to be of another shape or of a failed run."""
    shown = proof.table(proof.read(written(tmp_path))[0])
    empty = f"a\n{proof.BEGIN}\n```text\n(no run yet)\n```\n{proof.END}\nb\n"
    text = proof.quoted(empty, shown)
    assert text.startswith("a\n") and text.endswith("b\n") and shown in text
    assert proof.quoted(text, shown) == text
    for good in (empty, text):
        assert proof.check(good, proof.MAIN_ROWS) == ""
    assert proof.check(text, ["another row"])
    assert proof.check(text.replace("       0\n", "       3\n", 1), proof.MAIN_ROWS)
    assert proof.check("no place", proof.MAIN_ROWS)
    with pytest.raises(ValueError):
        proof.quoted("no place", shown)


def test_documents_quote_what_a_run_prints(proof: ModuleType) -> None:
    """Right in shape at least; the numbers are of the run that was last put there."""
    for path in proof.QUOTED_IN:
        assert proof.check(path.read_text(encoding="utf-8"), proof.MAIN_ROWS) == ""
