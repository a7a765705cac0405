"""`relun explain`: what a code means and what to do about it."""

from __future__ import annotations

import sys

from relun.cli.exits import Exit
from relun.core.catalogue import ENTRIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def explain(arguments: argparse.Namespace) -> Exit:
    """Explain the codes, or list them all."""
    unknown = [code for code in arguments.codes if code not in ENTRIES]
    if unknown:
        arguments.parser.error(f"no such code: {', '.join(unknown)} (relun explain lists them all)")
    codes = arguments.codes or list(ENTRIES)
    try:
        if arguments.json:
            _as_json(codes)
        else:
            _as_text(codes, brief=not arguments.codes)
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stdout = None
    return Exit.DONE


def _as_json(codes: list[str]) -> None:
    import json

    from relun.cli.objects import explained

    for code in codes:
        print(json.dumps(explained(code), ensure_ascii=False))


def _as_text(codes: list[str], brief: bool) -> None:
    for number, code in enumerate(codes):
        entry = ENTRIES[code]
        if brief:
            print(f"{code:<20} {entry.title.format_map(_Named())}")
            continue
        print(("\n" if number else "") + f"{code}: {entry.title.format_map(_Named())}")
        print(f"  {entry.meaning}")
        if entry.remedy:
            print(f"  {entry.remedy}")


class _Named(dict):  # type: ignore[type-arg]
    """A field stands for itself, in brackets."""

    def __missing__(self, key: str) -> str:
        return f"<{key}>"
