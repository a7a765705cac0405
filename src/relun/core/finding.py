"""A finding: something on the LUN worth telling, with the evidence for it.

``catalogue`` says what each code means and what to do about it.
"""

from relun.core.hints import Any, Dict, Iterable, NamedTuple, Tuple

REFUSE = "refuse"  # relun will not resign
WARN = "warn"  # the SR has a fault of its own; a resign keeps it as it is
NOTE = "note"  # worth knowing


class Finding(NamedTuple):
    """``where``: the LV, PV or record; ``offset``: bytes from the LUN's start, -1 for none."""

    code: str
    severity: str
    where: str = ""
    offset: int = -1
    fields: Dict[str, Any] = {}


def refusals(findings: Iterable[Finding]) -> Tuple[Finding, ...]:
    """Return those that forbid a resign."""
    return tuple(finding for finding in findings if finding.severity == REFUSE)
