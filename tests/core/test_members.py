"""A VG of two LUNs, interrupted anywhere: only the clone's own LUNs settle it.

The original's second LUN has the label that the clone's second LUN had, so a label proves nothing.
"""

import itertools
from typing import Any, List

import pytest

from relun.core import verbs
from relun.core.errors import Interrupted, RelunError
from relun.core.options import Options
from support.builder import Pv, Sr, Vhd, build
from support.memory import MemoryDevice

OPTIONS = Options(sr_uuid="11111111-2222-4333-8444-555555555555")


@pytest.fixture(scope="module")
def paths(tmp_path_factory: Any) -> Any:
    sr = Sr((Vhd("base"), Vhd("leaf", "base"), Vhd("other")), pvs=(Pv(), Pv()))
    return build(sr, tmp_path_factory.mktemp("pvs") / "lun").paths


class Dying(MemoryDevice):
    """Shares a countdown with its siblings: the write it ends at fails, and all after it."""

    def __init__(self, path: str, countdown: List[int]) -> None:
        super().__init__(path)
        self.countdown = countdown

    def _write(self, offset: int, data: bytes) -> None:
        self.countdown[0] -= 1
        if self.countdown[0] < 0:
            raise OSError(5, "gone")
        super()._write(offset, data)


def interrupted(paths: Any, writes: int) -> List[Dying]:
    """Return the clone's LUNs as a resign leaves them that fails after so many writes."""
    countdown = [writes]
    luns = [Dying(path, countdown) for path in paths]
    try:
        verbs.resign(luns, OPTIONS)
    except RelunError:
        pass
    countdown[0] = 1 << 30
    return luns


def in_progress(paths: Any) -> Any:
    """Yield (writes, LUNs) for every interruption that leaves the LUNs in progress."""
    for writes in itertools.count():
        luns = interrupted(paths, writes)
        state = verbs.inspect(luns).state
        if state == "done":
            return
        if state == "in-progress":
            yield writes, luns


def test_every_interruption_is_settled_both_ways_whatever_the_order_of_the_luns(paths: Any) -> None:
    done = [lun.state() for lun in interrupted(paths, 1 << 30)]
    count = 0
    for writes, luns in in_progress(paths):
        assert verbs.recover(luns[::-1]).action == "recovered"
        assert [lun.state() for lun in luns] == done
        luns = interrupted(paths, writes)
        assert verbs.undo(luns[::-1]).action == "undone"
        assert [lun.state() for lun in luns] == [{}, {}]
        count += 1
    assert count > 15


@pytest.mark.parametrize("first", [Pv(), Pv(mdas=0)], ids=["journal-first", "journal-last"])
def test_what_broke_off_before_anything_was_hidden_is_taken_away(first: Pv, tmpdir: Any) -> None:
    """From every LUN that got a pointer, whichever was the first."""
    volumes = (Vhd("base"), Vhd("leaf", "base"))
    paths = build(Sr(volumes, pvs=(first, Pv())), tmpdir.join("lun")).paths
    met = set()
    for writes in itertools.count():
        luns = interrupted(paths, writes)
        if verbs.inspect(luns).state != "original":
            break
        met.add(tuple(bool(lun.state()) for lun in luns))
        assert verbs.undo(luns).action == ("cleared" if writes else "nothing")
        assert [lun.state() for lun in luns] == [{}, {}]
    assert len(met) == 3 and (True, True) in met


def test_the_originals_second_lun_is_never_taken_for_the_clones(paths: Any) -> None:
    for _writes, luns in in_progress(paths):
        before = luns[0].state()
        original = MemoryDevice(paths[1])
        for verb in (verbs.recover, verbs.undo):
            with pytest.raises(Interrupted) as error:
                verb([luns[0], original])
            assert error.value.code == "members-missing"
        assert original.state() == {}
        assert luns[0].state() == before


def test_the_originals_lun_may_be_among_those_given(paths: Any) -> None:
    """Wherever it stands: it belongs to no resign, and the clone's own LUNs are all there."""
    for writes, luns in in_progress(paths):
        if luns[0].state() == {} or writes % 4:
            continue
        for place in (0, 1, 2):
            given = interrupted(paths, writes)
            original = MemoryDevice(paths[1])
            verbs.undo([*given[:place], original, *given[place:]])
            assert [lun.state() for lun in (*given, original)] == [{}, {}, {}]


def test_an_undo_that_breaks_off_is_finished_by_both_verbs(paths: Any) -> None:
    for verb in (verbs.undo, verbs.recover):
        for writes in itertools.count():
            luns = interrupted(paths, 1 << 30)
            luns[0].countdown[0] = writes
            try:
                verbs.undo(luns)
                break
            except RelunError:
                luns[0].countdown[0] = 1 << 30
            verb(luns)
            if verbs.inspect(luns).state == "done":  # nothing had been written yet
                assert writes == 0
                continue
            assert [lun.state() for lun in luns] == [{}, {}]
        assert writes > 20
