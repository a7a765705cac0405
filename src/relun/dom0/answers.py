"""The plugin's answers: the objects that ``relun --json`` prints (docs/json.md), made in dom0."""

from relun.core.device import BlockDevice, Device
from relun.core.errors import Interrupted, Refused, RelunError
from relun.core.hints import Any, Sequence
from relun.core.objects import SCHEMA, Object, fields_object, findings_object
from relun.dom0.words import remedy, title

DONE, REFUSED, INTERRUPTED, DIFFERENT = 0, 1, 3, 4  # the command's exit codes


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
            "fields": fields_object(error.fields),
            "cause": {"code": cause.code, "title": title(cause.code, cause.fields)}
            if isinstance(cause, RelunError)
            else None,
            "findings": findings_object(findings, title),
            "next": ["recover"] if interrupted else [],
        },
    }


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
