"""Entry point: reads the command line, runs the verb, returns the exit code."""

from __future__ import annotations

import sys

from relun.cli.exits import Exit
from relun.cli.parser import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (without the program's name) and return its exit code."""
    arguments = parse(sys.argv[1:] if argv is None else argv)
    try:
        return int(_run(arguments))
    except KeyboardInterrupt:  # while nothing was written: writing puts signals off
        print("relun: stopped; nothing was changed", file=sys.stderr)
        return int(Exit.REFUSED)


def _run(arguments: argparse.Namespace) -> Exit:
    verb = arguments.verb
    if verb in ("resign", "recover", "undo", "seal"):
        from relun.cli import writing

        return writing.run(arguments)
    if verb == "conflicts":
        from relun.cli import conflicts

        return conflicts.run(arguments)
    if verb == "explain":
        from relun.cli import explain

        return explain.run(arguments)
    from relun.cli import reading

    return reading.run(arguments)
