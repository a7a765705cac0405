"""`relun conflicts`: which SRs stand twice among the block devices, or among some files."""

import sys

from relun.cli.exits import Exit
from relun.cli.output import Output
from relun.cli.targets import open_target
from relun.cli.words import clean, error_title
from relun.core import sysfs, verbs
from relun.core.errors import DeviceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from relun.cli.output import Line
    from relun.core.conflicts import Conflict
    from relun.core.repository import Repository
    from relun.core.sysfs import BlockNode

    Found = tuple[Repository, BlockNode | None]


def conflicts(arguments: "argparse.Namespace") -> Exit:
    """Look at the given devices, or at all; one that cannot be read is told and left out."""
    output = Output(arguments)
    paths = arguments.targets or sysfs.all_disks()
    found: list[Found] = []
    unreadable: list[tuple[str, DeviceError]] = []
    for path in paths:
        try:
            found.append(_read(path))
        except DeviceError as error:
            unreadable.append((path, error))
    doubled = verbs.conflicts(found)
    if output.as_json:
        from relun.cli.objects import conflicts_object

        output.show_object(conflicts_object(paths, doubled, unreadable))
    else:
        output.show_lines(_lines(doubled, len(found)))
        for path, reason in unreadable:
            print(f"relun: {clean(path)}: {error_title(reason)}", file=sys.stderr)
    output.finish()
    return Exit.REFUSED if unreadable and arguments.targets else Exit.DONE


def _read(path: str) -> "Found":
    with open_target(path) as device:
        return verbs.inspect([device]), device.describe()


def _lines(conflicts: "tuple[Conflict, ...]", looked_at: int) -> "list[Line]":
    if not conflicts:
        return [[(f"no SR stands twice on the {looked_at} LUNs looked at", "bold green")]]
    shown: list[Line] = []
    for conflict in conflicts:
        shown += [[]] if shown else []
        name = conflict.sr_uuid or conflict.vg_name or conflict.pv_uuid
        shown.append([(f"{clean(name)} stands on {len(conflict.copies)} LUNs", "bold red")])
        column = max(len(clean(copy.path)) for copy in conflict.copies)
        for copy in conflict.copies:
            shown.append(
                [
                    (f"  {clean(copy.path).ljust(column)}  ", ""),
                    (copy.role.ljust(11), "bold"),
                    ("  " + clean("; ".join(copy.reasons)), ""),
                ]
            )
    return shown
