"""``relun pool conflicts``: which LUNs carry an SR that the pool knows by another one."""

import sys

from relun.cli.exits import Exit
from relun.cli.parser import PASSWORDS, argument
from relun.cli.words import clean, error_title

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from relun.cli.output import Line
    from relun.cli.parser import Argument
    from relun.cli.pool.run import Work
    from relun.pool.conflicts import LunCopy, PoolConflicts

DESCRIPTION = (
    "Hold LUNs against the pool's database and tell which is the original, which a clone, and why: "
    "LUNs that the pool's PBDs name, LUNs that its hosts see (where relun's plugin is installed), "
    "and LUNs that are given here. Reads only."
)
ARGUMENTS: "tuple[Argument, ...]" = (
    argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="more LUNs to look at: iscsi://portal[:port][/iqn/lun], read from here; of a portal "
        "all its LUNs",
    ),
    PASSWORDS,
)
READS_ONLY = True  # a signal may end it at any moment


def run(arguments: "argparse.Namespace", work: "Work") -> Exit:
    """Find them."""
    from relun.cli.addresses import login_of, unreachable
    from relun.pool.conflicts import Unread, conflicts
    from relun.pool.lun import Target

    portals = {word: unreachable(word) for word in arguments.targets}
    targets = [Target(word, login_of(word)) for word, error in portals.items() if error is None]
    found = conflicts(work.connection, targets, work.listener, work.cancelled)
    unread = [Unread(word, error) for word, error in portals.items() if error is not None]
    found = found._replace(unread=(*found.unread, *unread))
    work.listener.finish()
    code = Exit.REFUSED if found.unread else Exit.DONE
    if work.output.as_json:
        work.output.show_object(conflicts_object(found, code))
        return code
    work.output.show_lines(_lines(found))
    for place, error in found.unread:
        said = "relun: {}: {}".format(clean(place), error_title(error))
        print(said, file=sys.stderr)
    if found.without_plugin:
        hosts = clean(", ".join(found.without_plugin))
        print("relun: nobody looked at the LUNs of {}: no plugin".format(hosts), file=sys.stderr)
    return code


def conflicts_object(found: "PoolConflicts", code: Exit) -> "dict[str, Any]":
    """Return what was found as JSON object."""
    from relun.cli.pool.telling import described
    from relun.cli.schema import SCHEMA

    return {
        "schema": SCHEMA,
        "verb": "pool conflicts",
        "exit": int(code),
        "conflicts": [
            {
                "sr_uuid": conflict.sr_uuid,
                "name": conflict.name,
                "known": list(conflict.known),
                "copies": [_copy(copy) for copy in conflict.copies],
            }
            for conflict in found.conflicts
        ],
        "in_progress": [_copy(copy) for copy in found.in_progress],
        "looked_at": list(found.looked_at),
        "without_plugin": list(found.without_plugin),
        "unread": [
            {"place": unread.place, "error": described(unread.error)} for unread in found.unread
        ],
    }


def _copy(copy: "LunCopy") -> "dict[str, Any]":
    return {
        "scsi_id": copy.scsi_id,
        "role": copy.role,
        "reasons": list(copy.reasons),
        "places": list(copy.places),
    }


def _lines(found: "PoolConflicts") -> "list[Line]":
    shown: list[Line] = []
    for conflict in found.conflicts:
        name = ' "{}"'.format(clean(conflict.name)) if conflict.name else ""
        known = ", ".join(conflict.known) or "none"
        heading = "{}{}: the pool has it on {}".format(conflict.sr_uuid, name, known)
        shown += [[]] if shown else []
        shown += [[(heading, "bold red")], *_copies(conflict.copies)]
    if found.in_progress:
        shown += [[]] if shown else []
        shown += [[("in progress: hidden from every host", "bold red")]]
        shown += _copies(found.in_progress)
    if not shown:
        said = "no SR stands on another LUN than the pool knows; {} looked at"
        shown.append([(said.format(_luns(len(found.looked_at))), "bold green")])
    return shown


def _copies(copies: "tuple[LunCopy, ...]") -> "list[Line]":
    shown: list[Line] = []
    for copy in copies:
        places = ", ".join(copy.places) or "not seen"
        shown.append(
            [
                ("  {}  ".format(clean(copy.scsi_id) or "no SCSI id"), ""),
                (copy.role.ljust(11), "bold"),
                ("  {}  ({})".format(clean("; ".join(copy.reasons)), clean(places)), ""),
            ]
        )
    return shown


def _luns(number: int) -> str:
    return "1 LUN" if number == 1 else "{} LUNs".format(number)
