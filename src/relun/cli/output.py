"""Where reports go: text or JSON on standard output, errors and progress on standard error."""

import io
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from typing import Any

    from relun.cli.report import Report

    # Text in pieces: (text, style). Styles are rich's; plain output leaves them out.
    Line = list[tuple[str, str]]


class Output:
    """Shows reports, as JSON if asked for or, with ``json_when_piped``, when nobody looks."""

    def __init__(
        self, arguments: "argparse.Namespace", several: bool = False, json_when_piped: bool = False
    ) -> None:
        self.verbose: int = arguments.verbose
        self.several = several
        self.terminal = sys.stdout.isatty()
        piped = json_when_piped and several and not self.terminal
        self.as_json: bool = arguments.json or (piped and not arguments.text)
        self._shown = 0
        self._status = several and sys.stderr.isatty()
        _take_any_text()

    def show(self, report: "Report") -> None:
        """Show one SR's report."""
        self._clear_status()
        if self.as_json:
            from relun.cli.objects import as_object

            self.show_object(as_object(report, self.verbose))
            return
        from relun.cli.text import lines

        self.show_lines(lines(report, self.verbose, self.several))
        if report.error:
            from relun.cli.words import error_lines

            sys.stdout.flush()
            self.show_lines(error_lines(report, self.verbose), error=True)

    def show_object(self, value: "dict[str, Any]") -> None:
        """Print one JSON object on a line of its own."""
        import json

        self._print(json.dumps(value, ensure_ascii=False))

    def show_lines(self, shown: "Iterable[Line]", error: bool = False) -> None:
        """Print lines, with a blank one between two blocks."""
        shown = list(shown)
        if not shown:
            return
        if self._shown:
            shown.insert(0, [])
        self._shown += 1
        stream = sys.stderr if error else sys.stdout
        if stream.isatty() and _print_rich(shown, error):
            return
        self._print("\n".join(_plain(line) for line in shown), error)

    def progress(self, number: int, count: int, name: str) -> None:
        """Tell on a terminal which of several SRs is at work."""
        if self._status:
            sys.stderr.write(f"\r\033[K[{number + 1}/{count}] {name}")
            sys.stderr.flush()

    def finish(self) -> None:
        """End the output."""
        self._clear_status()
        try:
            sys.stdout.flush()
        except OSError:
            self._reader_gone()

    def _clear_status(self) -> None:
        if self._status:
            sys.stderr.write("\r\033[K")

    def _print(self, text: str, error: bool = False) -> None:
        try:
            print(text, file=sys.stderr if error else sys.stdout)
        except OSError:
            self._reader_gone()

    def _reader_gone(self) -> None:
        """Whoever read the output has left, or its disk is full: go on with the work, silently."""
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _take_any_text() -> None:
    """Names from a LUN must not break the output."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if sys.version_info < (3, 7) and hasattr(sys.stdout, "detach"):
        # Later ones take the locale C for UTF-8. Standard error is as wanted already.
        encoding, at_once = sys.stdout.encoding, sys.stdout.isatty()
        encoding = "utf-8" if encoding in ("ascii", "ANSI_X3.4-1968") else encoding
        raw = sys.stdout.detach()
        sys.stdout = io.TextIOWrapper(raw, encoding, "backslashreplace", line_buffering=at_once)


def _plain(line: "Line") -> str:
    return "".join(text for text, _style in line).rstrip()


def _print_rich(shown: "Iterable[Line]", error: bool) -> bool:
    try:
        from rich.console import Console
        from rich.text import Text
    except ImportError:
        return False
    console = Console(stderr=error, highlight=False)
    for line in shown:
        console.print(Text.assemble(*line), soft_wrap=True)
    return True
