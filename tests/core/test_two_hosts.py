"""Two hosts that share only the LUN: the other one acts between any two I/Os of this one."""

from typing import Any, Callable, Dict, List, Optional

import pytest

from relun.core import verbs
from relun.core.errors import DeviceError, Interrupted, Refused
from relun.core.journal.marker import POINTER_AT, parse_marker, parse_pointer
from relun.core.options import Options
from support.builder import Pv, Ring, Sr
from support.clone import NEW_SR, TREE, made
from support.memory import SECTOR, MemoryDevice

OTHER_SR = "0c0c0c0c-1111-4222-8333-444444444444"
PLAIN = Sr(TREE, "one", pvs=(Pv(mda_size=64 * 1024),))
FULL = Sr(TREE, "ring", pvs=(Pv(mda_size=64 * 1024),), ring=Ring(filled=True, history=2))
LABEL_AT = SECTOR
HEADER_AT = 4096

Action = Callable[[MemoryDevice], Any]
State = Dict[int, bytes]


class Watched(MemoryDevice):
    """A LUN where something happens just before I/O number ``when``."""

    def __init__(self, path: Any) -> None:
        super().__init__(path)
        self.when = 0
        self.ios = 0
        self.action: Optional[Callable[[], Any]] = None

    def _read(self, offset: int, length: int) -> bytes:
        self._step()
        return super()._read(offset, length)

    def _write(self, offset: int, data: bytes) -> None:
        self._step()
        super()._write(offset, data)

    def _step(self) -> None:
        self.ios += 1
        if self.ios == self.when and self.action:
            self.ios = 1 << 30
            self.action()


def to(sr_uuid: str) -> Action:
    return lambda device: verbs.resign([device], Options(sr_uuid=sr_uuid))


def undo(device: MemoryDevice) -> Any:
    return verbs.undo([device])


def seal(device: MemoryDevice) -> Any:
    return verbs.seal([device])


def shared(path: str, state: State) -> MemoryDevice:
    """Return the LUN as another host sees it: the same bytes."""
    device = MemoryDevice(path)
    device.sectors = state
    return device


def interleaved(path: str, start: State, one: Action, other: Action, when: int) -> "Watched":
    """Run ``one``; just before its I/O number ``when`` the other host does all of ``other``."""
    device = Watched(path)
    device.sectors.update(start)
    device.when = when
    device.action = lambda: attempt(other, shared(path, device.sectors))
    device.outcome = attempt(one, device)  # type: ignore[attr-defined]
    return device


def attempt(action: Action, device: MemoryDevice) -> str:
    try:
        action(device)
    except (DeviceError, Refused):
        return "unchanged"
    except Interrupted:
        return "interrupted"
    return "done"


def after(path: str, start: State, *actions: Action) -> State:
    device = shared(path, dict(start))
    for action in actions:
        attempt(action, device)
    return device.sectors


def readable(state: State, path: str) -> State:
    """Leave out what only relun reads: pointer, stash, and its pages wherever they lie."""
    plain = MemoryDevice(path)
    found = {}
    for number, data in state.items():
        at = number * SECTOR
        page = state.get(number - 1, b"")[:4] == b"RLNJ" or data[:4] == b"RLNJ"
        if not POINTER_AT <= at < HEADER_AT and not page and data != plain.get(at, SECTOR):
            found[number] = data
    return found


def break_off(device: MemoryDevice) -> Any:
    """Resign until the LUN is hidden and the edits are written, and no further."""
    for flushes in range(1, 40):
        device.lives = device.flush_calls + flushes
        attempt(to(NEW_SR), device)
        device.lives = 1 << 30
        if parse_marker(device.get(LABEL_AT, SECTOR)) is not None:
            return
        undo(device)  # what did not come as far


def recover(device: MemoryDevice) -> Any:
    return verbs.recover([device])


PAIRS = {
    "resigns": ([], to(NEW_SR), to(OTHER_SR)),
    "resigns-to-one-uuid": ([], to(NEW_SR), to(NEW_SR)),
    "undos": ([to(NEW_SR)], undo, undo),
    "recovers": ([break_off], recover, recover),
    "undo-and-seal": ([to(NEW_SR)], undo, seal),
}  # type: Dict[str, Any]


@pytest.mark.parametrize("name", sorted(PAIRS))
@pytest.mark.parametrize("sr", [PLAIN, FULL], ids=["plain", "full"])
def test_the_other_host_acts_between_two_ios(name: str, sr: Sr, tmpdir: Any) -> None:
    """What is left is one run's result for every reader, at once or after recover."""
    path = made(sr, tmpdir)[0].paths[0]
    before, one, other = PAIRS[name]
    start = after(path, {}, *before)
    orders = [(), (one,), (other,), (one, other), (other, one)]  # type: List[Any]
    wanted = [readable(after(path, start, *order), path) for order in orders]
    outcomes: List[str] = []
    for when in range(1, 400):
        device = interleaved(path, start, one, other, when)
        if device.ios < 1 << 30:  # the run was over before
            break
        outcomes.append(device.outcome)  # type: ignore[attr-defined]
        verbs.recover([shared(path, device.sectors)])
        assert any(readable(device.sectors, path) == result for result in wanted), when
    assert len(outcomes) > 30
    assert {"unchanged", "interrupted"} & set(outcomes)


def test_a_journal_that_goes_with_what_it_tells_of(tmpdir: Any) -> None:
    """Another host spoils journal and metadata between the look and the marker: it stays hidden.

    No label would be right then; the old one is in the marker.
    """
    path = made(PLAIN, tmpdir)[0].paths[0]
    start = after(path, {}, to(NEW_SR))

    def spoil(device: MemoryDevice) -> None:
        pointer = parse_pointer(device.get(POINTER_AT, SECTOR))
        assert pointer is not None
        device.put(pointer.region.offset, bytes(pointer.region.size))
        device.put(HEADER_AT, b"something of neither run".ljust(SECTOR, b"."))

    codes = set()
    for when in range(1, 60):
        device = interleaved(path, start, undo, spoil, when)
        if device.outcome == "interrupted":  # type: ignore[attr-defined]
            with pytest.raises(Interrupted) as caught:
                undo(shared(path, device.sectors))
            codes.add(caught.value.code)
    assert codes == {"journal-damaged"}
