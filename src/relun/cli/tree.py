"""The images of an SR as a tree: each base image with what is based on it below."""

from relun.cli.sizes import size
from relun.cli.words import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from relun.cli.output import Line
    from relun.core.finding import Finding
    from relun.core.mgt import Record
    from relun.core.repository import Repository
    from relun.core.volume import Volume

_HEADINGS = ("image", "size", "on LUN", "kind", "VDI uuid", "")
_BRANCHES = {True: ("├─ ", "└─ ", "│  ", "   "), False: ("|- ", "`- ", "|  ", "   ")}
_GRAVE = ("refuse", "warn")


class Node:
    """An image: its volume, its depth in the tree as ``indent``, and what MGT says of it."""

    def __init__(self, volume: "Volume", indent: str, record: "Record | None") -> None:
        self.volume = volume
        self.indent = indent
        self.record = record


def records(repository: "Repository") -> "dict[str, Record]":
    """Return MGT's live records by VDI uuid."""
    if repository.mgt is None or repository.mgt.content is None:
        return {}
    found = (record for record in repository.mgt.content.records if record.live)
    return {record.uuid: record for record in found if not record.deleted}


def walk(repository: "Repository", unicode: bool = True) -> "Iterator[Node]":
    """Yield the images, each parent before its children, siblings by name.

    Images in a ring of parents hang below nothing; they come at the end.
    """
    known = records(repository)
    images = {v.lv.name: v for v in repository.volumes if v.name.is_image}
    below: dict[str, list[Volume]] = {}
    for volume in images.values():
        parent = volume.parent
        at_home = parent is not None and parent.sr_uuid == repository.sr_uuid
        home = parent.lv_name if parent and at_home and parent.lv_name in images else ""
        below.setdefault(home, []).append(volume)

    def order(volume: "Volume") -> "tuple[str, str]":
        record = known.get(volume.name.vdi)
        return record.name if record else "", volume.lv.name

    seen: set[str] = set()
    turn, last_turn, line, blank = _BRANCHES[unicode]
    # A stack, not recursion: a chain may be as deep as an SR has images.
    stack = [(v, "", "") for v in sorted(below.get("", ()), key=order, reverse=True)]
    while stack:
        volume, indent, under = stack.pop()
        seen.add(volume.lv.name)
        yield Node(volume, indent, known.get(volume.name.vdi))
        children = sorted(below.get(volume.lv.name, ()), key=order)
        for child in reversed(children):
            last = child is children[-1]
            stack.append(
                (child, under + (last_turn if last else turn), under + (blank if last else line))
            )
    for name, volume in images.items():
        if name not in seen:
            yield Node(volume, "", known.get(volume.name.vdi))


def lines(repository: "Repository", unicode: bool = True) -> "list[Line]":
    """Return the tree as a table."""
    by_place: dict[str, list[Finding]] = {}
    for finding in repository.findings:
        if finding.severity in _GRAVE:
            by_place.setdefault(finding.where, []).append(finding)
    tracked = {v.name.vdi for v in repository.volumes if v.name.kind == "cbtlog"}
    names = {vdi: record.name for vdi, record in records(repository).items()}
    rows = []
    for node in walk(repository, unicode):
        volume = node.volume
        marks = _marks(node, names, tracked)
        marks += [finding.code for finding in by_place.get(volume.lv.name, ())]
        rows.append(
            (
                node.indent + image_name(node),
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


def image_name(node: Node) -> str:
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


def _marks(node: Node, names: "dict[str, str]", tracked: "set[str]") -> "list[str]":
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
