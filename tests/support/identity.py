"""Searches a LUN for ids in every encoding that LVM, SM, VHD, QCOW2 and CBT logs use.

Independent of relun: what to look for is told by the caller, where to look by pvck.
"""

import os
import re
import uuid
from collections.abc import Collection, Iterator

from support import lvm
from support.compare import data_ranges
from support.layout import Layout

_CHUNK = 65536  # no structure that holds an id lies across a multiple of it
_HEX = rb"[0-9a-fA-F]"
# A uuid as text: its dashes single or doubled (device-mapper), its characters of 8 or 16 bits.
_TEXT = re.compile(rb"-{1,2}".join(_HEX + b"{%d}" % n for n in (8, 4, 4, 4, 12)))
_WIDE = re.compile(rb"(?:-\0){1,2}".join(b"(?:" + _HEX + b"\0){%d}" % n for n in (8, 4, 4, 4, 12)))
_HEADS = 1536  # where VHD and CBT log hold raw ids, at a volume's start; and its last sector


def uuids_in(data: bytes) -> set[str]:
    """Return every uuid that stands in the data as text, in plain form."""
    found = {match.replace(b"--", b"-") for match in _TEXT.findall(data)}
    for wide in _WIDE.findall(data):  # UTF-16, of either byte order: digits and NULs alternate
        found.add(wide.replace(b"\0", b"").replace(b"--", b"-"))
    return {text.decode("ascii").lower() for text in found}


def leftovers(place: Layout, ids: Collection[str]) -> list[str]:
    """Return what of ``ids`` (uuids, and LVM ids with dashes) the LUNs still show.

    Looked at are all volumes, the current metadata text, and the labels; not looked at is what no
    reader takes for its own any more: the ring's history.
    """
    wanted = set(ids)
    told = []
    paths = sorted({part.path for parts in place.volumes.values() for part in parts})
    for path in paths:
        text = lvm.dump_metadata(path) if lvm.has_metadata(path) else ""
        header = lvm.dump_headers(path)["pv_header.pv_uuid"]
        told += [f"{path}: text: {found}" for found in ids if found in text]
        told += [f"{path}: label: {found}" for found in ids if found.replace("-", "") == header]
    raw = {uuid.UUID(text).bytes: text for text in ids if re.fullmatch(r"[0-9a-f-]{36}", text)}
    for name in place.volumes:
        told += [f"name: {name}"] if uuids_in(name.encode("ascii")) & wanted else []
        for offset, data in _pieces(place, name):
            told += [f"{name}+{offset}: {found}" for found in uuids_in(data) & wanted]
        size = place.size(name)
        for offset, length in ((0, _HEADS), (size - 512, 512)):
            data = place.read(name, offset, length)
            told += [f"{name}+{offset}: {raw[data[at : at + 16]]} (raw)" for at in _hits(data, raw)]
    return told


def _hits(data: bytes, raw: dict[bytes, str]) -> Iterator[int]:
    return (at for at in range(0, len(data) - 15, 4) if data[at : at + 16] in raw)


def _pieces(place: Layout, name: str) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, bytes) of what of a volume is not a hole and not one byte over and over."""
    for part in place.volumes[name]:
        with open(part.path, "rb", buffering=0) as file:
            end = part.offset + part.length
            for start, length in _RANGES.of(part.path):
                first, last = max(start, part.offset), min(start + length, end)
                for at in range(first, last, _CHUNK):
                    data = os.pread(file.fileno(), min(_CHUNK, last - at), at)
                    if data.count(data[0]) != len(data):
                        yield at - part.offset, data


class _Ranges:
    """The data ranges of a file, listed once as long as it does not change."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], list[tuple[int, int]]] = {}

    def of(self, path: str) -> list[tuple[int, int]]:
        key = (path, os.stat(path).st_mtime_ns)
        if key not in self._known:
            self._known[key] = data_ranges(path)
        return self._known[key]


_RANGES = _Ranges()
