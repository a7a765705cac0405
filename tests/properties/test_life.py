"""A clone's life: resigned, undone, sealed, crashed, settled, and used by LVM, in any order."""

import struct
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from properties import expected
from properties.count import tried
from properties.shapes import srs
from properties.test_resign import assert_resigned
from relun.core import verbs
from relun.core.errors import DeviceError, Interrupted, Refused
from relun.core.options import Options
from support.builder import Sr
from support.builder.lvmtext import mda_header, ring
from support.sparse import SparseDevice

_SR_UUIDS = ["11111111-2222-4333-8444-{:012d}".format(n) for n in range(5)]
_ROUND = 512


class Power(SparseDevice):
    """A LUN whose host loses power after some writes."""

    def __init__(self, lun: SparseDevice) -> None:
        super().__init__(lun.size, lun.pages)
        self.left = [1 << 30]  # one budget for all LUNs of an SR

    def _write(self, offset: int, data: bytes) -> None:
        if self.left[0] <= 0:
            raise OSError("power lost")
        self.left[0] -= 1
        super()._write(offset, data)


def lvm_writes(lun: SparseDevice, start: int, text: bytes) -> bool:
    """Write a text as LVM2 2.02.180 does: behind the old one, round the end, then the header."""
    header = lun.read(start, 512)
    size = struct.unpack_from("<Q", header, 32)[0]
    offset, length = struct.unpack_from("<QQ", header, 40)
    at = offset + length + _ROUND - (offset + length) % _ROUND
    if at >= size:
        at = at - size + 512
    old = _sectors(ring(bytes(length), offset, size))
    pieces = ring(text, at, size)
    if old & _sectors(pieces):
        return False  # LVM says that the metadata area is full
    for where, data in pieces:
        lun.write(start + where, data)
    ignored = bool(header[60] & 1)
    lun.write(start, mda_header(start, size, [(at, text)], ignored))
    return True


def _sectors(pieces: Any) -> set[int]:
    return {
        sector
        for where, data in pieces
        for sector in range(where // 512, -(-(where + len(data)) // 512))
    }


class Life(RuleBasedStateMachine):
    """``past`` are the LUNs and declarations that undo must lead back to, one after the other."""

    @initialize(sr=srs())
    def clone(self, sr: Sr) -> None:
        made, start = expected.built(sr)
        self.luns = [Power(lun) for lun in start]
        for lun in self.luns:
            lun.left = self.luns[0].left
        self.sr = sr
        self.uuid = made.sr_uuid
        self.past: list[tuple[Any, Sr, str, int]] = []
        self.rewrites = 0
        self.used = False  # LVM wrote since the last resign
        self.leftover = False  # a journal whose resign never hid the LUN
        self.crashed = False
        self.target = ""
        self.clean = self.start = self.bytes_now()

    def bytes_now(self) -> list[SparseDevice]:
        return expected.copies(tuple(self.luns))

    def became(self, new_sr: str, before: list[SparseDevice]) -> None:
        if self.used:
            self.past = []
        self.past.append((before, self.sr, self.uuid, self.rewrites))
        self.sr, self.uuid, self.used = expected.renamed(self.sr, new_sr), new_sr, False
        self.rewrites += 1
        self.check()

    def check(self) -> None:
        """The volumes are what the builder makes of this identity; nothing forbids a resign."""
        made, wanted = expected.built(self.sr)
        volumes = expected.volumes(made, self.luns)
        for name, content in expected.volumes(made, wanted).items():
            # Before the first resign a footer may be dead, or differ; after it none does.
            assert volumes[name] == content, name
        repository = verbs.inspect(self.luns)
        assert repository.sr_uuid == self.uuid
        assert not [f for f in repository.findings if f.severity == "refuse"]

    @precondition(lambda self: not self.crashed)
    @rule(new_sr=st.sampled_from(_SR_UUIDS))
    def resign(self, new_sr: str) -> None:
        before = self.bytes_now()
        try:
            verbs.resign(self.luns, Options(sr_uuid=new_sr))
        except Refused as refused:
            assert expected.same(self.luns, before) or self.leftover, refused
            self.leftover_gone(before)
            return
        self.leftover_gone(before)
        self.became(new_sr, self.start)
        tried("life: resign")

    def leftover_gone(self, before: list[SparseDevice]) -> None:
        """A journal that never came to use is cleared first: undo goes back to before it."""
        self.start = self.clean if self.leftover else before
        self.leftover = False

    @precondition(lambda self: not self.crashed and not self.leftover)
    @rule(new_sr=st.sampled_from(_SR_UUIDS), writes=st.integers(0, 30))
    def resign_loses_power(self, new_sr: str, writes: int) -> None:
        before = self.bytes_now()
        self.luns[0].left[0] = writes
        try:
            verbs.resign(self.luns, Options(sr_uuid=new_sr))
            self.became(new_sr, before)
        except Refused:
            assert expected.same(self.luns, before)
        except DeviceError:
            self.leftover = not expected.same(self.luns, before)
            self.clean = before
        except Interrupted:
            self.crashed, self.target, self.clean = True, new_sr, before
        finally:
            self.luns[0].left[0] = 1 << 30
        tried("life: power lost in a resign")

    @precondition(lambda self: self.crashed)
    @rule(writes=st.integers(0, 20), forward=st.booleans())
    def settling_loses_power(self, writes: int, forward: bool) -> None:
        self.luns[0].left[0] = writes
        try:
            (verbs.recover if forward else verbs.undo)(self.luns)
        except (Interrupted, DeviceError):
            return
        finally:
            self.luns[0].left[0] = 1 << 30
        self.settled()

    @precondition(lambda self: self.crashed)
    @rule(forward=st.booleans())
    def settle(self, forward: bool) -> None:
        (verbs.recover if forward else verbs.undo)(self.luns)
        self.settled()
        tried("life: settled")

    def settled(self) -> None:
        """Either all of the resign or nothing of it is there."""
        self.crashed = False
        if expected.same(self.luns, self.clean):
            self.check()
        else:
            self.became(self.target, self.clean)

    @precondition(lambda self: not self.crashed and self.past and not self.used)
    @rule()
    def undo_again(self) -> None:
        self.undo()

    @precondition(lambda self: not self.crashed)
    @rule()
    def undo(self) -> None:
        before = self.bytes_now()
        if self.leftover:
            assert verbs.undo(self.luns).action == "cleared"
            assert expected.same(self.luns, self.clean)
            self.leftover = False
            return
        if self.used and self.past:
            try:
                verbs.undo(self.luns)
                raise AssertionError("undone although LVM has written since")
            except Refused:
                assert expected.same(self.luns, before)
            return
        if not self.past:
            try:
                assert verbs.undo(self.luns).action == "nothing"
            except Refused:  # a pointer that LVM's texts left behind
                pass
            assert expected.same(self.luns, before)
            return
        assert verbs.undo(self.luns).action == "undone"
        start, self.sr, self.uuid, self.rewrites = self.past.pop()
        assert expected.same(self.luns, start)
        self.check()
        tried("life: undo")

    @precondition(lambda self: not self.crashed)
    @rule()
    def recover_has_nothing_to_do(self) -> None:
        before = self.bytes_now()
        assert verbs.recover(self.luns).action == "nothing"
        assert expected.same(self.luns, before)

    @precondition(lambda self: not self.crashed)
    @rule()
    def seal(self) -> None:
        verbs.seal(self.luns)
        self.past, self.used, self.leftover = [], False, False
        self.check()
        assert not any(lun.read(2048, 2048).strip(b"\0") for lun in self.luns)
        tried("life: seal")

    @precondition(lambda self: not self.crashed and not self.leftover)
    @rule()
    def lvm_writes(self) -> None:
        """LVM changes a tag, in every area of every PV."""
        texts = set(expected.texts(self.luns))
        text = max(texts, key=lambda one: int(one.split(b"seqno = ")[1].split(b"\n")[0]))
        seqno = int(text.split(b"seqno = ")[1].split(b"\n")[0])
        text = text.replace(b"seqno = %d\n" % seqno, b"seqno = %d\n" % (seqno + 1), 1)
        before = self.bytes_now()
        for lun in self.luns:
            for start in expected.areas(lun):
                ignored = lun.read(start, 512)[60] & 1
                if not ignored and not lvm_writes(lun, start, text):
                    for one, old in zip(self.luns, before, strict=True):
                        one.pages = dict(old.pages)
                    return
        self.rewrites += 1
        self.used = True
        self.check()
        tried("life: LVM writes")

    def teardown(self) -> None:
        if not hasattr(self, "luns"):
            return
        if self.crashed:
            self.settle(True)
        if not self.used and not self.leftover and self.past:
            assert_resigned(self.past[-1][1], self.luns, self.uuid, self.rewrites)
        tried("life")


TestLife = Life.TestCase
