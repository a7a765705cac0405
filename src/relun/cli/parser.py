"""The command line's tables, and how argparse reads them.

Only the parser of the verb that was called is built: start-up time is part of the product.
"""

import argparse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Argument = tuple[tuple[str, ...], dict[str, Any]]


def argument(*names: str, **how: "Any") -> "Argument":
    """Return an entry of a table: what add_argument takes."""
    return names, how


_TARGETS = argument(
    "targets",
    nargs="+",
    metavar="TARGET",
    help="a LUN: block device, image file, iscsi://[user@]portal[:port]/iqn/lun, "
    "nbd://host[:port]/export or nbd+unix:///export?socket=PATH. LUNs that hold the PVs of one VG "
    "are one SR; all other targets are an SR each",
)
PASSWORDS = argument(
    "--password-file",
    metavar="FILE",
    help="names and passwords for iSCSI targets: lines such as `user = …`, `password = …` "
    "(docs/remote.md)",
)
OUTPUT = (
    argument("--json", action="store_true", help="one JSON object per SR and line (docs/json.md)"),
    argument("--text", action="store_true", help="text, also where JSON is the default"),
    argument("-v", "--verbose", action="count", default=0, help="tell more; twice: bytes as well"),
)
_YES = argument("--yes", action="store_true", help="do not ask before a block device is changed")
IDENTITY = (
    argument(
        "--sr-uuid",
        metavar="UUID",
        default="",
        help="the new SR uuid (one SR only); random if not given. All other new ids follow from "
        "it, so the same SR uuid gives the same ids again",
    ),
    argument(
        "--map",
        metavar="FILE",
        help="new ids of your choice (one SR only): JSON {old: new}, or lines of old and new id",
    ),
    argument(
        "--label",
        metavar="PATTERN",
        default="",
        help="new names of SR and VDIs: {name} is the old name, {sr} the SR's, {date} today's date",
    ),
    argument(
        "--drop-snapshots",
        action="store_true",
        help="remove snapshots, what only they need, and CBT logs",
    ),
    argument("--drop-cbt", action="store_true", help="remove changed-block-tracking logs"),
    argument(
        "--force-journals",
        action="store_true",
        help="go on with pending clone_ and leaf_ journals, which get new ids as well",
    ),
    argument(
        "--force-mgt",
        action="store_true",
        help="mark the MGT records that no volume stands behind as deleted, as SM would",
    ),
    argument(
        "--lvm-only",
        action="store_true",
        help="of an SR with a filesystem (ext, largeblock), change the LVM identity alone",
    ),
    argument(
        "--map-out", metavar="FILE", help="save old and new ids to FILE (one SR only), for --map"
    ),
)

# Verb -> (help, what it does in full, arguments).
VERBS: "dict[str, tuple[str, str, tuple[Argument, ...]]]" = {
    "inspect": (
        "show what is on a LUN",
        "Show SR, VDIs with names and sizes, the tree of their images, and everything worth "
        "knowing (findings). Reads only.",
        (_TARGETS, PASSWORDS, *OUTPUT),
    ),
    "plan": (
        "show what a resign would change",
        "Build the complete list of byte edits that `resign` would make, with the new ids. Reads "
        "only. Without --sr-uuid every run draws another SR uuid.",
        (_TARGETS, *IDENTITY, PASSWORDS, *OUTPUT),
    ),
    "resign": (
        "give a cloned LUN a new identity",
        "Change every id on the LUN in place: PV, VG and LV uuids, SR and VDI uuids, the images' "
        "own uuids and the names of their parents. Guest data is not touched. The LUN must not be "
        "in use; `undo` takes it back.",
        (
            _TARGETS,
            *IDENTITY,
            argument("--dry-run", action="store_true", help="the same as plan"),
            argument(
                "--expect-serial",
                metavar="SERIAL",
                help="refuse unless the device has this serial number or SCSI id",
            ),
            argument(
                "--original",
                metavar="DEVICE",
                action="append",
                default=[],
                help="refuse unless TARGET is a copy of DEVICE, and not DEVICE itself; give it "
                "once per LUN of the SR (one SR only)",
            ),
            _YES,
            PASSWORDS,
            *OUTPUT,
        ),
    ),
    "recover": (
        "finish what was interrupted",
        "Finish an interrupted resign, or an interrupted undo, with nothing but the LUN.",
        (_TARGETS, PASSWORDS, *OUTPUT),
    ),
    "undo": (
        "take a resign back",
        "Give back the LUN as it was before the resign, byte for byte. Works until the SR is used "
        "or sealed, and on a LUN in progress.",
        (_TARGETS, _YES, PASSWORDS, *OUTPUT),
    ),
    "seal": (
        "remove all that is left of the old identity",
        "Scrub relun's journal and LVM's old metadata texts from a resigned LUN. There is no undo "
        "afterwards.",
        (_TARGETS, _YES, PASSWORDS, *OUTPUT),
    ),
    "verify": (
        "check a resigned LUN",
        "Check that all structures agree, and with --against that no id of the original is left "
        "and that no byte changed but those that had to.",
        (
            _TARGETS,
            argument(
                "--against",
                metavar="ORIGINAL",
                action="append",
                default=[],
                help="the LUN that was copied; give it once per LUN of the SR (one SR only)",
            ),
            PASSWORDS,
            *OUTPUT,
        ),
    ),
    "conflicts": (
        "find SRs that stand twice",
        "Tell which SRs stand on several LUNs, which LUN is the original, which a clone, and why. "
        "Reads only.",
        (
            argument(
                "targets",
                nargs="*",
                metavar="DEVICE",
                help="block devices, image files or addresses of remote LUNs and portals; all "
                "block devices if none is given",
            ),
            PASSWORDS,
            *OUTPUT,
        ),
    ),
    "explain": (
        "explain a finding's or an error's code",
        "Say what a code means and what to do. Without a code: list them all.",
        (argument("codes", nargs="*", metavar="CODE", help="such as vhd-footers"), *OUTPUT),
    ),
}
# Verbs with verbs of their own, in the package relun.cli.<name>.
GROUPS = {"pool": "bring clones into a pool of hosts and out of it, over XenAPI"}
DESCRIPTION = (
    "Give a cloned LUN that holds a XenServer or XCP-ng storage repository an identity of its own."
)


def parse(argv: "Sequence[str]") -> argparse.Namespace:
    """Return the arguments, the verb's own parser among them. Exits with code 2 on wrong usage."""
    if argv and argv[0] in GROUPS:
        from relun.cli.pool.parser import parse as parse_pool

        return parse_pool(argv[1:])
    if not argv or argv[0] not in VERBS:
        overview = _overview()
        overview.parse_args(argv)
        overview.error("the verb comes first")
    _summary, description, arguments = VERBS[argv[0]]
    # Each add_argument makes a formatter; with a width it need not ask for the terminal's size.
    parser = argparse.ArgumentParser(
        "relun " + argv[0], description=description, allow_abbrev=False, formatter_class=sized
    )
    for names, how in arguments:
        parser.add_argument(*names, **how)
    parser.formatter_class = argparse.HelpFormatter
    found = parser.parse_args(argv[1:])
    found.verb, found.parser = argv[0], parser
    return found


class sized(argparse.HelpFormatter):  # noqa: N801
    """A formatter that knows its width."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=100)


def _overview() -> argparse.ArgumentParser:
    from relun.cli.version import version

    summaries = {**{verb: entry[0] for verb, entry in VERBS.items()}, **GROUPS}
    width = max(map(len, summaries))
    lines = [f"  {verb.ljust(width)}  {summary}" for verb, summary in summaries.items()]
    parser = argparse.ArgumentParser(
        "relun",
        description=DESCRIPTION,
        usage="relun VERB ... | relun VERB --help",
        epilog="verbs:\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version="relun " + version())
    parser.add_argument("verb", choices=summaries, metavar="VERB", help="what to do, see below")
    return parser
