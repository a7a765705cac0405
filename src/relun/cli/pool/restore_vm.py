"""``relun pool restore-vm``: a VM from an attached clone, or one disk of it in place of another."""

from relun.cli.exits import Exit
from relun.cli.parser import argument
from relun.cli.schema import SCHEMA
from relun.cli.words import clean, finding_lines, quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from relun.cli.output import Line
    from relun.cli.parser import Argument
    from relun.cli.pool.run import Work
    from relun.pool.restore import Restored
    from relun.pool.swap import Swapped

DESCRIPTION = (
    "Make a VM like the original, its disks from an attached clone: NICs disconnected, CD drives "
    "empty, no HA, no automatic start. The original VM stays as it is; run again, the command "
    "returns the VM that it made. With --swap-disk, put one disk of the clone in place of the "
    "original VM's."
)
ARGUMENTS: "tuple[Argument, ...]" = (
    argument("vm", metavar="VM", help="name or uuid of the VM that the new one is to be like"),
    argument(
        "--from",
        dest="sr",
        metavar="SR",
        required=True,
        help="name or uuid of the attached clone",
    ),
    argument("--name", metavar="NAME", default="", help="of the new VM"),
    argument(
        "--metadata",
        metavar="FILE",
        default="",
        help="take the VM's record from a file that `xe vm-export metadata=true` made, not from "
        "the pool",
    ),
    argument("--partial", action="store_true", help="leave out disks that are not on the clone"),
    argument(
        "--network",
        metavar="NETWORK",
        default="",
        help="connect all NICs to this network (name or uuid)",
    ),
    argument(
        "--connect-nics", action="store_true", help="connect the NICs to the original's networks"
    ),
    argument("--keep-mac", action="store_true", help="give the NICs the original's MAC addresses"),
    argument("--start", action="store_true", help="start the new VM"),
    argument(
        "--swap-disk",
        metavar="VDI",
        default="",
        help="put the copy of this disk (name or uuid) in its place in the original VM, which has "
        "to be halted; the disk itself is kept",
    ),
    argument(
        "--swap-back", metavar="VDI", default="", help="undo --swap-disk VDI, keeping the copy"
    ),
    argument(
        "--take-over",
        action="store_true",
        help="another restore of this VM seems under way, but is known to be broken off",
    ),
)
_ONLY_NEW = ("name", "metadata", "partial", "network", "connect_nics", "keep_mac", "start")


def run(arguments: "argparse.Namespace", work: "Work") -> Exit:
    """Run the verb."""
    if arguments.swap_disk or arguments.swap_back:
        return _swap(arguments, work)
    from relun.pool.restore import RestoreOptions, restore_vm

    if arguments.network and arguments.connect_nics:
        arguments.parser.error("--network and --connect-nics: one of them")
    options = RestoreOptions(*(getattr(arguments, option) for option in RestoreOptions._fields))
    restored = restore_vm(
        work.connection, arguments.vm, arguments.sr, options, work.listener, work.cancelled
    )
    if work.output.as_json:
        work.output.show_object(restored_object(restored))
    else:
        work.output.show_lines(_restored_lines(restored))
    return Exit.DONE


def _swap(arguments: "argparse.Namespace", work: "Work") -> Exit:
    from relun.pool.swap import swap_disk

    if arguments.swap_disk and arguments.swap_back:
        arguments.parser.error("--swap-disk and --swap-back: one of them")
    for option in _ONLY_NEW:
        if getattr(arguments, option):
            arguments.parser.error("--{}: a swap makes no new VM".format(option.replace("_", "-")))
    swapped = swap_disk(
        work.connection,
        arguments.vm,
        arguments.swap_disk or arguments.swap_back,
        arguments.sr,
        bool(arguments.swap_back),
        arguments.take_over,
        work.listener,
        work.cancelled,
    )
    if work.output.as_json:
        work.output.show_object(swapped_object(swapped))
    else:
        work.output.show_lines(_swapped_lines(swapped, bool(arguments.swap_back)))
    return Exit.DONE


def restored_object(restored: "Restored") -> "dict[str, Any]":
    """Return the result as JSON object."""
    from relun.cli.objects import findings_object

    return {
        "schema": SCHEMA,
        "verb": "pool restore-vm",
        "exit": 0,
        "already": restored.already,
        "vm": {
            "uuid": restored.uuid,
            "name": restored.name,
            "original": restored.original_uuid,
            "sr": restored.sr_uuid,
            "started": restored.started,
            "disks": [
                {
                    "userdevice": copy.disk.userdevice,
                    "name": copy.disk.name,
                    "old": copy.disk.vdi_uuid,
                    "new": copy.uuid,
                    "size": copy.size,
                }
                for copy in restored.disks
            ],
        },
        "notes": findings_object(restored.notes),
    }


def swapped_object(swapped: "Swapped") -> "dict[str, Any]":
    """Return the result as JSON object."""
    return {
        "schema": SCHEMA,
        "verb": "pool restore-vm",
        "exit": 0,
        "already": swapped.already,
        "swapped": {
            "vm": swapped.vm_uuid,
            "userdevice": swapped.userdevice,
            "name": swapped.disk,
            "now": swapped.now_uuid,
            "before": swapped.before_uuid,
        },
    }


def _restored_lines(restored: "Restored") -> "list[Line]":
    said = ": restored" if not restored.already else ": there already"
    shown: list[Line] = [
        [(clean(restored.name), "bold"), (said, "bold green")],
        [("  VM   {} -> ".format(restored.original_uuid), ""), (restored.uuid, "bold")],
    ]
    for copy in restored.disks:
        shown.append(
            [
                ("  VDI  {} -> ".format(copy.disk.vdi_uuid), ""),
                (copy.uuid, "bold"),
                ("  {} (disk {})".format(clean(copy.disk.name), copy.disk.userdevice), ""),
            ]
        )
    shown += finding_lines(restored.notes)
    if not restored.started:
        shown += [[], [("next:", "bold")], [("  xe vm-start uuid=" + restored.uuid, "")]]
    return shown


def _swapped_lines(swapped: "Swapped", back: bool) -> "list[Line]":
    said = ": nothing to do" if swapped.already else ": disk {} swapped".format(swapped.userdevice)
    option = "--swap-disk" if back else "--swap-back"
    words = [swapped.vm_uuid, "--from", swapped.sr_uuid, option]
    words.append(swapped.now_uuid if back else swapped.before_uuid)
    return [
        [(clean(swapped.vm), "bold"), (said, "bold green")],
        [
            ("  VDI  {} -> ".format(swapped.before_uuid), ""),
            (swapped.now_uuid, "bold"),
            ("  " + clean(swapped.disk), ""),
        ],
        [],
        [("the disk from before is kept; back by:", "bold")],
        [("  relun pool restore-vm " + " ".join(map(quote, words)), "")],
    ]
