"""What the JSON output holds: the objects, their keys and types. docs/json.md is made of it.

A type is str, int, float, bool, object (free keys), the name of another object, each in "[…]" for a
list and with "?" where null is possible. A key in ``OPTIONAL`` may be absent.
"""

from relun.core.objects import SCHEMA as SCHEMA

TYPE_CHECKING = False
if TYPE_CHECKING:
    Keys = dict[str, tuple[str, str]]

# Object -> key -> (type, meaning).
OBJECTS: "dict[str, Keys]" = {
    "report": {
        "schema": ("str", "the version of this description; it changes when a key changes meaning"),
        "verb": ("str", "what was asked: inspect, plan, resign, recover, undo, seal, verify"),
        "exit": ("int", "the exit code of this SR alone"),
        "devices": ("[device]", "the LUNs of the SR"),
        "error": ("error?", "what ended the verb, null when nothing did"),
        "repository": ("repository", "inspect: what is on the LUNs"),
        "plan": ("plan", "plan, resign --dry-run: what a resign would change"),
        "outcome": ("outcome", "resign, recover, undo, seal: what was done"),
        "differences": ("[finding]", "verify: what is wrong; empty means clean"),
        "notes": ("[finding]", "what else did not go as asked"),
        "signal": ("str", "the signal that came while the LUN was being changed"),
    },
    "device": {
        "path": ("str", "as given"),
        "size": ("int", "bytes"),
        "block_size": ("int", "bytes of a logical block"),
        "serial": ("str", "serial number; empty for a file"),
        "scsi_id": ("str", "SCSI id (SCSIid of an SR's device-config); empty for a file"),
    },
    "error": {
        "code": ("str", "see docs/findings.md"),
        "title": ("str", "what went wrong, in one line"),
        "remedy": ("str", "what to do"),
        "changed": ("bool", "false: the LUN is as it was; true: it is in progress"),
        "fields": ("object", "the facts in the title"),
        "cause": ("cause?", "the error behind it"),
        "findings": ("[finding]", "the reasons of a refusal"),
        "next": ("[str]", "the command that goes on from here"),
    },
    "cause": {
        "code": ("str", "see docs/findings.md"),
        "title": ("str", "in one line"),
    },
    "finding": {
        "code": ("str", "see docs/findings.md"),
        "severity": ("str", "refuse (relun will not resign), warn, note"),
        "title": ("str", "in one line"),
        "where": ("str", "volume, device or MGT record"),
        "offset": ("int?", "byte on the LUN, null when there is no such place"),
        "fields": ("object", "the facts in the title"),
    },
    "repository": {
        "kind": ("str", "lvm-sr, file-sr, lvm, pv, in-progress, damaged, empty, foreign"),
        "state": ("str", "original (not resigned), in-progress, done (resigned, undo possible)"),
        "sr_uuid": ("str", "empty when there is no SR"),
        "sr_name": ("str", "from MGT"),
        "allocation": ("str", "thick or thin, from MGT"),
        "filesystem": ("str", "of a file-sr or a foreign LUN"),
        "vg": ("vg?", "the volume group"),
        "images": ("[image]", "every parent before its children"),
        "volumes": ("[volume]", "the volumes that are no images"),
        "findings": ("[finding]", "everything worth knowing"),
    },
    "vg": {
        "name": ("str", "its name"),
        "uuid": ("str", "LVM uuid without dashes"),
        "seqno": ("int", "number of the metadata text"),
        "extent_size": ("int", "bytes"),
        "pvs": ("[pv]", "its physical volumes"),
    },
    "pv": {
        "name": ("str", "its name in the text: pv0, pv1, …"),
        "uuid": ("str", "LVM uuid without dashes"),
        "device": ("str?", "the LUN that holds it, null when it is missing"),
    },
    "image": {
        "vdi": ("str", "VDI uuid"),
        "lv": ("str", "name of the logical volume"),
        "kind": ("str", "vhd, raw, qcow2"),
        "name": ("str?", "from MGT, null when it has no record there"),
        "virtual_size": ("int", "bytes that the guest sees"),
        "size": ("int", "bytes of the logical volume"),
        "hidden": ("bool", "a base copy, no disk of its own"),
        "snapshot": ("bool", "a snapshot"),
        "snapshot_of": ("str", "VDI uuid, as it stands in MGT"),
        "parent": ("str?", "logical volume it is based on"),
        "cbt": ("bool", "it has a changed-block-tracking log"),
        "damaged": ("bool", "it cannot be read; a finding says why"),
    },
    "volume": {
        "lv": ("str", "name"),
        "kind": ("str", "mgt, cbtlog, journal, jvhd, unknown"),
        "size": ("int", "bytes"),
    },
    "plan": {
        "old_sr": ("str", "SR uuid before"),
        "new_sr": ("str", "SR uuid after"),
        "ids": ("ids", "every id before and after"),
        "edits": ("[edit]", "all that will be written, relun's journal apart"),
        "bytes": ("int", "bytes of all edits"),
        "journal": ("journal", "where relun's journal goes"),
        "dropped": ("[str]", "logical volumes that are removed"),
        "findings": ("[finding]", "what is worth knowing but forbids nothing"),
    },
    "ids": {
        "sr": ("object", "SR uuids: old to new"),
        "vdi": ("object", "VDI uuids, also of VDIs that are only named"),
        "image": ("object", "uuids of the VHDs themselves"),
        "lvm": ("object", "PV, VG and LV uuids without dashes"),
    },
    "edit": {
        "device": ("str", "path of the LUN"),
        "offset": ("int", "byte on the LUN"),
        "length": ("int", "bytes"),
        "what": ("str", "volume and structure"),
        "old": ("str", "bytes before, hexadecimal; with -vv"),
        "new": ("str", "bytes after, hexadecimal; with -vv"),
    },
    "journal": {
        "device": ("str", "path of the LUN"),
        "offset": ("int", "byte on the LUN"),
        "length": ("int", "bytes"),
    },
    "outcome": {
        "action": ("str", "resigned, recovered, undone, cleared, sealed, nothing"),
        "old_sr": ("str", "SR uuid before"),
        "new_sr": ("str", "SR uuid now"),
        "bytes_read": ("int", "from all LUNs of the SR"),
        "bytes_written": ("int", "to all LUNs of the SR"),
        "writes": ("int", "number of writes"),
        "flushes": ("int", "number of flushes"),
        "ids": ("ids", "resign: every id before and after"),
        "dropped": ("[str]", "resign: logical volumes that were removed"),
        "findings": ("[finding]", "resign: what is worth knowing"),
        "next_steps": ("[str]", "resign: commands to run in the pool"),
    },
    "conflicts": {
        "schema": ("str", "as in report"),
        "verb": ("str", "conflicts"),
        "looked_at": ("[str]", "devices"),
        "conflicts": ("[conflict]", "empty when no SR stands twice"),
        "unreadable": ("[unreadable]", "devices that were left out"),
    },
    "conflict": {
        "sr_uuid": ("str", "empty when it is no SR"),
        "vg": ("str", "name of the volume group"),
        "pv_uuid": ("str", "the physical volume that stands on several LUNs"),
        "copies": ("[copy]", "those LUNs"),
    },
    "copy": {
        "device": ("str", "path"),
        "role": ("str", "original, clone, unresolved, in-progress"),
        "reasons": ("[str]", "why relun thinks so"),
    },
    "unreadable": {
        "device": ("str", "path"),
        "code": ("str", "see docs/findings.md"),
        "title": ("str", "in one line"),
    },
    "explanation": {
        "schema": ("str", "as in report"),
        "verb": ("str", "explain"),
        "code": ("str", "the code"),
        "title": ("str", "in one line; fields in braces"),
        "meaning": ("str", "the background"),
        "remedy": ("str", "what to do"),
    },
}

OPTIONAL = {
    "report": {"repository", "plan", "outcome", "differences", "notes", "signal"},
    "device": {"size", "block_size", "serial", "scsi_id"},
    "edit": {"old", "new"},
    "outcome": {"ids", "dropped", "findings", "next_steps"},
}
