"""The lab for tests: one guest a session, a clean set of devices for each test."""

import os
import shutil
from collections.abc import Iterator

import pytest

from lab.guest import Guest, obstacles
from lab.lab import Lab


@pytest.fixture(scope="session")
def session_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The session's guest, booted at first use and ended whatever happens."""
    reasons = obstacles()
    if reasons:
        pytest.skip("no guest on this machine: " + "; ".join(reasons))
    folder = tmp_path_factory.mktemp("lab")
    kept = os.environ.get("RELUN_LAB_KEEP")
    try:
        with Guest(folder) as guest:
            yield Lab(guest)
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def lab(session_lab: Lab) -> Iterator[Lab]:
    """A guest without any LUN."""
    if not session_lab.guest.alive:
        session_lab.power_cycle()
    try:
        yield session_lab
    finally:
        session_lab.clear()
