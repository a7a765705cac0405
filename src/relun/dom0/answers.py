"""The plugin's answers: the objects that ``relun --json`` prints (docs/json.md), made in dom0."""

from relun.core.device import BlockDevice, Device
from relun.core.errors import Interrupted, Refused, RelunError
from relun.core.finding import Finding
from relun.core.hints import Any, Dict, Iterable, List, Optional, Sequence
from relun.core.plan import Plan
from relun.core.repository import Repository
from relun.core.verbs import Outcome
from relun.core.volume import Volume
from relun.dom0.words import remedy, title

SCHEMA = "relun/1"
DONE, REFUSED, INTERRUPTED, DIFFERENT = 0, 1, 3, 4  # the command's exit codes

Object = Dict[str, Any]
_PLAIN = (str, int, float, bool)


def report(verb: str, devices: Sequence[Device], **parts: Any) -> Object:
    """Return the answer of a verb that went well."""
    shown = [_device(device) for device in devices]
    found = {"schema": SCHEMA, "verb": verb, "exit": DONE, "devices": shown, "error": None}
    found.update(parts)
    return found


def failure(verb: str, paths: Sequence[str], error: RelunError) -> Object:
    """Return the answer of a verb that an error ended."""
    findings = getattr(error, "findings", ())
    interrupted = isinstance(error, Interrupted) or (
        isinstance(error, Refused) and any(f.code == "lun-in-progress" for f in findings)
    )
    cause = error.fields.get("cause")
    return {
        "schema": SCHEMA,
        "verb": verb,
        "exit": INTERRUPTED if interrupted else REFUSED,
        "devices": [{"path": path} for path in paths],
        "error": {
            "code": error.code,
            "title": title(error.code, error.fields),
            "remedy": remedy(error.code),
            "changed": error.changed,
            "fields": _fields(error.fields),
            "cause": {"code": cause.code, "title": title(cause.code, cause.fields)}
            if isinstance(cause, RelunError)
            else None,
            "findings": findings_of(findings),
            "next": ["recover"] if interrupted else [],
        },
    }


def findings_of(findings: Iterable[Finding]) -> List[Object]:
    """Return findings."""
    return [
        {
            "code": finding.code,
            "severity": finding.severity,
            "title": title(finding.code, finding.fields),
            "where": finding.where,
            "offset": finding.offset if finding.offset >= 0 else None,
            "fields": _fields(finding.fields),
        }
        for finding in findings
    ]


def repository_of(repository: Repository) -> Object:
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
        "findings": findings_of(repository.findings),
    }


def plan_of(plan: Plan) -> Object:
    """Return what a resign would change."""
    paths = [device.path for device in plan.repository.devices]
    return {
        "old_sr": plan.change.old_sr,
        "new_sr": plan.change.new_sr,
        "ids": plan.new_ids,
        "edits": [
            {
                "device": paths[edit.device],
                "offset": edit.offset,
                "length": len(edit.new),
                "what": edit.what,
            }
            for edit in plan.edits
        ],
        "bytes": sum(len(edit.new) for edit in plan.edits),
        "journal": {
            "device": paths[plan.change.switch],
            "offset": plan.space.region.offset,
            "length": plan.space.region.size,
        },
        "dropped": list(plan.dropped),
        "findings": findings_of(plan.findings),
    }


def outcome_of(outcome: Outcome, devices: Sequence[Device]) -> Object:
    """Return what was done."""
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
        shown["findings"] = findings_of(outcome.plan.findings)
    return shown


def _device(device: Device) -> Object:
    serial = scsi_id = ""
    if isinstance(device, BlockDevice):
        from relun.core.sysfs import describe

        node = describe(device.path)
        serial, scsi_id = node.serial, node.scsi_id
    return {
        "path": device.path,
        "size": device.size,
        "block_size": device.block_size,
        "serial": serial,
        "scsi_id": scsi_id,
    }


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
    records = {}
    if repository.mgt is not None and repository.mgt.content is not None:
        for record in repository.mgt.content.records:
            if record.live and not record.deleted:
                records[record.uuid] = record
    shown = []
    for volume in _parents_first(repository):
        record = records.get(volume.name.vdi)
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


def _parents_first(repository: Repository) -> List[Volume]:
    images = {v.lv.name: v for v in repository.volumes if v.name.is_image}
    ordered: Dict[str, Volume] = {}
    for volume in images.values():
        line: Dict[str, Volume] = {}
        current: Optional[Volume] = volume
        while current and current.lv.name not in ordered and current.lv.name not in line:
            line[current.lv.name] = current
            parent = current.parent
            current = images.get(parent.lv_name) if parent else None
        for name in reversed(list(line)):
            ordered[name] = line[name]
    return list(ordered.values())


def _fields(fields: Object) -> Object:
    return {
        key: value if isinstance(value, (*_PLAIN, list)) else str(value)
        for key, value in fields.items()
        if key not in ("cause", "trace")
    }
