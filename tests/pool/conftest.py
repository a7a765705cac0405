"""A target for all tests, a pool for each."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pool.site import PoolSite
from remote.servers import Tgt


@pytest.fixture(scope="session")
def tgt() -> Iterator[Tgt]:
    """An iSCSI target daemon."""
    with Tgt() as running:
        yield running


@pytest.fixture
def make_pool_site(tmp_path: Path, tgt: Tgt) -> Iterator[Callable[..., PoolSite]]:
    """Make pools: for the number of hosts, the world of SM, with TLS or without."""
    made: list[PoolSite] = []

    def make(hosts: int = 3, world: str = "renamed", tls: bool = False) -> PoolSite:
        folder = tmp_path / f"pool{len(made)}"
        folder.mkdir()
        made.append(PoolSite(folder, tgt, hosts, world, tls))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def pool_site(make_pool_site: Callable[..., PoolSite]) -> PoolSite:
    """A pool of three hosts."""
    return make_pool_site()
