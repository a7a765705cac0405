"""Power is lost while the journal goes over old texts: only some of the last sectors stay."""

import hashlib
from typing import Any, Dict, List, Tuple

import pytest

from relun.core import verbs
from relun.core.errors import RelunError
from relun.core.journal.marker import STASH_AT
from relun.core.journal.pages import STASH_SIZE
from relun.core.repository import IN_PROGRESS
from support.builder import Built, Pv, Ring, Sr
from support.clone import MDA, NEW_SR, TREE, clones, made, resign
from support.memory import SECTOR, MemoryDevice

MDA_SIZE = 512 * 1024
TIGHT = Pv(size=(1 << 20) + (40 << 20), mda_size=MDA_SIZE)  # nothing behind the last extent
OVER_OLD_TEXTS = Sr(TREE, "torn", pvs=(TIGHT,), ring=Ring(filled=True))


def lun(folder: Any) -> Built:
    """Return an SR whose ring is full of what compresses by half only: few pages fit the stash."""
    built = made(OVER_OLD_TEXTS, folder)[0]
    with open(built.path, "r+b") as file:
        file.seek(MDA + 64 * 1024)
        page = hashlib.shake_128(b"torn").digest(500) + bytes(524)
        file.write(page * (MDA_SIZE // 1024 - 64))
    return built


class Torn(MemoryDevice):
    """Loses power in flush number ``dies``: every other sector since the flush before is lost."""

    def __init__(self, path: str, dies: int, loses: int) -> None:
        super().__init__(path)
        self.dies = dies
        self.loses = loses  # 0 or 1: even or odd ones
        self.durable: Dict[int, bytes] = {}
        self.gone = False

    def _read(self, offset: int, length: int) -> bytes:
        if self.gone:
            raise OSError(5, "no power")
        return super()._read(offset, length)

    def _write(self, offset: int, data: bytes) -> None:
        if self.gone:
            raise OSError(5, "no power")
        super()._write(offset, data)

    def _flush(self) -> None:
        if self.flush_calls == self.dies:
            for number in sorted(set(self.sectors) | set(self.durable)):
                if number % 2 == self.loses:
                    self.sectors.pop(number, None)
                    if number in self.durable:
                        self.sectors[number] = self.durable[number]
            self.gone = True
            raise OSError(5, "no power")
        super()._flush()
        self.durable = dict(self.sectors)


def after(built: Built, verb: str, dies: int, loses: int) -> Tuple[MemoryDevice, bool]:
    """Return the LUN after a resign, or an undo of one, that lost power; and whether it did."""
    device = Torn(built.path, 1 << 30, loses)
    if verb == "undo":
        resign([device])
    device.dies = device.flush_calls + dies
    try:
        resign([device]) if verb == "resign" else verbs.undo([device])
    except RelunError:
        assert device.gone
    later = MemoryDevice(built.path)
    later.sectors.update(device.sectors)
    return later, device.gone


@pytest.mark.parametrize("loses", [0, 1])
@pytest.mark.parametrize("verb", ["resign", "undo"])
def test_whatever_sectors_stayed(verb: str, loses: int, tmpdir: Any) -> None:
    """undo gives the clone back, byte for byte, and so it does when it loses power itself."""
    built = lun(tmpdir)
    (device,) = clones(built)
    plan = resign([device]).plan
    assert plan is not None and not plan.space.region.zeroed
    end = device.state()
    actions: List[str] = []
    for dies in range(200):
        later, gone = after(built, verb, dies, loses)
        if not gone:
            break
        actions.append(verbs.undo([later]).action)
        assert later.state() == {}
    else:
        pytest.fail("it never ends")
    assert later.state() == (end if verb == "resign" else {})
    assert "undone" in actions and len(actions) > 10  # several batches
    assert verb == "undo" or "cleared" in actions


def test_a_resign_after_it(tmpdir: Any) -> None:
    """The leftover goes first, then all is as if nothing had been before."""
    built = lun(tmpdir)
    (device,) = clones(built)
    resign([device])
    for dies in range(5):
        later, _gone = after(built, "resign", dies, 0)
        if verbs.inspect([later]).state != IN_PROGRESS:
            assert resign([later]).new_sr == NEW_SR
            assert later.state() == device.state()


def test_nothing_stays_in_the_stash(tmpdir: Any) -> None:
    (device,) = clones(lun(tmpdir))
    resign([device])
    assert not any(device.get(STASH_AT, STASH_SIZE))
    assert STASH_AT % SECTOR == 0
