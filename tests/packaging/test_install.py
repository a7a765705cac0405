"""relun's rpm in dom0 of every platform: rpm itself runs the scriptlets, in a root of their own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.scratch_root import BASE, LINSTOR, OURS, PLATFORMS, XCP_NG, XOSTOR, Root, build_rpm

Install = Callable[[str], Root]
PLATFORM = pytest.mark.parametrize("platform", ["xenserver8", "xcpng83", "xenserver9"])
OWN = "etc/xapi.conf.d/99-zz-relun.conf"


@PLATFORM
def test_types_are_added_to_the_list_of_the_platform(
    root: Install, relun_rpm: Path, platform: str
) -> None:
    host = root(platform)
    before = host.plugins()
    assert before == PLATFORMS[platform].plugins
    said = host.install(relun_rpm)
    assert host.plugins() == before + OURS
    assert "xe-toolstack-restart" in said
    assert "every host of the pool" in said


def test_list_of_xostor_survives(root: Install, relun_rpm: Path) -> None:
    host = root("xcpng83")
    host.install(host.packages["xcp-ng-linstor"])
    host.install(relun_rpm)
    assert host.plugins() == XOSTOR + OURS
    host.remove("relun")
    assert host.plugins() == XOSTOR


def test_xostor_that_comes_and_goes_later(root: Install, relun_rpm: Path) -> None:
    host = root("xcpng83")
    host.install(relun_rpm)
    host.install(host.packages["xcp-ng-linstor"])
    assert host.start_xapi() == XOSTOR + OURS
    host.remove("xcp-ng-linstor")
    assert host.start_xapi() == XCP_NG + OURS
    assert not (host.path / "etc/xapi.conf.d" / LINSTOR).exists()


def test_list_that_an_update_of_xapi_brings(root: Install, relun_rpm: Path) -> None:
    host = root("xcpng83")
    host.install(relun_rpm)
    conf = host.path / "etc/xapi.conf"
    conf.write_text(conf.read_text().replace("largeblock", "largeblock newtype"))
    assert host.start_xapi() == XCP_NG + " newtype" + OURS


@PLATFORM
def test_removal_leaves_no_trace(root: Install, relun_rpm: Path, platform: str) -> None:
    host = root(platform)
    before = host.snapshot()
    host.install(relun_rpm)
    assert list(host.path.glob("usr/share/relun/relun/core/__pycache__/*.pyc"))
    assert host.snapshot() != before
    host.start_xapi()
    host.run("/usr/bin/relun", "--version")
    said = host.remove("relun")
    assert host.snapshot() == before
    assert "xe-toolstack-restart" in said


@PLATFORM
def test_reinstallation_and_upgrade(
    root: Install, relun_rpm: Path, tmp_path: Path, platform: str
) -> None:
    host = root(platform)
    before = host.snapshot()
    host.install(relun_rpm)
    installed = host.snapshot()
    host.rpm("-U", "--replacepkgs", relun_rpm)
    assert _sources(host.snapshot()) == _sources(installed)
    newer = build_rpm(tmp_path / "newer", "99.1")
    stale = host.path / "usr/share/relun/relun/core/__pycache__/gone.cpython-36.pyc"
    stale.touch()
    host.install(newer)
    assert host.run("/usr/bin/relun", "--version") == "relun 99.1\n"
    assert host.plugins() == PLATFORMS[platform].plugins + OURS
    assert not stale.exists()
    host.rpm("-U", "--oldpackage", relun_rpm)
    assert _sources(host.snapshot()) == _sources(installed)
    host.remove("relun")
    assert host.snapshot() == before


def test_both_places_of_drivers_and_the_plugin(root: Install, relun_rpm: Path) -> None:
    host = root("xenserver9")
    host.install(relun_rpm)
    for name in ("ReLVMoISCSISR", "ReLVMoHBASR"):
        for folder in ("opt/xensource/sm", "usr/libexec/sm/drivers"):
            place = f"/{folder}/{name}"
            host.run("sh", "-c", f"test -x {place} && test -f {place}")
    host.run("sh", "-c", "test -x /etc/xapi.d/plugins/relun")


def test_systemd_is_told_where_it_runs(root: Install, relun_rpm: Path) -> None:
    host = root("xenserver8")
    host.install(relun_rpm)
    assert host.told_systemd() == []  # an installer's chroot
    host.remove("relun")
    host.running()
    host.install(relun_rpm)
    assert host.told_systemd() == ["daemon-reload"]
    host.remove("relun")
    assert host.told_systemd() == ["daemon-reload"]


def test_host_without_a_list_gets_none(root: Install, relun_rpm: Path) -> None:
    host = root("xenserver8")
    (host.path / "etc/xapi.conf").write_text("# all defaults\n")
    host.install(relun_rpm)
    assert not (host.path / OWN).exists()


def test_configuration_that_comes_back_after_removal(root: Install, relun_rpm: Path) -> None:
    """No file that xapi would read is left behind, as rpm leaves .rpmsave of changed ones."""
    host = root("xenserver8")
    host.install(relun_rpm)
    own = host.path / OWN
    own.write_text(own.read_text() + "# somebody's remark\n")
    host.remove("relun")
    assert list((host.path / "etc/xapi.conf.d").iterdir()) == []
    assert host.plugins() == BASE


def test_host_whose_sm_needs_python2_is_refused(root: Install, relun_rpm: Path) -> None:
    host = root("xcpng82")
    before = host.snapshot()
    said = host.install(relun_rpm, check=False)
    assert "sm >= 3 is needed by relun" in said
    assert host.snapshot() == before


def _sources(found: dict[str, tuple[int, str]]) -> dict[str, tuple[int, str]]:
    return {name: what for name, what in found.items() if not name.endswith(".pyc")}
