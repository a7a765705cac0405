"""Servers for all tests, and small LUNs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from cli.conftest import relun as relun
from relun.remote.iscsi import IscsiDevice, open_iscsi
from relun.remote.login import Login
from relun.remote.lun import Patience
from remote.servers import Tgt
from support.builder import Sr, Vhd, build

OURS = Login(initiator="iqn.2003-01.local.relun:test")
OTHERS = Login(initiator="iqn.2003-01.local.relun:somebody-else")
QUICK = Patience(command=2, outage=6.0)


class Exported(NamedTuple):
    """A LUN that a target offers."""

    tgt: Tgt
    target: int
    name: str
    file: Path

    @property
    def address(self) -> str:
        """Where it is."""
        return self.tgt.address(self.name)

    def through(self, port: int) -> str:
        """Where it is behind a proxy."""
        return self.tgt.address(self.name, port=port)

    def open(self, writable: bool = True, port: int = 0, login: Login = OURS) -> IscsiDevice:
        """Log in."""
        where = self.tgt.address(self.name, port=port)
        return open_iscsi(where, login, writable, QUICK)


@pytest.fixture(scope="session")
def tgt() -> Iterator[Tgt]:
    """An iSCSI target daemon."""
    with Tgt() as running:
        yield running


@pytest.fixture
def sr_file(tmp_path: Path) -> Path:
    """The image of a LUN with two disks."""
    return Path(build(Sr((Vhd("base", hidden=True, in_mgt=False), Vhd("disk", parent="base"))),
                      tmp_path / "lun.img").path)  # fmt: skip


@pytest.fixture(params=[512, 4096])
def exported(request: pytest.FixtureRequest, tgt: Tgt, sr_file: Path) -> Iterator[Exported]:
    """That LUN behind a target, with either block size."""
    yield from export(tgt, sr_file, request.param)


@pytest.fixture
def lun(tgt: Tgt, sr_file: Path) -> Iterator[Exported]:
    """That LUN behind a target."""
    yield from export(tgt, sr_file, 512)


def export(tgt: Tgt, file: Path, block_size: int) -> Iterator[Exported]:
    """Offer a LUN for a while."""
    name = f"lun{tgt.port}"
    target = tgt.target(name)
    tgt.lun(target, file, block_size=block_size)
    yield Exported(tgt, target, name, file)
    tgt.remove(target)
