"""The LUNs that processes are killed on: files, and loop devices (O_DIRECT) over files.

What lies on a LUN is read and put back through the files, as 4096-byte pages without zeros.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from support import builder, golden
from support.builder import Pv, Ring, Sr, Vhd
from support.lvm import attach, detach

PAGE = 4096
Pages = dict[tuple[int, int], bytes]  # (LUN, page number) -> bytes


class Luns:
    """``files`` hold the bytes, ``paths`` are what relun is given: the same, or loop devices."""

    def __init__(self, files: tuple[str, ...], paths: tuple[str, ...]) -> None:
        self.files = files
        self.paths = paths

    def pages(self) -> Pages:
        """Return what lies on the LUNs."""
        found = {}
        for number, file in enumerate(self.files):
            with open(file, "rb", buffering=0) as data:
                for page in _data_pages(data.fileno()):
                    raw = os.pread(data.fileno(), PAGE, page * PAGE)
                    if any(raw):
                        found[number, page] = raw
        return found

    def put(self, wanted: Pages) -> None:
        """Let the LUNs hold nothing but these pages."""
        present = self.pages()
        for number, file in enumerate(self.files):
            with open(file, "r+b", buffering=0) as data:
                for place in present.keys() | wanted.keys():
                    raw = wanted.get(place, bytes(PAGE))
                    if place[0] == number and raw != present.get(place):
                        os.pwrite(data.fileno(), raw, place[1] * PAGE)


def differing(one: Pages, other: Pages) -> list[tuple[int, int]]:
    """Return (LUN, sector) where two states differ."""
    found = []
    for place in sorted(one.keys() | other.keys()):
        mine, others = one.get(place, bytes(PAGE)), other.get(place, bytes(PAGE))
        if mine != others:
            for at in range(0, PAGE, 512):
                if mine[at : at + 512] != others[at : at + 512]:
                    found.append((place[0], place[1] * (PAGE // 512) + at // 512))
    return found


def _data_pages(fd: int) -> Iterator[int]:
    size = os.fstat(fd).st_size
    at = 0
    while at < size:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:  # only a hole is left
            return
        end = os.lseek(fd, at, os.SEEK_HOLE)
        yield from range(at // PAGE, -(-end // PAGE))
        at = end


class Scenario(NamedTuple):
    """``make`` makes the files in a folder; with a ``block_size`` they become loop devices."""

    name: str
    make: Callable[[Path], tuple[str, ...]]
    block_size: int = 0

    @contextmanager
    def luns(self, folder: Path) -> Iterator[Luns]:
        """Lend the clone."""
        files = self.make(folder)
        if not self.block_size:
            yield Luns(files, files)
            return
        loops = tuple(attach(file, self.block_size) for file in files)
        try:
            yield Luns(files, loops)
        finally:
            for loop in loops:
                detach(loop)


_TREE = (Vhd("base", hidden=True), Vhd("left", parent="base"), Vhd("right", parent="base"))
_SMALL_RING = Pv(mda_size=64 * 1024 - PAGE)
_FULL = Sr(_TREE, "full", pvs=(_SMALL_RING,), ring=Ring(filled=True, history=3))


def _made(sr: Sr) -> Callable[[Path], tuple[str, ...]]:
    return lambda folder: builder.build(sr, folder / "lun.img").paths


def _sample(name: str) -> Callable[[Path], tuple[str, ...]]:
    return lambda folder: (golden.copy(name, folder),)


SCENARIOS = (
    Scenario("tree, file", _made(Sr(_TREE, "tree", pvs=(_SMALL_RING,)))),
    Scenario("tree, loop device", _made(Sr(_TREE, "tree", pvs=(_SMALL_RING,))), 512),
    Scenario("full ring, file", _made(_FULL)),
    Scenario("full ring, loop device of 4096-byte blocks", _made(_FULL), PAGE),
    Scenario("two PVs, file", _made(Sr(_TREE, "pair", pvs=(_SMALL_RING,) * 2))),
    Scenario("single, loop device", _sample("single"), 512),
)
