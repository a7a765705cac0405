"""Runs a verb of ``relun pool``: logs in, listens, turns the end into words and an exit code."""

import sys

from relun.cli.exits import Exit
from relun.cli.output import Output
from relun.cli.pool.asked import address
from relun.cli.pool.parser import module_of
from relun.cli.pool.stopping import Stopping
from relun.cli.pool.telling import Listening, error_lines, error_object, exit_of
from relun.core.errors import RelunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from relun.pool.connection import Connection


class Work:
    """What a verb works with. ``cancelled`` tells whether a signal came: then no step begins."""

    def __init__(
        self, connection: "Connection", output: Output, listener: Listening, cancelled: Stopping
    ) -> None:
        self.connection = connection
        self.output = output
        self.listener = listener
        self.cancelled = cancelled


def run(arguments: "argparse.Namespace") -> Exit:
    """Run the verb; return the exit code."""
    if sys.version_info < (3, 11):
        arguments.parser.error("relun pool needs Python 3.11 or later")
    try:
        from relun.pool.connection import connect
    except ImportError:
        arguments.parser.error("relun pool is not in the package for dom0: use it from elsewhere")

    verb = module_of(arguments.pool_verb)
    output = Output(arguments)
    listening = Listening("pool " + arguments.pool_verb, output)
    try:
        if hasattr(verb, "prepare"):
            verb.prepare(arguments)
        where = address(arguments)
        stopping = Stopping(
            listening, arguments.ends_process, at_once=getattr(verb, "READS_ONLY", False)
        )
        # A login changes nothing: a signal ends it.
        with connect(where) as connection, stopping:
            work = Work(connection, output, listening, stopping)
            code: Exit = verb.run(arguments, work)
    except RelunError as error:
        code = exit_of(error)
        fail(arguments, output, error)
    except Exception as error:
        code = Exit.INTERRUPTED  # not known: the more careful answer
        fail(arguments, output, _bug(error))
    finally:
        listening.finish()
        output.finish()
    return code


def fail(
    arguments: "argparse.Namespace", output: Output, error: RelunError, subject: str = ""
) -> None:
    """Show an error as text or as a result object. ``subject``: what it is about, e.g. a target."""
    if output.as_json:
        verb = "pool " + arguments.pool_verb
        output.show_object(error_object(verb, subject, error))
        return
    sys.stdout.flush()
    output.show_lines(error_lines(subject, error, output.verbose), error=True)


def _bug(error: Exception) -> RelunError:
    import traceback

    from relun.pool.errors import PoolUnfinished

    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    standing = ["not known: look at the pool and at the LUN"]
    return PoolUnfinished("internal", standing, device="", cause=repr(error), trace=trace)
