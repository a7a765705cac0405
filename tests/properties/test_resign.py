"""Whatever SR is on the LUNs: a resign gives exactly the SR with new ids, and undo the clone.

The judge is the builder: the same declaration with the new ids must make the same volumes, byte for
byte. So the image tree is the same tree, and every guest reads the same data.
"""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from properties import expected
from properties.count import tried
from properties.shapes import NEW_SRS, srs
from relun.core import verbs
from relun.core.errors import Refused
from relun.core.options import Options
from support.builder import Sr, make_uuid
from support.sparse import SparseDevice

GAP = 4096
_FORCED = {"force_journals": True}
_NO_ROOM = {"mda-full", "journal-space"}


def resigned(luns: Sequence[SparseDevice], new_sr: str, **options: Any) -> Any:
    """Resign; return the outcome, None when it was refused for want of room, nothing changed."""
    before = expected.copies(tuple(luns))
    try:
        return verbs.resign(luns, Options(sr_uuid=new_sr, **options))
    except Refused as refused:
        assert expected.same(luns, before)
        assert refused.code in _NO_ROOM, (refused, refused.findings)
        return None


def assert_resigned(sr: Sr, luns: Sequence[SparseDevice], new_sr: str, times: int = 1) -> None:
    """Judge LUNs that were resigned ``times`` times, the last time from ``sr`` to ``new_sr``."""
    old, _ = expected.built(sr)
    new, wanted = expected.built(expected.renamed(sr, new_sr))
    volumes = expected.volumes(new, luns)
    for name, content in expected.volumes(new, wanted).items():
        assert volumes[name] == content, name
    [text] = set(expected.texts(luns))
    ids = expected.lvm_ids(text)
    assert text[-1:] == b"\0"
    assert expected.anonymous(text, times) == expected.anonymous(new.text, 0)
    assert not set(ids) & set(expected.lvm_ids(old.text))
    assert len(set(ids)) == len(ids)
    pv_ids = [raw[32:64] for _sector, raw in expected.labels(luns)]
    assert pv_ids == [shown.replace(b"-", b"") for shown in ids[1 : 1 + len(pv_ids)]]


def visible(luns: Sequence[SparseDevice]) -> bytes:
    """Return all that a reader may take for its own: no gap, no ring but for its current texts."""
    found = []
    for lun, (_sector, label) in zip(luns, expected.labels(luns), strict=True):
        found += [label, *(lun.read(start, 512) for start in expected.areas(lun))]
        rings = [
            (at, at + int.from_bytes(lun.read(at, 512)[32:40], "little"))
            for at in expected.areas(lun)
        ]
        for low, high in lun.data_ranges(GAP, lun.size):
            if not any(start <= low < end for start, end in rings):
                found.append(lun.read(low, high - low))
    return b"\0".join(found + expected.texts(luns))


def old_ids(sr: Sr) -> list[bytes]:
    """Return every id of an SR in every form, those that name nothing on it included."""
    made, _ = expected.built(sr)
    ids = [made.sr_uuid, *made.uuids.values(), *made.footers.values()]
    ids += [make_uuid(sr.seed, "vdi/" + key) for key in ("gone", "gone-too", "k0", "k1")]
    ids += [make_uuid(sr.seed, "footer/gone")]
    found = [form for one in ids for form in expected.forms(one)]
    for shown in expected.lvm_ids(made.text):
        found += [shown, shown.replace(b"-", b"")]
    return found


@given(srs(), NEW_SRS, NEW_SRS)
def test_resign_and_undo(sr: Sr, new_sr: str, newer_sr: str) -> None:
    _, start = expected.built(sr)
    clone, again = expected.copies(start), expected.copies(start)
    outcome = resigned(clone, new_sr)
    if outcome is None:
        tried("resign: refused, nothing changed")
        return
    assert_resigned(sr, clone, new_sr)
    data = visible(clone)
    assert [form for form in old_ids(sr) if form in data] == []
    assert_only_the_plan_changed(outcome.plan, start, clone)
    assert verbs.verify(clone, expected.copies(start)) == ()
    resigned(again, new_sr)
    assert expected.same(clone, again), "the same SR uuid gives other bytes"
    first = expected.copies(tuple(clone))
    if newer_sr != new_sr and resigned(clone, newer_sr) is not None:
        assert_resigned(expected.renamed(sr, new_sr), clone, newer_sr, times=2)
        assert verbs.undo(clone).action == "undone"
        assert expected.same(clone, first), "undo of the second resign"
        tried("clone of a clone, undone twice")
    assert verbs.undo(clone).action == "undone"
    assert expected.same(clone, start), "undo of the first resign"
    tried("resign and undo")


def assert_only_the_plan_changed(
    plan: Any, start: Sequence[SparseDevice], luns: Sequence[SparseDevice]
) -> None:
    """Every byte that changed lies in an edit of the plan, or in relun's own journal or gap."""
    region = plan.space.region
    for number, (before, after) in enumerate(zip(start, luns, strict=True)):
        mine = [(e.offset, e.end) for e in plan.edits if e.device == number]
        mine.append((2048, GAP))
        if number == plan.change.switch:
            mine.append((region.offset, region.offset + region.size))
        for page in sorted(set(before.pages) | set(after.pages)):
            for at in range(page * 4096, page * 4096 + 4096, 512):
                if before.read(at, 512) != after.read(at, 512):
                    assert any(low <= at and at + 512 <= high for low, high in mine), at


@settings(max_examples=settings().max_examples // 2)
@given(srs(forced=True), NEW_SRS)
def test_pending_journals_are_carried_over(sr: Sr, new_sr: str) -> None:
    _, start = expected.built(sr)
    clone = expected.copies(start)
    if resigned(clone, new_sr, **_FORCED) is not None:
        assert_resigned(sr, clone, new_sr)
        verbs.undo(clone)
        assert expected.same(clone, start)
        tried("resign with pending journals")


_SOME_PENDING = st.one_of(srs(), srs(), srs(), srs(forced=True))


@given(_SOME_PENDING, NEW_SRS, st.booleans(), st.booleans(), st.booleans())
def test_refused_or_undone(sr: Sr, new_sr: str, drop: bool, cbt: bool, label: bool) -> None:
    """With any options: either nothing changed, or undo gives back every byte."""
    _, start = expected.built(sr)
    clone = expected.copies(start)
    pattern = "copy of {name}" if label else ""
    options = Options(sr_uuid=new_sr, drop_snapshots=drop, drop_cbt=cbt, label=pattern)
    try:
        verbs.resign(clone, options)
    except Refused:
        assert expected.same(clone, start)
        tried("refused, nothing changed")
        return
    assert not any(finding.severity == "refuse" for finding in verbs.inspect(clone).findings)
    assert verbs.undo(clone).action == "undone"
    assert expected.same(clone, start)
    tried("resign with options and undo")


@settings(max_examples=max(10, settings().max_examples // 8))
@given(srs(), NEW_SRS)
def test_sealed_no_old_id_stays_anywhere(sr: Sr, new_sr: str) -> None:
    _, start = expected.built(sr)
    clone = expected.copies(start)
    if resigned(clone, new_sr) is None:
        return
    verbs.seal(clone)
    data = b"\0".join(b"".join(lun.pages[number] for number in sorted(lun.pages)) for lun in clone)
    assert [form for form in old_ids(sr) if form in data] == []
    assert_resigned(sr, clone, new_sr)
    assert verbs.verify(clone, expected.copies(start)) == ()
    tried("sealed")
