"""Packages and scratch roots."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from support.scratch_root import PLATFORMS, Packages, Root, build_rpm

Install = Callable[[str], Root]


@pytest.fixture(scope="session")
def relun_rpm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """relun's rpm, as `make rpm` builds it."""
    if not shutil.which("rpmbuild"):
        pytest.skip("rpmbuild is not installed")
    return build_rpm(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """The packages of the hosts."""
    if os.geteuid():
        pytest.skip("rpm runs scriptlets in a root of its own for the superuser only")
    return Packages(tmp_path_factory.mktemp("hosts"))


@pytest.fixture
def root(tmp_path: Path, packages: Packages, relun_rpm: Path) -> Install:
    """A function: platform -> a scratch root of it."""

    def make(platform: str) -> Root:
        return Root(tmp_path / platform, packages, PLATFORMS[platform])

    return make
