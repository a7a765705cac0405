"""`relun explain`: what a code means and what to do about it."""

from relun.cli.exits import Exit
from relun.cli.output import Output
from relun.cli.words import entries

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from relun.cli.output import Line


def explain(arguments: "argparse.Namespace") -> Exit:
    """Explain the codes, or list them all."""
    known = entries()
    unknown = [code for code in arguments.codes if code not in known]
    if unknown:
        arguments.parser.error(f"no such code: {', '.join(unknown)} (relun explain lists them all)")
    output = Output(arguments)
    codes = arguments.codes or list(known)
    if output.as_json:
        from relun.cli.objects import explained

        for code in codes:
            output.show_object(explained(code))
    elif arguments.codes:
        for code in codes:
            output.show_lines(_whole(code))
    else:
        column = max(map(len, codes))
        output.show_lines(
            [(code.ljust(column), "bold"), (f"  {title(code)}", "")] for code in codes
        )
    output.finish()
    return Exit.DONE


def title(code: str) -> str:
    """Return a code's title with its fields in brackets."""
    return entries()[code].title.format_map(_Named())


def _whole(code: str) -> "list[Line]":
    entry = entries()[code]
    shown: list[Line] = [[(code, "bold"), (f": {title(code)}", "")], [(f"  {entry.meaning}", "")]]
    return [*shown, [(f"  {entry.remedy}", "")]] if entry.remedy else shown


class _Named(dict):  # type: ignore[type-arg]
    """A field stands for itself, in brackets."""

    def __missing__(self, key: str) -> str:
        return f"<{key}>"
