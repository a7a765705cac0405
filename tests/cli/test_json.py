"""JSON output: what ``schema`` says, no key more, no key less."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Relun
from relun.cli.schema import OBJECTS, OPTIONAL, SCHEMA
from support import golden
from support.builder import Built, empty

TYPES = {"str": str, "int": int, "bool": bool, "object": dict}


def check(value: Any, kind: str, place: str = "") -> None:
    """Assert that a value is of a type of the schema, to the last key."""
    if kind.endswith("?"):
        if value is not None:
            check(value, kind[:-1], place)
        return
    if kind.startswith("["):
        assert isinstance(value, list), place
        for number, part in enumerate(value):
            check(part, kind[1:-1], f"{place}[{number}]")
        return
    if kind in TYPES:
        assert type(value) is TYPES[kind], f"{place}: {value!r} is no {kind}"
        return
    keys = OBJECTS[kind]
    assert isinstance(value, dict), place
    assert set(value) - set(keys) == set(), f"{place}: not in the schema"
    assert set(keys) - set(value) - OPTIONAL.get(kind, set()) == set(), f"{place}: missing"
    for key, part in value.items():
        check(part, keys[key][0], f"{place}.{key}")


def test_the_check_itself() -> None:
    """It finds what is wrong."""
    cause = {"code": "a", "title": "b"}
    check(cause, "cause")
    check([cause, cause], "[cause]")
    check(None, "cause?")
    faults: list[Any] = [{**cause, "more": 1}, {"code": "a"}, {"code": "a", "title": 1}, None, []]
    for wrong in faults:
        with pytest.raises(AssertionError):
            check(wrong, "cause")


@pytest.mark.parametrize("name", golden.names())
@pytest.mark.parametrize("words", [("inspect",), ("plan",), ("plan", "-vv"), ("verify",)])
def test_reports_of_real_luns(relun: Relun, name: str, words: tuple[str, ...]) -> None:
    """What is there, refused or not."""
    found = relun(*words, "--json", golden.image(name)).object
    check(found, "report")
    assert found["schema"] == SCHEMA
    edits = found.get("plan", {}).get("edits", [])
    assert all(("old" in edit) == ("-vv" in words) for edit in edits)


def test_reports_of_changes(relun: Relun, lun: str, break_off: Callable[[int], None]) -> None:
    """Done, interrupted, recovered, undone, sealed."""
    seen = []
    break_off(6)
    for verb in ("resign", "inspect", "seal", "recover", "undo", "resign", "seal", "undo"):
        found = relun(verb, "--json", lun).object
        break_off(-1)
        check(found, "report")
        assert found["verb"] == verb
        seen.append((found["exit"], (found.get("outcome") or {}).get("action")))
    assert seen == [
        (3, None),
        (0, None),
        (3, None),
        (0, "recovered"),
        (0, "undone"),
        (0, "resigned"),
        (0, "sealed"),
        (0, "nothing"),
    ]


def test_interrupted_says_how_to_go_on(
    relun: Relun, lun: str, break_off: Callable[[int], None]
) -> None:
    """The command, the cause, and that the LUN was changed."""
    break_off(6)
    error = relun("resign", "--json", lun).object["error"]
    assert error["changed"] is True
    assert error["cause"]["code"] == "device-io"
    assert error["next"] == [f"    relun recover {lun}"]


def test_outcome_of_a_resign(relun: Relun, two_pvs: Built) -> None:
    """Old and new ids of everything, and the next steps."""
    found = relun("resign", "--json", *two_pvs.paths).object
    check(found, "report")
    ids = found["outcome"]["ids"]
    assert set(ids["sr"]) == {two_pvs.sr_uuid}
    assert set(two_pvs.uuids.values()) == set(ids["vdi"])
    assert {two_pvs.vg_uuid.replace("-", "")} < set(ids["lvm"])
    assert found["outcome"]["next_steps"][0].startswith("xe sr-probe ")
    assert found["outcome"]["bytes_written"] > 4096


def test_conflicts(relun: Relun, lun: str, tmp_path: Path) -> None:
    """One object for all devices."""
    clone = tmp_path / "clone.img"
    clone.write_bytes(Path(lun).read_bytes())
    nothing = empty(str(tmp_path / "empty.img"))
    found = relun("conflicts", "--json", lun, clone, nothing, tmp_path / "none").object
    check(found, "conflicts")
    assert len(found["conflicts"]) == 1
    assert found["unreadable"][0]["code"] == "device-missing"


def test_explain(relun: Relun) -> None:
    """One object a code."""
    for found in relun("explain", "--json").objects:
        check(found, "explanation")


def test_names_that_are_no_text(relun: Relun, tmp_path: Path) -> None:
    """A file name that is no UTF-8 comes out as an escape."""
    path = tmp_path / "l\udcff.img"
    path.write_bytes(b"")
    assert "\\udcff" in relun("inspect", "--json", path).out
