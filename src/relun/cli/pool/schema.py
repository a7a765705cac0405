"""What the JSON of ``relun pool`` holds, as in ``relun.cli.schema``."""

from relun.cli.pool import schema_vms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from relun.cli.schema import Keys

_SCHEMA = ("str", "as in report")
_EXIT = ("int", "the exit code of this result alone")
OBJECTS: "dict[str, Keys]" = {
    "event": {
        "schema": _SCHEMA,
        "verb": ("str", "pool and the verb"),
        "event": ("str", "begun, done, failed; of what is taken back: undone, stands"),
        "work": ("str", "what it belongs to: a target, an SR, a VM"),
        "step": ("str", "an API call, or look, resign, recover, undo, check"),
        "subject": ("str", "to what it is done"),
        "seconds": ("float", "since the step began"),
        "text": ("str", "more about it: why it failed"),
    },
    "pool-failure": {
        "schema": _SCHEMA,
        "verb": ("str", "pool and the verb"),
        "exit": _EXIT,
        "subject": ("str", "the target, where there are several"),
        "error": ("pool-error", "what ended it"),
    },
    "attached": {
        "schema": _SCHEMA,
        "verb": ("str", "pool attach"),
        "exit": _EXIT,
        "target": ("str", "the clone, as given"),
        "already": ("bool", "it was so before: nothing was done"),
        "old_sr": ("str", "uuid of the SR that it is a copy of; empty when nobody knows it"),
        "new_sr": ("str", "its own SR uuid"),
        "name": ("str", "name of the SR"),
        "scsi_id": ("str", "the LUN's SCSI id"),
        "hosts": ("[str]", "names of the hosts that it was plugged on"),
        "vdis": ("[attached-vdi]", "its disks and snapshots"),
        "seconds": ("float", "in all"),
        "pool_seconds": ("float", "of them in calls of the pool"),
        "calls": ("int", "calls of the pool"),
        "round_trips": ("int", "how often an answer of the LUN was waited for"),
    },
    "attached-vdi": {
        "uuid": ("str", "its uuid"),
        "old_uuid": ("str", "uuid of the VDI it is a copy of; empty when nobody knows it"),
        "name": ("str", "its name"),
        "size": ("int", "bytes that the guest sees"),
    },
    "detached": {
        "schema": _SCHEMA,
        "verb": ("str", "pool detach"),
        "exit": _EXIT,
        "sr_uuid": ("str", "uuid of the SR"),
        "name": ("str", "its name"),
        "already": ("bool", "the pool did not have it any more"),
        "scsi_ids": ("[str]", "its LUN, which may be deleted now"),
        "targets": ("[str]", "IQNs of the targets that the hosts had it by"),
        "vms": ("[str]", "names of the VMs that were removed"),
    },
    "pool-conflicts": {
        "schema": _SCHEMA,
        "verb": ("str", "pool conflicts"),
        "exit": _EXIT,
        "conflicts": ("[pool-conflict]", "empty when there is none"),
        "in_progress": ("[lun-copy]", "LUNs that are hidden: a resign or undo broke off"),
        "looked_at": ("[str]", "devices on hosts, and addresses"),
        "without_plugin": ("[str]", "names of hosts whose LUNs nobody looked at"),
        "unread": ("[unread]", "what could not be looked at"),
    },
    "pool-conflict": {
        "sr_uuid": ("str", "the SR that stands on several LUNs, or on another than is known"),
        "name": ("str", "the pool's name for it; empty when the pool does not know it"),
        "known": ("[str]", "SCSI ids of the LUNs that the pool has it on"),
        "copies": ("[lun-copy]", "the LUNs"),
    },
    "lun-copy": {
        "scsi_id": ("str", "SCSI id; empty when the LUN tells none"),
        "role": ("str", "original, clone, unresolved, in-progress"),
        "reasons": ("[str]", "why relun thinks so"),
        "places": ("[str]", "device on a host, or address"),
    },
    "unread": {
        "place": ("str", "host or address"),
        "error": ("pool-error", "why not"),
    },
    **schema_vms.OBJECTS,
}
OPTIONAL = schema_vms.OPTIONAL
