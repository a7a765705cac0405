"""A change as bytes: what the journal's pages carry.

"relun1" and deflate of: the strings old SR, new SR; numbers switch, LUNs, seqno; for each LUN its
PV uuid and old pointer sector; one label edit a LUN; then the edits. Strings and byte strings have
a u32 length before them; all integers are little endian.
"""

import struct
import zlib

from relun.core.edit import Change, Edit
from relun.core.errors import FormatError
from relun.core.hints import List, Tuple

_MAGIC = b"relun1"
_LIMIT = 256 << 20  # no change is larger; a forged payload could claim anything
_U32 = struct.Struct("<I")
_EDIT = struct.Struct("<IQ")
_COUNTS = struct.Struct("<IIQ")


def pack_change(change: Change) -> bytes:
    """Return the payload."""
    parts: List[bytes] = []
    _put(parts, change.old_sr.encode("latin-1"))
    _put(parts, change.new_sr.encode("latin-1"))
    parts.append(_COUNTS.pack(change.switch, len(change.labels), change.seqno))
    for pv_uuid, pointer in zip(change.pv_uuids, change.old_pointers):
        _put(parts, pv_uuid.encode("latin-1"))
        _put(parts, pointer)
    for edit in change.labels + change.edits:
        parts.append(_EDIT.pack(edit.device, edit.offset))
        for field in (edit.what.encode("utf-8"), edit.old, edit.new):
            _put(parts, field)
    return _MAGIC + zlib.compress(b"".join(parts), 4)


def unpack_change(payload: bytes) -> Change:
    """Return the change in a payload. Raise FormatError (journal-damaged) when it is no payload."""
    try:
        return _unpack(payload)
    except (struct.error, zlib.error, ValueError) as error:
        raise FormatError("journal-damaged", 0, reason=str(error)) from error


def _unpack(payload: bytes) -> Change:
    if payload[: len(_MAGIC)] != _MAGIC:
        raise ValueError("no payload")
    inflate = zlib.decompressobj()
    reader = _Reader(inflate.decompress(payload[len(_MAGIC) :], _LIMIT))
    if not inflate.eof:  # a page is missing: what is there might end with a whole edit
        raise ValueError("cut short")
    old_sr, new_sr = reader.text(), reader.text()
    switch, members, seqno = _COUNTS.unpack(reader.take(_COUNTS.size))
    luns = [(reader.text(), reader.field()) for _member in range(members)]
    edits = []
    while not reader.at_end:
        edits.append(reader.edit())
    if len(edits) < members or not switch < members:
        raise ValueError("too short")
    return Change(
        old_sr,
        new_sr,
        switch,
        tuple(pv_uuid for pv_uuid, _pointer in luns),
        seqno,
        tuple(pointer for _pv_uuid, pointer in luns),
        tuple(edits[:members]),
        tuple(edits[members:]),
    )


def _put(parts: List[bytes], field: bytes) -> None:
    parts.append(_U32.pack(len(field)))
    parts.append(field)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    @property
    def at_end(self) -> bool:
        return self.position == len(self.data)

    def take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self.data):
            raise ValueError("cut short")
        part = self.data[self.position : end]
        self.position = end
        return part

    def field(self) -> bytes:
        return self.take(_U32.unpack(self.take(_U32.size))[0])

    def text(self) -> str:
        return self.field().decode("latin-1")

    def edit(self) -> Edit:
        device, offset = _EDIT.unpack(self.take(_EDIT.size))
        what = self.field().decode("utf-8")
        fields: Tuple[bytes, bytes] = (self.field(), self.field())
        return Edit(device, offset, fields[0], fields[1], what)
