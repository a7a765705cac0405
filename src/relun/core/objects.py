"""What relun knows and did as plain objects for JSON: the shape is the same wherever it runs.

Titles differ (a terminal needs other care than a log), so each function is given ``title``, which
makes a line of English of a code and its fields. docs/json.md describes every key.
"""

from relun.core.device import Device
from relun.core.finding import Finding
from relun.core.hints import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence
from relun.core.image_tree import walk
from relun.core.plan import Plan
from relun.core.repository import Repository
from relun.core.verbs import Outcome

SCHEMA = "relun/1"

Object = Dict[str, Any]
Title = Callable[[str, Mapping[str, Any]], str]

_PLAIN = (str, int, float, bool)
_NOT_SHOWN = ("cause", "trace")


def fields_object(fields: Mapping[str, Any]) -> Object:
    """Return an error's or a finding's facts as JSON can have them."""
    return {
        key: value if isinstance(value, (*_PLAIN, list)) else str(value)
        for key, value in fields.items()
        if key not in _NOT_SHOWN
    }


def findings_object(findings: Iterable[Finding], title: Title) -> List[Object]:
    """Return findings."""
    return [
        {
            "code": finding.code,
            "severity": finding.severity,
            "title": title(finding.code, finding.fields),
            "where": finding.where,
            "offset": finding.offset if finding.offset >= 0 else None,
            "fields": fields_object(finding.fields),
        }
        for finding in findings
    ]


def repository_object(repository: Repository, title: Title) -> Object:
    """Return what is on the LUNs."""
    mgt = repository.mgt.content if repository.mgt else None
    return {
        "kind": repository.kind,
        "state": repository.state,
        "sr_uuid": repository.sr_uuid,
        "sr_name": mgt.sr_name if mgt else "",
        "allocation": mgt.allocation if mgt else "",
        "filesystem": repository.filesystem,
        "vg": _group(repository),
        "images": _images(repository),
        "volumes": [
            {"lv": volume.lv.name, "kind": volume.name.kind, "size": volume.lv.size}
            for volume in repository.volumes
            if not volume.name.is_image
        ],
        "findings": findings_object(repository.findings, title),
    }


def plan_object(plan: Plan, title: Title, with_bytes: bool = False) -> Object:
    """Return what a resign would change; ``with_bytes``: the old and new bytes, as hex."""
    paths = [device.path for device in plan.repository.devices]
    edits = []
    for edit in plan.edits:
        shown: Object = {
            "device": paths[edit.device],
            "offset": edit.offset,
            "length": len(edit.new),
            "what": edit.what,
        }
        if with_bytes:
            shown.update(old=edit.old.hex(), new=edit.new.hex())
        edits.append(shown)
    return {
        "old_sr": plan.change.old_sr,
        "new_sr": plan.change.new_sr,
        "ids": plan.new_ids,
        "edits": edits,
        "bytes": sum(len(edit.new) for edit in plan.edits),
        "journal": {
            "device": paths[plan.change.switch],
            "offset": plan.space.region.offset,
            "length": plan.space.region.size,
        },
        "dropped": list(plan.dropped),
        "findings": findings_object(plan.findings, title),
    }


def outcome_object(outcome: Outcome, devices: Sequence[Device], title: Title) -> Object:
    """Return what was done, and what went over the devices for it."""
    traffic = [device.traffic for device in devices]
    shown: Object = {
        "action": outcome.action,
        "old_sr": outcome.old_sr,
        "new_sr": outcome.new_sr,
        "bytes_read": sum(each.bytes_read for each in traffic),
        "bytes_written": sum(each.bytes_written for each in traffic),
        "writes": sum(each.writes for each in traffic),
        "flushes": sum(each.flushes for each in traffic),
    }
    if outcome.plan is not None:
        shown["ids"] = outcome.plan.new_ids
        shown["dropped"] = list(outcome.plan.dropped)
        shown["findings"] = findings_object(outcome.plan.findings, title)
    return shown


def _group(repository: Repository) -> Optional[Object]:
    group = repository.vg
    if group is None:
        return None
    members = {name: repository.devices[lun].path for name, lun in repository.members.items()}
    return {
        "name": group.name,
        "uuid": group.uuid,
        "seqno": group.seqno,
        "extent_size": group.extent_size,
        "pvs": [
            {"name": pv.name, "uuid": pv.uuid, "device": members.get(pv.name)}
            for pv in group.pvs.values()
        ],
    }


def _images(repository: Repository) -> List[Object]:
    tracked = {v.name.vdi for v in repository.volumes if v.name.kind == "cbtlog"}
    shown = []
    for volume, record, _lasts in walk(repository):
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
