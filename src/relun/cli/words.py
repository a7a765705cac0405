"""The one place that turns errors and findings into words: what, where, and what to do."""

from relun.core.errors import Interrupted, RelunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from relun.cli.output import Line
    from relun.cli.report import Report
    from relun.core.catalogue import Entry
    from relun.core.finding import Finding

_SEVERITIES = {
    "refuse": ("refused", "bold red"),
    "warn": ("warning", "yellow"),
    "note": ("note", ""),
}


def entry(code: str) -> "Entry":
    """Return the catalogue's entry, an empty one for a code that it does not know."""
    from relun.core.catalogue import Entry

    return entries(code.startswith("pool-")).get(code, Entry(code, "", ""))


def entries(pool: bool = True) -> "Mapping[str, Entry]":
    """Return the whole catalogue; without those of the pool it loads less."""
    from relun.core.catalogue import ENTRIES

    if not pool:
        return ENTRIES
    try:
        from relun.pool.catalogue import ENTRIES as MORE
    except ImportError:  # dom0 has no use for it
        return ENTRIES
    return {**ENTRIES, **MORE}


def title(code: str, fields: "Mapping[str, Any]") -> str:
    """Return what a code says in one line, with its fields filled in."""
    from relun.core.catalogue import filled

    return clean(filled(entry(code).title, fields))


def clean(text: str) -> str:
    """Return text from a LUN so that a terminal shows it and does nothing else with it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def where(place: str, offset: int) -> str:
    """Return where something is: volume or device, and the byte on the LUN."""
    parts = [clean(place)] if place else []
    parts += [f"at byte {offset}"] if offset >= 0 else []
    return " ".join(parts)


def finding_lines(findings: "Iterable[Finding]", remedies: bool = True) -> "list[Line]":
    """Return the findings as text, the grave ones first."""
    lines: list[Line] = []
    order = list(_SEVERITIES)
    for finding in sorted(findings, key=lambda finding: order.index(finding.severity)):
        word, style = _SEVERITIES[finding.severity]
        place = where(finding.where, finding.offset)
        said = title(finding.code, finding.fields)
        lines.append(
            [
                ("  ", ""),
                (word.ljust(8), style),
                (finding.code.ljust(18), "bold"),
                (" " + place, ""),
            ]
        )
        lines.append([(f"          {said}", "")])
        if remedies and finding.severity != "note":
            lines.append([(f"          {entry(finding.code).remedy}", "dim")])
    return lines


def error_lines(report: "Report", verbose: int = 0) -> "list[Line]":
    """Return what went wrong, whether anything was changed, and what to do."""
    error = report.error
    assert error is not None
    name, said = clean(report.name), error_title(error)
    if not said.startswith((name + " ", name + ":")):  # many begin with the device
        said = f"{name}: {said}"
    lines: list[Line] = [[("relun: ", ""), (said, "bold red")]]
    if error.code != "refused":
        place = where("", error.fields.get("offset", -1))
        code = f"       {error.code}" + (f", {place}" if place else "")
        lines.append([(code, "dim")])
    findings = getattr(error, "findings", ())
    lines += finding_lines(finding for finding in findings if finding.severity == "refuse")
    if entry(error.code).remedy:
        lines.append([(f"       {entry(error.code).remedy}", "")])
    lines += [[(f"       {line}", "bold")] for line in consequence(report)]
    if verbose and "trace" in error.fields:
        lines += [[(line, "dim")] for line in error.fields["trace"].splitlines()]
    return lines


def error_title(error: RelunError) -> str:
    """Return what went wrong in one line, its cause included."""
    said = title(error.code, error.fields)
    cause = error.fields.get("cause")
    if isinstance(cause, RelunError):
        return f"{said}: {title(cause.code, cause.fields)}"
    return said


def consequence(report: "Report") -> "list[str]":
    """Return what state the LUN is in after an error."""
    if report.error is None:
        return []
    command = "relun recover " + " ".join(map(quote, report.paths))
    if isinstance(report.error, Interrupted) or report.exit == 3:
        return ["The LUN is in progress: no host sees an SR on it. Finish it by:", f"    {command}"]
    return ["Nothing was changed."]


def quote(text: str) -> str:
    """Return a word as the shell needs it."""
    plain = text.replace("-", "").replace("_", "").replace(".", "").replace("/", "")
    plain = plain.replace(":", "").replace("=", "").replace(",", "")
    if plain.isalnum() and all(letter < "\x80" for letter in plain):
        return text
    return "'" + text.replace("'", "'\\''") + "'"
