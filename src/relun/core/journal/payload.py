"""A change as bytes: what the journal's pages carry.

"relun1" and deflate of: the strings old SR, new SR; numbers switch, LUNs, seqno; for each LUN its
PV uuid and old pointer sector; one label edit a LUN; then the edits. Strings and byte strings have
a u32 length before them; all integers are little endian.
"""

import struct
import zlib

from relun.core.edit import Change, Edit
from relun.core.errors import FormatError
from relun.core.hints import List

_MAGIC = b"relun1"
# A forged payload could claim anything, so there are limits to what is believed. They are beyond
# what the 4,094 disks that SM's MGT has room for can come to.
_MOST_BYTES = 48 << 20
_MOST_EDITS = 40000
_STEP = 1 << 20
_SCANNED = 2048  # LVM looks for labels in these bytes
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
    return _MAGIC + zlib.compress(b"".join(parts), 1)


def fits_payload(change: Change) -> bool:
    """Tell whether a change is small enough to be read again."""
    fields = sum(len(edit.old) + len(edit.new) + len(edit.what) + 64 for edit in change.edits)
    return fields < _MOST_BYTES - _STEP and len(change.edits) + 256 < _MOST_EDITS


def unpack_change(payload: bytes) -> Change:
    """Return the change in a payload. Raise FormatError (journal-damaged) when it is no payload."""
    try:
        return _unpack(payload)
    except (struct.error, zlib.error, ValueError) as error:
        raise FormatError("journal-damaged", 0, reason=str(error)) from error


def _unpack(payload: bytes) -> Change:
    if payload[: len(_MAGIC)] != _MAGIC:
        raise ValueError("no payload")
    reader = _Reader(payload[len(_MAGIC) :])
    old_sr, new_sr = reader.text(), reader.text()
    switch, members, seqno = _COUNTS.unpack(reader.take(_COUNTS.size))
    luns = [(reader.text(), reader.field()) for _member in range(members)]
    edits: List[Edit] = []
    while not reader.at_end:
        if len(edits) >= _MOST_EDITS:
            raise ValueError("too many edits")
        edits.append(reader.edit(members))
    if len(edits) < members or not switch < members:
        raise ValueError("too short")
    for number, label in enumerate(edits[:members]):
        if label.device != number or label.end > _SCANNED:
            raise ValueError("no label")
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
    """Takes a deflate stream apart without holding all of what it inflates to."""

    def __init__(self, stream: bytes) -> None:
        self._inflate = zlib.decompressobj()
        self._stream = stream
        self._ready = b""
        self._position = 0  # in what is ready
        self._left = _MOST_BYTES

    @property
    def at_end(self) -> bool:
        """Nothing follows. Raise ValueError for a stream without its end: a page is missing."""
        self._fill(1)
        more = self._position < len(self._ready)
        if not more and not self._inflate.eof:
            raise ValueError("cut short")
        return not more

    def take(self, size: int) -> bytes:
        self._fill(size)
        part = self._ready[self._position : self._position + size]
        if len(part) != size:
            raise ValueError("cut short")
        self._position += size
        return part

    def _fill(self, size: int) -> None:
        missing = size - (len(self._ready) - self._position)
        if missing <= 0:
            return
        if missing > self._left:
            raise ValueError("too long")
        parts = [self._ready[self._position :]]
        while missing > 0:
            part = self._inflate.decompress(self._stream, max(missing, _STEP))
            self._stream = self._inflate.unconsumed_tail
            if not part:
                break
            parts.append(part)
            self._left -= len(part)
            missing -= len(part)
        self._ready, self._position = b"".join(parts), 0

    def field(self) -> bytes:
        return self.take(_U32.unpack(self.take(_U32.size))[0])

    def text(self) -> str:
        return self.field().decode("latin-1")

    def edit(self, members: int) -> Edit:
        device, offset = _EDIT.unpack(self.take(_EDIT.size))
        what = self.field().decode("utf-8")
        edit = Edit(device, offset, self.field(), self.field(), what)
        if device >= members or len(edit.old) != len(edit.new):
            raise ValueError("no edit")
        return edit
