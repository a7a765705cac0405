"""Sites for the tests of what runs in dom0: every world of SM, on the oldest and newest Python."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from xapi.site import Site

ROOT = Path(__file__).resolve().parent.parent.parent
DOM0_PYTHON = ROOT / ".venv36" / "bin" / "python"  # CPython 3.6, as in dom0 of XenServer 8
NEWEST = sys.executable
# Each world on dom0's Python, and the two newest worlds on the newest Python too.
COMBINATIONS = (
    ("flat", "dom0"),
    ("old-flat", "dom0"),
    ("renamed", "dom0"),
    ("package", "dom0"),
    ("renamed", "newest"),
    ("package", "newest"),
)


def python_of(name: str) -> str:
    """Return an interpreter: "dom0" is CPython 3.6, "newest" the one that runs the tests."""
    if name == "newest":
        return NEWEST
    if not DOM0_PYTHON.exists():
        pytest.skip("no .venv36: make setup")
    asked = [str(DOM0_PYTHON), "-c", "import sys; print(sys.version_info[:2] == (3, 6))"]
    if subprocess.check_output(asked, stdin=subprocess.DEVNULL).strip() != b"True":
        pytest.skip("no CPython 3.6 was found by make setup")
    return str(DOM0_PYTHON)


@pytest.fixture(params=COMBINATIONS, ids="-".join)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A pool of two hosts with relun on both, in each combination of world and Python."""
    world, python = request.param
    with Site(tmp_path, world, python_of(python)) as made:
        made.install()
        yield made


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Make sites without anything installed: for one world, on dom0's Python."""
    made: list[Site] = []

    def make(world: str = "flat", python: str = "dom0", hosts: int = 2) -> Site:
        folder = tmp_path / f"site{len(made)}"
        folder.mkdir()
        made.append(Site(folder, world, python_of(python), hosts))
        return made[-1]

    yield make
    for each in made:
        each.server.close()


@pytest.fixture
def one_site(make_site: Callable[..., Site]) -> Site:
    """A site with relun installed: today's XCP-ng 8.3, on dom0's Python."""
    made = make_site("renamed")
    made.install()
    return made
