"""``relun pool detach``: an attached clone leaves the pool."""

from relun.cli.exits import Exit
from relun.cli.parser import argument
from relun.cli.words import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from relun.cli.output import Line
    from relun.cli.parser import Argument
    from relun.cli.pool.run import Work
    from relun.pool.detach import Detached

DESCRIPTION = (
    "Unplug an SR that relun attached on every host and forget it; then its LUN may be deleted on "
    "the array. Nothing on the LUN is changed. Refused while VMs have disks on it."
)
ARGUMENTS: "tuple[Argument, ...]" = (
    argument("sr", metavar="SR", help="uuid or name of the SR"),
    argument(
        "--remove-vms",
        action="store_true",
        help="shut down and remove the VMs that restore-vm made of it",
    ),
    argument(
        "--force",
        action="store_true",
        help="also an SR that relun did not attach, and with disks of halted VMs on it",
    ),
    argument(
        "--take-over",
        action="store_true",
        help="whoever seems to be at work on the LUN is known to be dead",
    ),
)


def run(arguments: "argparse.Namespace", work: "Work") -> Exit:
    """Detach it."""
    from relun.pool.detach import DetachOptions, detach

    options = DetachOptions(arguments.remove_vms, arguments.force, arguments.take_over)
    done = detach(work.connection, arguments.sr, options, work.listener, work.cancelled)
    if work.output.as_json:
        work.output.show_object(detached_object(done))
    else:
        work.output.show_lines(_lines(done))
    return Exit.DONE


def detached_object(done: "Detached") -> "dict[str, Any]":
    """Return what was detached as JSON object."""
    from relun.cli.schema import SCHEMA

    return {
        "schema": SCHEMA,
        "verb": "pool detach",
        "exit": int(Exit.DONE),
        "sr_uuid": done.sr_uuid,
        "name": done.name,
        "already": done.already,
        "scsi_ids": list(done.scsi_ids),
        "targets": list(done.targets),
        "vms": list(done.vms),
    }


def _lines(done: "Detached") -> "list[Line]":
    if done.already:
        return [[("nothing to do: ", "bold"), ("the pool has no SR " + clean(done.sr_uuid), "")]]
    shown: list[Line] = [
        [(clean(done.name), "bold"), (" " + done.sr_uuid, ""), (": detached", "bold green")]
    ]
    if done.vms:
        shown.append([("  removed: " + clean(", ".join(done.vms)), "")])
    lun = ", ".join((*done.scsi_ids, *done.targets))
    return [*shown, [("  its LUN may be deleted on the array: " + clean(lun), "")]]
