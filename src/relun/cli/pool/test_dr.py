"""``relun pool test-dr``."""

from relun.cli.exits import Exit
from relun.cli.parser import argument

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from relun.cli.parser import Argument
    from relun.cli.pool.run import Work

DESCRIPTION = "Attach, restore, start, check and take away again, as a plan says, with a report."
ARGUMENTS: "tuple[Argument, ...]" = (
    argument("plan", metavar="PLAN.toml", help="what to attach, restore, start and check"),
)


def run(arguments: "argparse.Namespace", work: "Work") -> Exit:
    """Run the verb."""
    arguments.parser.error("not yet")
    return Exit.USAGE
