"""Entry point: reads the command line, runs the verb, returns the exit code."""

import os
import sys

from relun.cli.exits import Exit
from relun.cli.parser import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import NoReturn


def main() -> "NoReturn":
    """Run this process's command line and end the process."""
    code = execute(sys.argv[1:], ends_process=True)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            pass  # nobody reads it any more; the exit code still tells
    # Not by sys.exit: tearing down all modules would take a tenth of the whole time, for nothing.
    os._exit(code)


def execute(argv: "Sequence[str]", ends_process: bool = False) -> int:
    """Run one command line (without the program's name) and return its exit code.

    ``ends_process``: nothing comes after it, so signals that it put off need not be let in again.
    """
    remote = any("://" in word for word in argv)
    if remote:
        from relun.cli.addresses import hide, prepare

        argv = hide(argv)
    arguments = parse(argv)
    arguments.ends_process = ends_process
    try:
        if remote:
            prepare(arguments)
        return int(_run(arguments))
    except KeyboardInterrupt:  # while nothing was written: writing puts signals off
        print("relun: stopped; nothing was changed", file=sys.stderr)
        return int(Exit.REFUSED)


def _run(arguments: "argparse.Namespace") -> Exit:
    verb = arguments.verb
    if verb == "pool":
        from relun.cli.pool.run import run

        return run(arguments)
    if verb in ("resign", "recover", "undo", "seal") and not getattr(arguments, "dry_run", False):
        from relun.cli.writing import change

        return change(arguments)
    if verb == "conflicts":
        from relun.cli.conflicts import conflicts

        return conflicts(arguments)
    if verb == "explain":
        from relun.cli.explain import explain

        return explain(arguments)
    from relun.cli.reading import read

    return read(arguments)
