"""Edits: bytes on a LUN that change, with what stood there and why.

A ``Change`` is all that a resign does to a set of LUNs; the journal holds it whole.
"""

from relun.core.hints import Iterable, Iterator, List, NamedTuple, Tuple

SECTOR = 512
AREA_HEADER = "metadata area header"  # the edit that makes a new VG text the current one


class Edit(NamedTuple):
    """``old`` becomes ``new`` (same length) at byte ``offset`` of LUN number ``device``."""

    device: int
    offset: int
    old: bytes
    new: bytes
    what: str

    @property
    def end(self) -> int:
        """The byte after the last one."""
        return self.offset + len(self.old)


class Change(NamedTuple):
    """The edits of one resign. ``labels``: label sectors by LUN; LUN ``switch`` has the journal."""

    old_sr: str
    new_sr: str
    switch: int
    pv_uuids: Tuple[str, ...]  # before the resign, by LUN
    seqno: int  # of the untouched clone
    old_pointers: Tuple[bytes, ...]  # sectors that relun's pointers replace, by LUN
    labels: Tuple[Edit, ...]
    edits: Tuple[Edit, ...]


def changed_runs(edit: Edit) -> Iterator[Edit]:
    """Yield the runs of whole sectors of an edit that really change."""
    start = -1
    size = len(edit.old)
    for at in range(0, size + SECTOR, SECTOR):
        differs = at < size and edit.old[at : at + SECTOR] != edit.new[at : at + SECTOR]
        if differs and start < 0:
            start = at
        elif not differs and start >= 0:
            yield edit._replace(
                offset=edit.offset + start, old=edit.old[start:at], new=edit.new[start:at]
            )
            start = -1


def joined(writes: Iterable[Tuple[int, bytes]]) -> List[Tuple[int, bytes]]:
    """Return writes (offset, data), those made one that begin where the one before ends."""
    starts: List[int] = []
    parts: List[List[bytes]] = []
    end = -1
    for offset, data in writes:
        if offset == end:
            parts[-1].append(data)
        else:
            starts.append(offset)
            parts.append([data])
        end = offset + len(data)
    return [(start, b"".join(part)) for start, part in zip(starts, parts)]


def in_order(edits: List[Edit]) -> Tuple[Edit, ...]:
    """Return the edits by place. Raise ValueError when two of them overlap."""
    edits = sorted(edits, key=lambda edit: (edit.device, edit.offset))
    for before, after in zip(edits, edits[1:]):
        if before.device == after.device and before.end > after.offset:
            raise ValueError("{} overlaps {}".format(before.what, after.what))
    return tuple(edits)
