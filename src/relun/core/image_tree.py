"""The images of an SR as a tree: each base image with what is based on it below."""

from relun.core.hints import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple
from relun.core.mgt import Record
from relun.core.repository import Repository
from relun.core.volume import Volume


class Node(NamedTuple):
    """An image and what MGT says of it.

    ``lasts``: for the image and each one it hangs below, the uppermost first, whether it is the
    last of its siblings; empty for an image that hangs below nothing.
    """

    volume: Volume
    record: Optional[Record]
    lasts: Tuple[bool, ...]


def records(repository: Repository) -> Dict[str, Record]:
    """Return MGT's live records by VDI uuid."""
    if repository.mgt is None or repository.mgt.content is None:
        return {}
    found = [record for record in repository.mgt.content.records if record.live]
    return {record.uuid: record for record in found if not record.deleted}


def walk(repository: Repository) -> Iterator[Node]:
    """Yield the images, each parent before its children, siblings by name.

    Images in a ring of parents hang below nothing; they come at the end.
    """
    known = records(repository)
    images = {v.lv.name: v for v in repository.volumes if v.name.is_image}
    below: Dict[str, List[Volume]] = {}
    for volume in images.values():
        parent = volume.parent
        at_home = parent is not None and parent.sr_uuid == repository.sr_uuid
        home = parent.lv_name if parent and at_home and parent.lv_name in images else ""
        below.setdefault(home, []).append(volume)

    def order(volume: Volume) -> Tuple[str, str]:
        record = known.get(volume.name.vdi)
        return record.name if record else "", volume.lv.name

    seen: Set[str] = set()
    nothing: Tuple[bool, ...] = ()
    # A stack, not recursion: a chain may be as deep as an SR has images.
    stack = [(v, nothing) for v in sorted(below.get("", ()), key=order, reverse=True)]
    while stack:
        volume, lasts = stack.pop()
        seen.add(volume.lv.name)
        yield Node(volume, known.get(volume.name.vdi), lasts)
        children = sorted(below.get(volume.lv.name, ()), key=order)
        stack += [(child, (*lasts, child is children[-1])) for child in reversed(children)]
    for name, volume in images.items():
        if name not in seen:
            yield Node(volume, known.get(volume.name.vdi), ())
