"""What ``relun pool`` says while it works, and what it says of errors: text or JSON objects."""

import sys
import threading

from relun.cli.exits import Exit
from relun.cli.schema import SCHEMA
from relun.cli.words import clean, entry, error_title, finding_lines
from relun.core.errors import Interrupted, RelunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from relun.cli.output import Line, Output
    from relun.pool.events import Event


class Listening:
    """A listener: JSON objects with --json, lines with steps and times on a terminal or with -v.

    Events come from several threads. Of several pieces of work at once a terminal shows one line,
    and what goes wrong.
    """

    def __init__(self, verb: str, output: "Output") -> None:
        self._verb = verb
        self._output = output
        self._lock = threading.Lock()
        self._terminal = sys.stderr.isatty()
        self._open = False  # the last line of the terminal shows a step that has not ended
        self._number = 1
        self._ended = 0
        self._running: dict[str, str] = {}  # by work

    def __call__(self, event: "Event") -> None:
        with self._lock:
            self._running.pop(event.work, None)
            if event.state == "begun":
                self._running[event.work] = _step(event)
            if self._output.as_json:
                self._output.show_object(event_object(self._verb, event))
                sys.stdout.flush()
            elif self._number > 1 and not self._output.verbose:
                self._tell_of_many(event)
            elif self._terminal or self._output.verbose:
                self._tell(event)

    @property
    def running(self) -> "list[str]":
        """The steps that have begun and not ended. Without the lock: a signal may ask."""
        return list(self._running.values())

    def several(self, number: int) -> None:
        """So many pieces of work are told of."""
        self._number = number

    def ended(self) -> None:
        """One of them has ended."""
        with self._lock:
            self._ended += 1

    def finish(self) -> None:
        """Take away the line of a step that never ended."""
        with self._lock:
            if self._open:
                self._write("", False)

    def _tell(self, event: "Event") -> None:
        if event.state == "begun":
            if self._terminal:
                self._write(_step(event) + " …", True)
            return
        word = "" if event.state == "done" else event.state + ", "
        line = "{}  ({}{:.1f} s)".format(_step(event), word, event.seconds)
        line += "  " + clean(event.text) if event.text else ""
        self._write(line + "\n", False)

    def _tell_of_many(self, event: "Event") -> None:
        if event.state in ("failed", "stands"):
            said = "{}  ({})  {}\n".format(_step(event), event.state, clean(event.text))
            self._write(said, False)
        elif self._terminal:
            self._write("[{}/{}] {}".format(self._ended, self._number, _step(event)), True)

    def _write(self, text: str, is_open: bool) -> None:
        start = "\r\033[K" if self._terminal else ""
        try:
            sys.stderr.write(start + text)
            sys.stderr.flush()
        except OSError:
            pass  # nobody reads it any more; the work goes on
        self._open = is_open


def _step(event: "Event") -> str:
    parts = (event.work + ":", event.step, event.subject)
    return clean(" ".join(part for part in parts if part))


def event_object(verb: str, event: "Event") -> "dict[str, Any]":
    """Return an event as JSON object."""
    return {
        "schema": SCHEMA,
        "verb": verb,
        "event": event.state,
        "work": event.work,
        "step": event.step,
        "subject": event.subject,
        "seconds": round(event.seconds, 3),
        "text": event.text,
    }


def error_object(verb: str, subject: str, error: RelunError) -> "dict[str, Any]":
    """Return the result object of something that failed."""
    return {
        "schema": SCHEMA,
        "verb": verb,
        "exit": int(exit_of(error)),
        "subject": subject,
        "error": described(error),
    }


def described(error: RelunError) -> "dict[str, Any]":
    """Return an error as JSON object."""
    from relun.cli.objects import cause_object, fields_object, findings_object

    return {
        "code": error.code,
        "title": error_title(error),
        "remedy": entry(error.code).remedy,
        "changed": error.changed,
        "fields": fields_object(error.fields),
        "cause": cause_object(error),
        "findings": findings_object(getattr(error, "findings", ())),
        "standing": list(getattr(error, "standing", ())),
    }


def error_lines(subject: str, error: RelunError, verbose: int = 0) -> "list[Line]":
    """Return what went wrong, what is left of it, and what to do."""
    said = error_title(error)
    # Most titles name the LUN that they are about.
    about = "" if clean(subject) in said else clean(subject) + ": "
    shown: list[Line] = [[("relun: ", ""), (about + said, "bold red")]]
    if error.code != "refused":
        shown.append([("       " + error.code, "dim")])
    findings = getattr(error, "findings", ())
    shown += finding_lines(finding for finding in findings if finding.severity == "refuse")
    shown += [[("       " + remedy, "")] for remedy in _remedies(error)]
    standing = getattr(error, "standing", ())
    if standing:
        shown.append([("       What stands, and could not be taken back:", "bold")])
        shown += [[("         " + clean(line), "bold")] for line in standing]
        shown.append([("       The same command run again goes on from there.", "")])
    elif error.changed:
        shown.append([("       The LUN is in progress; run the command again.", "bold")])
    else:
        shown.append([("       Nothing was changed.", "bold")])
    if verbose and "trace" in error.fields:
        shown += [[(line, "dim")] for line in error.fields["trace"].splitlines()]
    return shown


def _remedies(error: RelunError) -> "list[str]":
    """Return what to do: about the cause first."""
    cause = error.fields.get("cause")
    codes = [cause.code] if isinstance(cause, RelunError) else []
    return [entry(code).remedy for code in (*codes, error.code) if entry(code).remedy]


def exit_of(error: RelunError) -> Exit:
    """Return the exit code of an error."""
    if isinstance(error, Interrupted) or error.changed:
        return Exit.INTERRUPTED
    return Exit.REFUSED
