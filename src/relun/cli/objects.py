"""Reports as JSON. ``schema`` describes every key; docs/json.md is made of it."""

from relun.cli import words
from relun.core import objects
from relun.core.errors import RelunError
from relun.core.objects import SCHEMA
from relun.core.objects import fields_object as fields_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from relun.cli.report import Report
    from relun.core.conflicts import Conflict
    from relun.core.errors import DeviceError
    from relun.core.finding import Finding
    from relun.core.verbs import Outcome

    Object = dict[str, Any]


def as_object(report: "Report", verbose: int = 0) -> "Object":
    """Return the object of one SR's report."""
    found: Object = {
        "schema": SCHEMA,
        "verb": report.verb,
        "exit": int(report.exit),
        "devices": _devices(report),
        "error": _error(report),
    }
    if report.repository is not None:
        found["repository"] = objects.repository_object(report.repository, words.title)
    if report.plan is not None and report.outcome is None:
        found["plan"] = objects.plan_object(report.plan, words.title, with_bytes=verbose > 1)
    if report.outcome is not None:
        found["outcome"] = _outcome(report, report.outcome)
    if report.differences is not None:
        found["differences"] = findings_object(report.differences)
    if report.notes:
        found["notes"] = findings_object(report.notes)
    if report.signal:
        found["signal"] = report.signal
    return found


def conflicts_object(
    looked_at: "Sequence[str]",
    conflicts: "Iterable[Conflict]",
    unreadable: "Iterable[tuple[str, DeviceError]]",
) -> "Object":
    """Return the object of ``conflicts``."""
    return {
        "schema": SCHEMA,
        "verb": "conflicts",
        "looked_at": list(looked_at),
        "conflicts": [
            {
                "sr_uuid": conflict.sr_uuid,
                "vg": conflict.vg_name,
                "pv_uuid": conflict.pv_uuid,
                "copies": [
                    {"device": copy.path, "role": copy.role, "reasons": list(copy.reasons)}
                    for copy in conflict.copies
                ],
            }
            for conflict in conflicts
        ],
        "unreadable": [
            {"device": path, "code": error.code, "title": words.error_title(error)}
            for path, error in unreadable
        ],
    }


def explained(code: str) -> "Object":
    """Return the object of ``explain`` for a code."""
    entry = words.entry(code)
    return {
        "schema": SCHEMA,
        "verb": "explain",
        "code": code,
        "title": entry.title,
        "meaning": entry.meaning,
        "remedy": entry.remedy,
    }


def _devices(report: "Report") -> "list[Object]":
    if not report.devices:
        return [{"path": path} for path in report.paths]
    shown = []
    for path, device, node in zip(report.paths, report.devices, report.nodes()):
        shown.append(
            {
                "path": path,
                "size": device.size,
                "block_size": device.block_size,
                "serial": node.serial if node else "",
                "scsi_id": node.scsi_id if node else "",
            }
        )
    return shown + [{"path": path} for path in report.paths[len(shown) :]]


def _error(report: "Report") -> "Object | None":
    error = report.error
    if error is None:
        return None
    return {
        "code": error.code,
        "title": words.error_title(error),
        "remedy": words.entry(error.code).remedy,
        "changed": error.changed,
        "fields": fields_object(error.fields),
        "cause": cause_object(error),
        "findings": findings_object(getattr(error, "findings", ())),
        "next": words.consequence(report)[1:],
    }


def cause_object(error: RelunError) -> "Object | None":
    """Return the error behind an error."""
    cause = error.fields.get("cause")
    if not isinstance(cause, RelunError):
        return None
    return {"code": cause.code, "title": words.title(cause.code, cause.fields)}


def findings_object(findings: "Iterable[Finding]") -> "list[Object]":
    """Return findings."""
    return objects.findings_object(findings, words.title)


def _outcome(report: "Report", outcome: "Outcome") -> "Object":
    shown = objects.outcome_object(outcome, report.devices, words.title)
    if outcome.plan is not None:
        from relun.cli.next_steps import next_steps

        shown["next_steps"] = next_steps(report)
    return shown
