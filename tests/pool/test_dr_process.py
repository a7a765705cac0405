"""The real process of a DR test, stopped by a signal and killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pool.site import PoolLun, PoolSite
from relun.cli.main import execute
from remote.servers import await_true
from xapi.server import PASSWORD

SRC = Path(__file__).resolve().parents[2] / "src"


@pytest.fixture
def site(make_pool_site: Callable[..., PoolSite]) -> PoolSite:
    return make_pool_site(hosts=1)


@pytest.fixture
def clone(site: PoolSite) -> PoolLun:
    lun = site.lun("single")
    site.vm("files", site.disks(site.attach(lun)))
    return site.clone(lun)


@pytest.fixture
def plan(site: PoolSite, clone: PoolLun, tmp_path: Path) -> str:
    file = tmp_path / "plan.toml"
    file.write_text(
        f'title = "x"\npool = "{site.url}"\n[[clone]]\ntarget = "{clone.address}"\n'
        '[[vm]]\nvm = "files"\ntimeout = 600\n',
        encoding="utf-8",
    )
    return str(file)


def begun(site: PoolSite, plan: str) -> subprocess.Popen[str]:
    """Start a test whose guest never comes up; return when it is waited for."""
    site.guest("files", agent=None)
    process = subprocess.Popen(
        [sys.executable, "-m", "relun", "pool", "test-dr", plan, "--json"],
        env={**os.environ, "PYTHONPATH": str(SRC), "RELUN_POOL_PASSWORD": PASSWORD},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    await_true(lambda: bool(site.pool.db.find("VM", power_state="Running")), "a VM that runs")
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal(site: PoolSite, plan: str, number: signal.Signals) -> None:
    """All is taken away, the report says why there is nothing in it."""
    before = site.snapshot()
    process = begun(site, plan)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    result = json.loads(out.splitlines()[-1])
    assert process.returncode == 4
    assert err.startswith(f"relun: {number.name}: stops when this has ended: files (copy")
    assert err.count("\n") == 1
    assert (result["stopped"], result["passed"], result["clean"]) == (True, False, True)
    assert result["vms"][0]["error"]["code"] == "pool-stopped"
    assert site.snapshot() == before
    assert site.sessions == []


def test_killed_and_run_again(
    site: PoolSite, plan: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it left is removed: nobody has to say that it is dead."""
    before = site.snapshot()
    process = begun(site, plan)
    process.kill()
    process.communicate(timeout=60)
    left = site.snapshot()
    assert len(left["SR"]) == len(before["SR"]) + 1
    assert len(left["VM"]) == len(before["VM"]) + 1
    site.guest("files", agent=0.0)
    # The VM is running since then, on disks that it has written to meanwhile.
    monkeypatch.setenv("RELUN_POOL_PASSWORD", PASSWORD)
    assert execute(["pool", "test-dr", plan]) == 0
    assert "passed, everything came up" in capsys.readouterr().out
    assert site.snapshot() == before
