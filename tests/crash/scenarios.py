"""The SRs that the crash states are made of."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from crash.check import Run, resigned
from crash.recording import SECTOR, Image, Lun, State, devices
from relun.core import verbs
from relun.core.options import Options
from support import builder, golden
from support.builder import Cbt, Pv, Record, Ring, Sr, Vhd

NEW_SR = "11111111-2222-4333-8444-555555555555"
EARLIER_SR = "99999999-8888-4777-8666-{:012d}"


class Scenario(NamedTuple):
    """``luns`` makes the images in a folder; ``earlier`` resigns were done before."""

    name: str
    luns: Callable[[Path], tuple[str, ...]]
    options: Options = Options(sr_uuid=NEW_SR)
    block_size: int = SECTOR
    earlier: int = 0

    def start(self, folder: Path) -> State:
        """Return the clone."""
        luns = tuple(Lun(Image(path)) for path in self.luns(folder))
        for number in range(self.earlier):
            options = Options(sr_uuid=EARLIER_SR.format(number))
            verbs.resign(devices(luns, self.block_size), options)
        return luns

    def run(self, folder: Path) -> Run:
        """Return the uninterrupted resign."""
        return resigned(self.start(folder), self.options, self.block_size)


def _sample(name: str) -> Callable[[Path], tuple[str, ...]]:
    return lambda _folder: (golden.image(name),)


def litter(image: Image) -> dict[int, bytes]:
    """Return sectors that leave no room for a journal behind the extents: it must go over texts."""
    last = image.size // SECTOR
    return dict.fromkeys(range(last - _SEARCHED // SECTOR, last, 4), _LITTER)


def _littered(name: str) -> Callable[[Path], tuple[str, ...]]:
    def made(folder: Path) -> tuple[str, ...]:
        path = golden.copy(name, folder)
        with open(path, "r+b") as file:
            for number, data in litter(Image(path)).items():
                file.seek(number * SECTOR)
                file.write(data)
        return (path,)

    return made


def _made(name: str, sr: Sr) -> Callable[[Path], tuple[str, ...]]:
    return lambda folder: builder.build(sr, os.path.join(folder, name)).paths


_SEARCHED = 1 << 20  # bytes at the end of the LUN where zeros are looked for
_LITTER = b"something that somebody keeps here".ljust(SECTOR, b".")
_TREE = (Vhd("base", hidden=True), Vhd("left", parent="base"), Vhd("right", parent="base"))
_SMALL_RING = Pv(mda_size=64 * 1024 - 4096)
_DROPPING = Options(sr_uuid=NEW_SR, drop_snapshots=True)


def _snapshot(key: str, of: str) -> Vhd:
    return Vhd(key, parent="base", record=Record(key, is_a_snapshot=1, snapshot_of=of, read_only=1))


_SNAPSHOTS = Sr(
    (
        Vhd("base", hidden=True),
        Vhd("disk", parent="base"),
        _snapshot("first", "disk"),
        Vhd("lone-base", hidden=True),
        _snapshot("gone", "disk")._replace(parent="lone-base"),
        Cbt("disk"),
    ),
    "snapshots",
    pvs=(_SMALL_RING,),
)

SCENARIOS = (
    Scenario("single", _sample("single")),
    Scenario("chain", _sample("chain")),
    Scenario("raw", _sample("raw")),
    Scenario("twomda", _sample("twomda")),
    Scenario("wrapped", _littered("wrapped")),
    Scenario("blocks-4096", _sample("single"), block_size=4096),
    Scenario("wrapped-4096", _littered("wrapped"), block_size=4096),
    Scenario("drop-snapshots", _made("drop", _SNAPSHOTS), _DROPPING),
    Scenario("drop-chain", _sample("chain"), _DROPPING),
    Scenario("clone-of-clone", _sample("single"), earlier=1),
    Scenario(
        "several-pvs",
        _made("several", Sr((*_TREE, Vhd("split", segments=3)), "several", pvs=(_SMALL_RING,) * 3)),
    ),
    Scenario(
        "full-ring-pvs",
        _made(
            "full",
            Sr(_TREE, "full", pvs=(_SMALL_RING,) * 2, ring=Ring(filled=True, history=3)),
        ),
    ),
    Scenario(
        "full-clones",
        _made("clones", Sr(_TREE, "clones", pvs=(_SMALL_RING,), ring=Ring(filled=True))),
        earlier=3,
    ),
    Scenario("small", _made("small", Sr(_TREE, "small", pvs=(_SMALL_RING,))), earlier=1),
    Scenario(
        "full-4096",
        _made("4096", Sr(_TREE, "4096", pvs=(_SMALL_RING,), ring=Ring(filled=True))),
        block_size=4096,
        earlier=1,
    ),
)
