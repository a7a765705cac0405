"""What all tests share. Runs on CPython 3.6 too, where the tests of core do."""

import os
from typing import Any, List

import pytest

_skipped: List[str] = []


def pytest_runtest_logreport(report: Any) -> None:
    """Remember what was skipped."""
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped.append(report.nodeid)


def pytest_collectreport(report: Any) -> None:
    """A whole module may skip as well."""
    if report.skipped:
        _skipped.append(report.nodeid)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: Any) -> None:
    """Where RELUN_NO_SKIPS is set (CI), a run with skipped tests fails."""
    if _skipped and os.environ.get("RELUN_NO_SKIPS") and session.exitstatus == 0:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say why such a run failed."""
    if _skipped and os.environ.get("RELUN_NO_SKIPS"):
        terminalreporter.section("skipped tests (none may skip here)")
        for nodeid in _skipped:
            terminalreporter.write_line(nodeid)
