"""The tree of an SR's images as a table."""

from relun.cli.sizes import size
from relun.cli.words import clean
from relun.core.image_tree import records, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from relun.cli.output import Line
    from relun.core.finding import Finding
    from relun.core.image_tree import Node
    from relun.core.repository import Repository

_HEADINGS = ("image", "size", "on LUN", "kind", "VDI uuid", "")
_BRANCHES = {True: ("├─ ", "└─ ", "│  ", "   "), False: ("|- ", "`- ", "|  ", "   ")}
_DEEPEST = 40  # levels that are drawn; SM makes chains of 30 at most (vhdutil, MAX_CHAIN_SIZE)
_GRAVE = ("refuse", "warn")


def lines(repository: "Repository", unicode: bool = True) -> "list[Line]":
    """Return the tree as a table."""
    by_place: dict[str, list[Finding]] = {}
    for finding in repository.findings:
        if finding.severity in _GRAVE:
            by_place.setdefault(finding.where, []).append(finding)
    tracked = {v.name.vdi for v in repository.volumes if v.name.kind == "cbtlog"}
    names = {vdi: record.name for vdi, record in records(repository).items()}
    rows = []
    for node in walk(repository):
        volume = node.volume
        marks = _marks(node, names, tracked)
        marks += [finding.code for finding in by_place.get(volume.lv.name, ())]
        rows.append(
            (
                _branches(node.lasts, unicode) + image_name(node),
                size(volume.virtual_size) if volume.virtual_size else "-",
                size(volume.lv.size),
                volume.name.kind,
                volume.name.vdi,
                ", ".join(marks),
            )
        )
    if not rows:
        return []
    return _table([_HEADINGS, *rows])


def _branches(lasts: "tuple[bool, ...]", unicode: bool) -> str:
    turn, last_turn, line, blank = _BRANCHES[unicode]
    if not lasts:
        return ""
    under = "".join(blank if last else line for last in lasts[-_DEEPEST:-1])
    level = f"({len(lasts)}) " if len(lasts) > _DEEPEST else ""
    return level + under + (last_turn if lasts[-1] else turn)


def image_name(node: "Node") -> str:
    """Return the image's name, or what it is when it has none."""
    if node.record is not None and node.record.name:
        return clean(node.record.name)
    if node.volume.hidden:
        return "base copy"
    return "(no name)" if node.record else "(no record)"


def width(text: str) -> int:
    """Return the columns that a text takes on a terminal."""
    if all(letter < "\x80" for letter in text):
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) != 0 for c in text)


def pad(text: str, columns: int) -> str:
    """Return a text filled up to so many columns."""
    return text + " " * (columns - width(text))


def _marks(node: "Node", names: "dict[str, str]", tracked: "set[str]") -> "list[str]":
    volume, record = node.volume, node.record
    marks = []
    if volume.hidden:
        marks.append("base, hidden")
    if record is not None and record.elements.get("is_a_snapshot") == "1":
        origin = record.elements.get("snapshot_of", "")
        marks.append(f"snapshot of {clean(names[origin])}" if names.get(origin) else "snapshot")
    if volume.name.displaced:
        marks.append("to be deleted")
    if volume.name.vdi in tracked:
        marks.append("CBT")
    if volume.damaged:
        marks.append("damaged")
    return marks


def _table(rows: "list[tuple[str, ...]]") -> "list[Line]":
    widths = [max(map(width, column)) for column in zip(*rows)]
    shown: list[Line] = []
    for number, row in enumerate(rows):
        name, virtual, allocated, kind, vdi, marks = row
        style = "dim" if number == 0 else ""
        hidden = marks.startswith("base")
        shown.append(
            [
                ("  " + pad(name, widths[0]), style or ("dim" if hidden else "bold")),
                (f"  {virtual.rjust(widths[1])}  {allocated.rjust(widths[2])}", style),
                (f"  {kind.ljust(widths[3])}  {vdi.ljust(widths[4])}", style),
                (f"  {marks}" if marks else "", "dim" if hidden else "cyan"),
            ]
        )
    return shown
