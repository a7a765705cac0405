"""Prints the counts of crash states that this run tried."""

import json
import time
from pathlib import Path
from typing import Any

_STARTED = time.time()
_COUNTS = Path(__file__).resolve().parents[2] / ".cache" / "results" / "crash.json"
_ROW = "{:24} {:>8} {:>8} {:>8} {:>7} {:>7}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table, if this run made one."""
    if not _COUNTS.exists() or _COUNTS.stat().st_mtime < _STARTED:
        return
    table = json.loads(_COUNTS.read_text(encoding="utf-8"))
    terminalreporter.section("crash states")
    head = ("scenario", "tried", "first", "second", "failed", "cpu s")
    terminalreporter.write_line(_ROW.format(*head))
    for counts in table["scenarios"]:
        figures = (counts[key] for key in ("states", "first", "second", "failed", "cpu_seconds"))
        terminalreporter.write_line(_ROW.format(counts["scenario"], *figures))
    total = _ROW.format("sum", table["states"], "", "", table["failed"], "")
    terminalreporter.write_line(total)
