"""Figures as a markdown table: medians with their spread, ratios, and the bars they must meet."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Times(NamedTuple):
    """Seconds of several runs of one thing; things of the same rounds compare run by run."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Return the median in seconds."""
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        low, high = min(self.seconds), max(self.seconds)
        return f"{_ms(self.median)} ms ({_ms(low)}–{_ms(high)})"


class Row(NamedTuple):
    """One line: what, its figure, what it is held against, the ratio, and the bar."""

    what: str
    figure: str
    against: str = ""
    ratio: float | None = None
    bar: float | None = None  # the ratio (or the plain value) must not exceed it
    value: float | None = None  # held against the bar where there is no ratio
    unit: str = ""

    @property
    def met(self) -> bool | None:
        """Tell whether the bar is met; None without a bar."""
        held = self.value if self.ratio is None else self.ratio
        return None if self.bar is None or held is None else held <= self.bar


def compare(what: str, ours: Times, peer_name: str, peer: Times, bar: float | None = None) -> Row:
    """Return the row of one thing's time as a multiple of its peer's.

    Where both ran in turns, the ratio is the median of the turns' ratios: a moment in which the
    machine was busy slowed both. Else it is the ratio of the medians.
    """
    if len(ours.seconds) == len(peer.seconds):
        pairs = zip(ours.seconds, peer.seconds, strict=True)
        ratio = statistics.median(mine / other for mine, other in pairs)
    else:
        ratio = ours.median / peer.median
    return Row(what, str(ours), f"{peer_name}: {peer}", ratio, bar)


def markdown(rows: Sequence[Row]) -> str:
    """Return the table."""
    lines = ["| what | figure | against | ratio | bar | met |", "|---|---|---|---|---|---|"]
    for row in rows:
        digits = 2 if row.ratio is None or row.ratio >= 0.1 else 3
        ratio = "" if row.ratio is None else f"{row.ratio:.{digits}f}"
        bar = "" if row.bar is None else f"≤ {row.bar:g}{row.unit}"
        met = {None: "", True: "yes", False: "**no**"}[row.met]
        lines.append(f"| {row.what} | {row.figure} | {row.against} | {ratio} | {bar} | {met} |")
    return "\n".join(lines)


def _ms(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"{milliseconds:.0f}" if milliseconds >= 100 else f"{milliseconds:.1f}"
