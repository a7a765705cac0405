"""MGT, the SR's own metadata volume: fixed sectors of XML text.

Source: SM's srmetadata.py (LVMMetadataHandler). Sector 0 is the header, 1 the SR's uuid and
allocation, 2 and 3 its name and description, 4 + 2k and 5 + 2k the record of VDI k. Text is UTF-8,
padded with spaces. Names are never generated anew: SM cuts them after escaping, so a record may
hold half an entity; only uuids are replaced, in place.
"""

import re

from relun.core.errors import FormatError
from relun.core.hints import Dict, List, NamedTuple, Optional, Tuple
from relun.core.names import is_uuid

SECTOR = 512
RECORD = 2 * SECTOR
FIRST_RECORD = 4 * SECTOR
_HEADER = re.compile(rb"XSSM:(\d{1,10}) *:(\d+):(\d+)[ \0]*\Z")
_LEGACY = b"XSSM"
_ELEMENT = re.compile(rb"<([a-z_]+)>([^<]*)</\1>")
_ESCAPES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))
# What XML 1.0 forbids in character data, beside a bare "&" or "<".
_CONTROLS = bytes(set(range(32)) - {9, 10, 13})
_FORBIDDEN = ("\ufffe", "\uffff", "]]>")


class Record(NamedTuple):
    """One VDI record (1024 bytes) at byte ``offset`` of MGT."""

    offset: int
    raw: bytes
    live: bool  # below the header's length: SM reads it

    @property
    def elements(self) -> Dict[str, str]:
        """The elements of the second sector as they stand, still escaped."""
        return _elements(self.raw[SECTOR:])

    @property
    def uuid(self) -> str:
        """The VDI's uuid, empty when the record has none."""
        return self.elements.get("uuid", "")

    @property
    def name(self) -> str:
        """The VDI's name, unescaped."""
        return _unescape(_elements(self.raw[:SECTOR]).get("name_label", ""))

    @property
    def deleted(self) -> bool:
        """The slot may be used again; its uuids are still readable."""
        return self.elements.get("deleted") == "1"

    @property
    def parsable(self) -> bool:
        """SM's XML parser would take the record."""
        return _well_formed(self.raw.replace(b"\0", b""))

    def replaced(self, **elements: str) -> "Record":
        """Return the record with elements of the second sector set, spaces taking up the slack.

        Elements the record does not have stay away; a longer value is refused by ValueError.
        """
        second = self.raw[SECTOR:]
        for name, value in elements.items():
            second = _set_element(second, name, value)
        return self._replace(raw=self.raw[:SECTOR] + second)

    def renamed(self, name: str) -> Optional["Record"]:
        """Return the record with another VDI name, None when it does not fit."""
        first = _set_name(self.raw[:SECTOR], name)
        return None if first is None else self._replace(raw=first + self.raw[SECTOR:])


class Mgt(NamedTuple):
    """The volume: its length in use and its first four sectors and records."""

    length: int  # bytes in use, header included
    head: bytes  # sectors 0 to 3
    records: Tuple[Record, ...]  # live ones, then stale ones beyond the length

    @property
    def sr_uuid(self) -> str:
        """The SR's uuid as MGT tells it."""
        return _elements(self.head[SECTOR : 2 * SECTOR]).get("uuid", "")

    @property
    def sr_name(self) -> str:
        """The SR's name, unescaped."""
        return _unescape(_elements(self.head[2 * SECTOR : 3 * SECTOR]).get("name_label", ""))

    @property
    def allocation(self) -> str:
        """thick or thin."""
        return _elements(self.head[SECTOR : 2 * SECTOR]).get("allocation", "")

    def with_sr_uuid(self, uuid: str) -> bytes:
        """Return sectors 0 to 3 with another SR uuid."""
        changed = _set_element(self.head[SECTOR : 2 * SECTOR], "uuid", uuid)
        return self.head[:SECTOR] + changed + self.head[2 * SECTOR :]

    def sr_name_sector(self, name: str) -> Optional[bytes]:
        """Return sector 2 with another SR name, None when it does not fit."""
        return _set_name(self.head[2 * SECTOR : 3 * SECTOR], name)


def parse_length(header: bytes) -> int:
    """Return the bytes in use as sector 0 tells. Raise FormatError (mgt-header, mgt-legacy)."""
    match = _HEADER.match(header)
    if not match:
        code = "mgt-legacy" if header[:4] == _LEGACY and header[4:5] != b":" else "mgt-header"
        raise FormatError(code, 0)
    length = int(match.group(1))
    if match.group(2) != b"1" or length % SECTOR:
        raise FormatError("mgt-header", 0)
    return length


def parse_mgt(data: bytes) -> Mgt:
    """Parse MGT from its first ``data`` bytes: all that is in use and what stale records follow.

    Raise FormatError (mgt-header, mgt-legacy, mgt-short, mgt-record).
    """
    length = parse_length(data[:SECTOR])
    if length > len(data):
        raise FormatError("mgt-short", 0, length=length, size=len(data))
    records = []
    for offset in range(FIRST_RECORD, len(data) - RECORD + 1, RECORD):
        raw = data[offset : offset + RECORD]
        live = offset + RECORD <= length
        if live or b"<uuid>" in raw:
            _expect_plain(raw, offset)
            records.append(Record(offset, raw, live))
    return Mgt(length, data[:FIRST_RECORD], tuple(records))


def _expect_plain(raw: bytes, offset: int) -> None:
    """Raise FormatError (mgt-record) for a NUL inside a text: SM reads over it, so an id may hide.

    Nothing writes such records; at the end of a sector NULs are padding.
    """
    for sector in (raw[:SECTOR], raw[SECTOR:]):
        if b"\0" in sector.rstrip(b"\0 "):
            raise FormatError("mgt-record", offset)


def references_vdi(value: str) -> bool:
    """Tell whether snapshot_of names a VDI (it may be empty or an OpaqueRef)."""
    return is_uuid(value)


def _elements(sector: bytes) -> Dict[str, str]:
    return {
        name.decode("ascii"): value.decode("utf-8", "replace")
        for name, value in _ELEMENT.findall(sector)
    }


def _set_element(sector: bytes, name: str, value: str) -> bytes:
    """Set an element; should it stand there several times, each of them, so that no id stays."""
    tag = name.encode("ascii")
    opening, closing = b"<" + tag + b">", b"</" + tag + b">"
    parts: List[bytes] = []
    rest = sector
    while True:
        before, found, inside = rest.partition(opening)
        _old, closed, after = inside.partition(closing)
        if not found or not closed:
            break
        parts += [before, opening, value.encode("utf-8"), closing]
        rest = after
    return _repadded(sector, b"".join(parts) + rest)


def _set_name(sector: bytes, name: str) -> Optional[bytes]:
    escaped = name
    for plain, entity in _ESCAPES:
        escaped = escaped.replace(plain, entity)
    if "name_label" not in _elements(sector) or not _is_character_data(escaped):
        return None
    try:
        return _set_element(sector, "name_label", escaped)
    except ValueError:
        return None


def _repadded(old: bytes, new: bytes) -> bytes:
    text = new.rstrip(b" ") if len(new) > len(old) else new
    if len(text) > len(old):
        raise ValueError("does not fit into its sector")
    return text + b" " * (len(old) - len(text))


def _unescape(text: str) -> str:
    for plain, entity in reversed(_ESCAPES):
        text = text.replace(entity, plain)
    return text


def _well_formed(raw: bytes) -> bool:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    if not _is_character_data(text):
        return False
    inner = _ELEMENT.sub(b"", raw)
    return b"".join(inner.split()) == b"<vdi></vdi>"


def _is_character_data(text: str) -> bool:
    entities = sum(text.count(entity) for _plain, entity in _ESCAPES)
    if text.count("&") != entities or any(part in text for part in _FORBIDDEN):
        return False
    raw = text.encode("utf-8", "surrogatepass")
    return len(raw.translate(None, _CONTROLS)) == len(raw)
