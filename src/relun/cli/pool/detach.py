"""``relun pool detach``."""

from relun.cli.exits import Exit

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from relun.cli.parser import Argument
    from relun.cli.pool.run import Work

DESCRIPTION = "Take an attached clone out of the pool."
ARGUMENTS: "tuple[Argument, ...]" = ()


def run(arguments: "argparse.Namespace", work: "Work") -> Exit:
    """Run the verb."""
    arguments.parser.error("not yet")
    return Exit.USAGE
