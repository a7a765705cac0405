"""Reports as JSON. ``schema`` describes every key; docs/json.md is made of it."""

from relun.cli import tree, words
from relun.cli.schema import SCHEMA
from relun.core.errors import RelunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from relun.cli.report import Report
    from relun.core.conflicts import Conflict
    from relun.core.errors import DeviceError
    from relun.core.finding import Finding
    from relun.core.plan import Plan
    from relun.core.repository import Repository
    from relun.core.verbs import Outcome

    Object = dict[str, Any]

_PLAIN = (str, int, float, bool)
_NOT_SHOWN = ("trace",)


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
        found["repository"] = _repository(report.repository)
    if report.plan is not None and report.outcome is None:
        found["plan"] = _plan(report, report.plan, verbose)
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


def fields_object(fields: "Object") -> "Object":
    """Return an error's or a finding's facts as JSON can have them."""
    return {
        key: value if isinstance(value, (*_PLAIN, list)) else str(value)
        for key, value in fields.items()
        if key not in _NOT_SHOWN and key != "cause"
    }


def findings_object(findings: "Iterable[Finding]") -> "list[Object]":
    """Return findings."""
    return [
        {
            "code": finding.code,
            "severity": finding.severity,
            "title": words.title(finding.code, finding.fields),
            "where": finding.where,
            "offset": finding.offset if finding.offset >= 0 else None,
            "fields": fields_object(finding.fields),
        }
        for finding in findings
    ]


def _repository(repository: "Repository") -> "Object":
    mgt = repository.mgt.content if repository.mgt else None
    group = repository.vg
    return {
        "kind": repository.kind,
        "state": repository.state,
        "sr_uuid": repository.sr_uuid,
        "sr_name": mgt.sr_name if mgt else "",
        "allocation": mgt.allocation if mgt else "",
        "filesystem": repository.filesystem,
        "vg": group
        and {
            "name": group.name,
            "uuid": group.uuid,
            "seqno": group.seqno,
            "extent_size": group.extent_size,
            "pvs": [
                {
                    "name": pv.name,
                    "uuid": pv.uuid,
                    "device": repository.luns[repository.members[pv.name]].device.path
                    if pv.name in repository.members
                    else None,
                }
                for pv in group.pvs.values()
            ],
        },
        "images": _images(repository),
        "volumes": [
            {"lv": volume.lv.name, "kind": volume.name.kind, "size": volume.lv.size}
            for volume in repository.volumes
            if not volume.name.is_image
        ],
        "findings": findings_object(repository.findings),
    }


def _images(repository: "Repository") -> "list[Object]":
    tracked = {v.name.vdi for v in repository.volumes if v.name.kind == "cbtlog"}
    shown = []
    for node in tree.walk(repository):
        volume, record = node.volume, node.record
        elements = record.elements if record else {}
        shown.append(
            {
                "vdi": volume.name.vdi,
                "lv": volume.lv.name,
                "kind": volume.name.kind,
                "name": record.name if record else None,
                "virtual_size": volume.virtual_size,
                "size": volume.lv.size,
                "hidden": volume.hidden,
                "snapshot": elements.get("is_a_snapshot") == "1",
                "snapshot_of": elements.get("snapshot_of", ""),
                "parent": volume.parent.lv_name if volume.parent else None,
                "cbt": volume.name.vdi in tracked,
                "damaged": volume.damaged,
            }
        )
    return shown


def _plan(report: "Report", plan: "Plan", verbose: int) -> "Object":
    edits = []
    for edit in plan.edits:
        shown: Object = {
            "device": report.paths[edit.device],
            "offset": edit.offset,
            "length": len(edit.new),
            "what": edit.what,
        }
        if verbose > 1:
            shown.update(old=edit.old.hex(), new=edit.new.hex())
        edits.append(shown)
    return {
        "old_sr": plan.change.old_sr,
        "new_sr": plan.change.new_sr,
        "ids": plan.new_ids,
        "edits": edits,
        "bytes": sum(len(edit.new) for edit in plan.edits),
        "journal": {
            "device": report.paths[plan.change.switch],
            "offset": plan.space.region.offset,
            "length": plan.space.region.size,
        },
        "dropped": list(plan.dropped),
        "findings": findings_object(plan.findings),
    }


def _outcome(report: "Report", outcome: "Outcome") -> "Object":
    traffic = [device.traffic for device in report.devices]
    shown: Object = {
        "action": outcome.action,
        "old_sr": outcome.old_sr,
        "new_sr": outcome.new_sr,
        "bytes_read": sum(each.bytes_read for each in traffic),
        "bytes_written": sum(each.bytes_written for each in traffic),
        "writes": sum(each.writes for each in traffic),
        "flushes": sum(each.flushes for each in traffic),
    }
    if report.plan is not None:
        from relun.cli.next_steps import next_steps

        shown["ids"] = report.plan.new_ids
        shown["dropped"] = list(report.plan.dropped)
        shown["findings"] = findings_object(report.plan.findings)
        shown["next_steps"] = next_steps(report)
    return shown
