"""Edits: what really changes, in order, and never over each other."""

from typing import List

import pytest

from relun.core.edit import Edit, changed_runs, in_order, joined

OLD = bytes(512)
NEW = b"x" * 512


def edit(old: bytes, new: bytes, offset: int = 4096, device: int = 0) -> Edit:
    return Edit(device, offset, old, new, "test")


def runs(old: bytes, new: bytes) -> List[Edit]:
    return list(changed_runs(edit(old, new)))


def test_nothing_changes() -> None:
    assert runs(OLD * 3, OLD * 3) == []


def test_runs_are_whole_sectors() -> None:
    assert runs(OLD * 2, OLD + b"x" + OLD[1:]) == [edit(OLD, b"x" + OLD[1:], 4608)]


def test_runs_in_the_middle_and_at_the_ends() -> None:
    found = runs(OLD * 5, NEW + OLD + NEW + NEW + OLD)
    assert found == [edit(OLD, NEW), edit(OLD * 2, NEW * 2, 5120)]
    assert runs(OLD * 2, NEW * 2) == [edit(OLD * 2, NEW * 2)]


def test_run_of_less_than_a_sector() -> None:
    (found,) = runs(OLD + b"ab", OLD + b"ac")
    assert found == edit(b"ab", b"ac", 4608)
    assert found.end == 4610


def test_order_is_by_place() -> None:
    edits = [edit(OLD, NEW, 1024), edit(OLD, NEW, 0), edit(OLD, NEW, 512), edit(OLD, NEW, 0, 1)]
    assert [(e.device, e.offset) for e in in_order(edits)] == [(0, 0), (0, 512), (0, 1024), (1, 0)]


def test_overlap() -> None:
    with pytest.raises(ValueError, match="overlaps"):
        in_order([edit(OLD * 2, NEW * 2, 0), edit(OLD, NEW, 512)])


def test_overlap_says_what_overlaps() -> None:
    some = [edit(OLD, NEW)._replace(what="label"), edit(OLD, NEW, 4097)._replace(what="text")]
    with pytest.raises(ValueError) as caught:
        in_order(some)
    assert str(caught.value) == "label overlaps text"


def test_joined() -> None:
    """What follows without a gap becomes one write; nothing else moves."""
    assert joined([]) == []
    for offset in range(3):
        assert joined([(offset, b"first")]) == [(offset, b"first")]
    writes = [(512, b"ab"), (514, b"c"), (515, b"d"), (517, b"e"), (100, b"f"), (101, b"g")]
    assert joined(writes) == [(512, b"abcd"), (517, b"e"), (100, b"fg")]
