"""The judge of the properties is judged: with one thing left undone, a resign does not pass."""

from collections.abc import Callable
from typing import Any

import pytest

from properties import expected
from properties.test_resign import assert_resigned, old_ids, visible
from relun.core import verbs
from relun.core.identity import Identity
from relun.core.journal_store import JournalStore
from relun.core.mgt import Mgt, Record
from relun.core.options import Options
from relun.core.rewrite import images, lvm
from support import builder
from support.builder import Cbt, Journal, Sr, Vhd

NEW_SR = "11111111-2222-4333-8444-555555555555"
SR = Sr(
    (
        Vhd("base", hidden=True),
        Vhd("leaf", "base", footers="dead-primary"),
        builder.Qcow2("q0"),
        builder.Qcow2("q1", "q0"),
        Cbt("leaf", child="base"),
        Journal("jvhd", "leaf", state="committed"),
    ),
    records=(builder.Record("dropped", deleted=1, snapshot_of="leaf"),),
)


def nothing(*_arguments: Any) -> list[Any]:
    return []


MUTANTS: dict[str, tuple[Any, str, Any]] = {
    "locators stay": (images, "_locators", nothing),
    "image uuids stay": (Identity, "image", lambda _self, old: old),
    "packed uuids stay": (Identity, "packed_vdi", lambda _self, old: old),
    "SR uuid of MGT stays": (Mgt, "with_sr_uuid", lambda self, _uuid: self.head),
    "records stay": (Record, "replaced", lambda self, **_elements: self),
    "LVM ids stay": (lvm, "_replace_uuid", nothing),
    "LV names stay": (lvm, "lv_name", lambda name, _identity: name),
}
for kind in ("qcow2", "cbtlog", "jvhd", "vhd"):
    MUTANTS[kind + " stays"] = (images._PATCHES, kind, nothing)


def judged() -> None:
    _, start = expected.built(SR)
    clone = expected.copies(start)
    verbs.resign(clone, Options(sr_uuid=NEW_SR))
    assert_resigned(SR, clone, NEW_SR)
    assert not [form for form in old_ids(SR) if form in visible(clone)]
    verbs.undo(clone)
    assert expected.same(clone, start)


def test_sound() -> None:
    judged()


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, what, instead = MUTANTS[name]
    if isinstance(where, dict):
        monkeypatch.setitem(where, what, instead)
    else:
        monkeypatch.setattr(where, what, instead)
    with pytest.raises(AssertionError):
        judged()


def test_search_alone_finds_every_form() -> None:
    made, start = expected.built(SR)
    data = visible(start)
    for one in [made.sr_uuid, *made.uuids.values(), *made.footers.values()]:
        assert any(form in data for form in expected.forms(one))
    # The parent: dashed, its dashes doubled, both in UTF-16 too, and packed in the log.
    assert sum(form in data for form in expected.forms(made.uuids["base"])) >= 4


def test_undo_that_leaves_a_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    withdraw: Callable[..., None] = JournalStore.withdraw

    def careless(self: JournalStore, *arguments: Any) -> None:
        withdraw(self, *arguments)
        self.device.write(self.region.offset, b"\1")

    monkeypatch.setattr(JournalStore, "withdraw", careless)
    with pytest.raises(AssertionError):
        judged()
