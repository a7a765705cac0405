"""The command line of ``relun pool``: what all its verbs share, and which module each verb is in.

A verb's module has DESCRIPTION, ARGUMENTS and ``run(arguments, work)``. Only that of the verb that
was called is loaded.
"""

import argparse
import importlib

from relun.cli.parser import OUTPUT, argument, sized

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from relun.cli.parser import Argument

# Verb -> what it does in a few words.
VERBS = {
    "conflicts": "tell which LUNs carry an SR that the pool knows by another LUN",
    "attach": "resign clones and attach them to the pool as SRs",
    "restore-vm": "make a VM like the original from an attached clone",
    "detach": "take an attached clone out of the pool",
    "test-dr": "attach, restore, start, check and take away again, with a report",
}
DESCRIPTION = "Bring clones into a pool of XenServer or XCP-ng hosts, and out of it, over XenAPI."
CONNECTION = (
    argument(
        "--pool",
        metavar="URL",
        help="the pool's master (or any host of the pool); https:// is added where no scheme is "
        "given (else from RELUN_POOL)",
    ),
    argument("--user", metavar="NAME", help="who logs in (else from RELUN_POOL_USER, else root)"),
    argument(
        "--pool-password-file",
        metavar="FILE",
        help="the password, on the first line (else from RELUN_POOL_PASSWORD, else it is asked for "
        "on the terminal)",
    ),
    argument(
        "--ca", metavar="FILE", help="certificates to trust instead of those of the system (PEM)"
    ),
    argument(
        "--insecure", action="store_true", help="do not check the certificate of the pool's master"
    ),
)


def module_of(verb: str) -> "Any":
    """Return the module of a verb."""
    return importlib.import_module("relun.cli.pool." + verb.replace("-", "_"))


def arguments_of(verb: str) -> "tuple[Argument, ...]":
    """Return all arguments of a verb."""
    return (*module_of(verb).ARGUMENTS, *CONNECTION, *OUTPUT)


def parse(argv: "Sequence[str]") -> argparse.Namespace:
    """Return the arguments of what came after ``pool``. Exits with code 2 on wrong usage."""
    if not argv or argv[0] not in VERBS:
        overview = _overview()
        overview.parse_args(argv)
        overview.error("the verb comes after pool")
    verb = argv[0]
    description = module_of(verb).DESCRIPTION
    parser = argparse.ArgumentParser(
        "relun pool " + verb, description=description, allow_abbrev=False, formatter_class=sized
    )
    for names, how in arguments_of(verb):
        parser.add_argument(*names, **how)
    parser.formatter_class = argparse.HelpFormatter
    found = parser.parse_args(argv[1:])
    found.verb, found.pool_verb, found.parser = "pool", verb, parser
    return found


def _overview() -> argparse.ArgumentParser:
    width = max(map(len, VERBS))
    lines = ["  {}  {}".format(verb.ljust(width), summary) for verb, summary in VERBS.items()]
    parser = argparse.ArgumentParser(
        "relun pool",
        description=DESCRIPTION,
        usage="relun pool VERB ... | relun pool VERB --help",
        epilog="verbs:\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", choices=VERBS, metavar="VERB", help="what to do, see below")
    return parser
