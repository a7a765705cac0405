"""``relun pool restore-vm``."""

from relun.cli.exits import Exit
from relun.cli.parser import argument

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from relun.cli.parser import Argument
    from relun.cli.pool.run import Work

DESCRIPTION = (
    "Make a VM like the original from an attached clone, or put one of its disks in place of the "
    "original VM's."
)
ARGUMENTS: "tuple[Argument, ...]" = (
    argument("vm", metavar="VM", help="name or uuid of the VM that the new one is to be like"),
    argument("--from", dest="sr", metavar="SR", required=True, help="the attached clone"),
    argument("--swap-disk", metavar="VDI", help="put this disk in place of the original VM's"),
)


def run(arguments: "argparse.Namespace", work: "Work") -> Exit:
    """Run the verb."""
    arguments.parser.error("not yet")
    return Exit.USAGE
