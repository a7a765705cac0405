"""What a crash can leave: every state of a run's log of writes and flushes.

A flush makes all earlier writes to its LUN durable. Of the writes since then any subset may have
reached the medium, unit by unit; a unit is 512 or 4096 bytes, whatever the medium writes whole.
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from crash.recording import SECTOR, Event, State, copied

EXHAUSTIVE = 12  # units: up to 4096 subsets
RANDOM_SUBSETS = 1000

Indexes = tuple[int, ...]


class Unit(NamedTuple):
    """Sectors that reach the medium together: those of one write in one atomic block."""

    device: int
    sector: int
    data: bytes
    write: int  # which write of the epoch it belongs to


class Epoch(NamedTuple):
    """``durable`` is certain, of ``units`` (in the order written) any subset may be there."""

    durable: State
    units: tuple[Unit, ...]


def epochs(start: State, log: Sequence[Event], atom: int) -> list[Epoch]:
    """Return the epochs of a run that began at ``start``; the last one has no units."""
    durable = copied(start)
    pending: list[Event] = []
    found: list[Epoch] = []
    for event in log:
        if event.data is not None:
            pending.append(event)
            continue
        found.append(Epoch(copied(durable), _units(durable, pending, atom)))
        for write in pending:
            if write.device == event.device and write.data is not None:
                durable[write.device].write(write.offset, write.data)
        pending = [write for write in pending if write.device != event.device]
    found.append(Epoch(durable, _units(durable, pending, atom)))
    return found


def _units(durable: State, writes: Sequence[Event], atom: int) -> tuple[Unit, ...]:
    """Cut writes into units; those that change nothing, whatever else is there, are left out."""
    units: list[Unit] = []
    for number, write in enumerate(writes):
        assert write.data is not None
        position = 0
        while position < len(write.data):
            offset = write.offset + position
            take = min(atom - offset % atom, len(write.data) - position)
            data = write.data[position : position + take]
            units.append(Unit(write.device, offset // SECTOR, data, number))
            position += take
    touched: dict[tuple[int, int], int] = {}
    for unit in units:
        for sector in _sectors(unit):
            touched[sector] = touched.get(sector, 0) + 1
    return tuple(
        unit
        for unit in units
        if any(touched[sector] > 1 for sector in _sectors(unit))
        or durable[unit.device].read(unit.sector * SECTOR, len(unit.data)) != unit.data
    )


def _sectors(unit: Unit) -> Iterator[tuple[int, int]]:
    for at in range(len(unit.data) // SECTOR):
        yield unit.device, unit.sector + at


def subsets(
    epoch: Epoch, seed: int, exhaustive: int = EXHAUSTIVE, randoms: int = RANDOM_SUBSETS
) -> Iterator[Indexes]:
    """Yield subsets of an epoch's units, each once.

    All of them up to ``exhaustive`` units. Beyond that: none, all, all but one or two, every torn
    point of every write, every prefix, each unit alone, and ``randoms`` random ones.
    """
    count = len(epoch.units)
    if count <= exhaustive:
        for size in range(count + 1):
            yield from itertools.combinations(range(count), size)
        return
    seen: set[Indexes] = set()
    for subset in itertools.chain(_chosen(epoch), _random(count, seed, randoms)):
        if subset not in seen:
            seen.add(subset)
            yield subset


def _chosen(epoch: Epoch) -> Iterator[Indexes]:
    everything = tuple(range(len(epoch.units)))
    for size in range(len(everything) + 1):  # stopped after any unit: every torn point as well
        yield everything[:size]
        yield everything[size:]
    for left_out in itertools.chain(
        itertools.combinations(everything, 1), itertools.combinations(everything, 2)
    ):
        yield tuple(index for index in everything if index not in left_out)
    for index in everything:
        yield (index,)
    by_write: dict[int, list[int]] = {}
    for index, unit in enumerate(epoch.units):
        by_write.setdefault(unit.write, []).append(index)
    for parts in by_write.values():  # one write torn at any point, all others there or none
        for at in range(1, len(parts)):
            for part in (parts[:at], parts[at:]):
                yield tuple(part)
                yield tuple(i for i in everything if i not in parts or i in part)


def _random(count: int, seed: int, how_many: int) -> Iterator[Indexes]:
    chance = random.Random(seed)
    for _ in range(how_many):
        bits = chance.getrandbits(count)
        yield tuple(index for index in range(count) if bits >> index & 1)


def state(epoch: Epoch, subset: Indexes) -> State:
    """Return the LUNs as a crash leaves them when just these units reached the medium."""
    left = copied(epoch.durable)
    for index in subset:
        unit = epoch.units[index]
        lun = left[unit.device]
        for at in range(0, len(unit.data), SECTOR):
            lun.put(unit.sector + at // SECTOR, unit.data[at : at + SECTOR])
    return left
