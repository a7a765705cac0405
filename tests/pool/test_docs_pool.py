"""docs/pool.md: its example is run as it stands, but for the addresses."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pool.site import PoolSite
from relun.cli.pool.parser import VERBS
from xapi.server import PASSWORD

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "pool.md").read_text(encoding="utf-8")


def test_the_example_runs(
    make_pool_site: Callable[..., PoolSite], capsys: pytest.CaptureFixture[str]
) -> None:
    """It attaches a clone, says which disk is which, and detaches it."""
    site = make_pool_site(hosts=1, tls=True)
    original = site.lun("single")
    site.attach(original)
    clone = site.export(original.file, chap=("alice", "wonderland12"))
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    for told, real in (
        ("https://pool.example.org", site.url),
        ('"password"', repr(PASSWORD)),
        ("/etc/ssl/pool.pem", str(site.ca)),
        ("iscsi://192.0.2.10/iqn.2024-01.com.example:clone/1", clone.address),
        ('"user", "secret"', '"alice", "wonderland12"'),
    ):
        assert told in code
        code = code.replace(told, real)
    before = site.snapshot()
    exec(compile(code, "docs/pool.md", "exec"), {})
    shown = capsys.readouterr().out
    old = next(iter(before["VDI"].values()))
    assert f"{old['uuid']} is now " in shown
    assert "step='SR.scan'" in shown
    assert "wonderland12" not in shown
    assert site.snapshot() == before
    assert site.sessions == []


def test_every_verb_is_there() -> None:
    """In the table; and all links lead somewhere."""
    assert [verb for verb in VERBS if f"| `{verb}` |" not in TEXT] == []
    targets = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert len(targets) > 5
    assert [target for target in targets if not (ROOT / "docs" / target).exists()] == []
