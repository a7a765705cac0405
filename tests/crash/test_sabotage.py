"""The harness itself: a protocol with one step left out or out of order is found out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crash.campaign import tried
from crash.check import Counts, repeatable
from crash.recording import MemoryDevice
from crash.scenarios import SCENARIOS
from relun.core import journal_store
from relun.core.journal.marker import STASH_AT
from relun.core.transaction import Transaction

RANDOM = 60


def counted(name: str, folder: Path) -> Counts:
    """Try the crash states of a scenario, few random ones."""
    scenario = next(one for one in SCENARIOS if one.name == name)
    with repeatable():
        return tried(scenario.run(folder), 0, 0, RANDOM)


def no_flush_of_edits(monkeypatch: pytest.MonkeyPatch) -> None:
    def apply(self: Transaction, writes: list[tuple[int, int, bytes]]) -> None:
        for number, offset, data in writes:
            self.devices[number].write(offset, data)

    monkeypatch.setattr(Transaction, "_apply", apply)


def no_flush_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    flush, count = MemoryDevice._flush, iter(range(1 << 30))

    def each_third(self: MemoryDevice) -> None:
        if next(count) % 3 == 2:
            flush(self)

    monkeypatch.setattr(MemoryDevice, "_flush", each_third)


def no_hiding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Transaction, "_hide", lambda _self, _direction: None)
    monkeypatch.setattr(Transaction, "_expect_own_marker", lambda _self: None)


def label_first(monkeypatch: pytest.MonkeyPatch) -> None:
    apply = Transaction._apply

    def commit_first(self: Transaction, writes: list[Any]) -> None:
        self._commit()
        apply(self, writes)

    monkeypatch.setattr(Transaction, "_apply", commit_first)
    monkeypatch.setattr(Transaction, "_expect_own_marker", lambda _self: None)


def no_stash(monkeypatch: pytest.MonkeyPatch) -> None:
    write = journal_store.write_flushed

    def skipping(device: MemoryDevice, offset: int, data: bytes) -> None:
        if offset != STASH_AT:
            write(device, offset, data)

    monkeypatch.setattr(journal_store, "write_flushed", skipping)


def no_pointer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_store.JournalStore, "announce", lambda _self, _pointer: None)
    monkeypatch.setattr(Transaction, "_expect_untouched", lambda _self, _pointers: None)


@pytest.mark.parametrize(
    ("sabotage", "scenario"),
    [
        (no_flush_of_edits, "small"),
        (no_flush_at_all, "full-4096"),
        (no_hiding, "small"),
        (label_first, "small"),
        (no_stash, "full-clones"),
        (no_pointer, "small"),
    ],
)
def test_a_broken_protocol_is_found_out(
    sabotage: Callable[[pytest.MonkeyPatch], None],
    scenario: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sabotage(monkeypatch)
    assert counted(scenario, tmp_path).failures


def test_the_protocol_as_it_is_passes(tmp_path: Path) -> None:
    counts = counted("small", tmp_path)
    assert counts.failures == [] and counts.states > 1000
