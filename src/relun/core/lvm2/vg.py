"""A volume group as its metadata text tells it: PVs, LVs, segments, and where an LV's bytes lie.

Source of the fields: lvm2 lib/format_text/export.c and import_vsn1.c. Sizes in the text are
sectors of 512 bytes or extents; here everything is bytes unless a name says extents.
"""

from relun.core.errors import FormatError
from relun.core.hints import Dict, Iterator, List, NamedTuple, Tuple
from relun.core.lvm2.text import MetadataText, Section, parse_text, unquote, unsigned

SECTOR = 512
UUID_LENGTH = 32  # characters without dashes
_MAX_EXTENTS = 1 << 32  # extent counts are 32 bit in LVM
_MAX_SEQNO = (1 << 32) - 1  # so is seqno


class PhysicalVolume(NamedTuple):
    """One pvN section."""

    name: str  # pv0, pv1, …
    uuid: str  # without dashes
    device_hint: str
    pe_start: int  # bytes
    pe_count: int
    missing: bool
    exported: bool
    section: Section


class Segment(NamedTuple):
    """A run of extents of an LV on one or several PVs (``stripes``: PV name, first extent)."""

    start_extent: int
    extent_count: int
    type: str
    stripe_size: int  # bytes; 0 with one stripe
    stripes: Tuple[Tuple[str, int], ...]


class LogicalVolume(NamedTuple):
    """One LV section."""

    name: str
    uuid: str  # without dashes
    tags: Tuple[str, ...]
    writable: bool
    size: int  # bytes
    segments: Tuple[Segment, ...]
    section: Section


class VolumeGroup(NamedTuple):
    """The VG of one metadata text."""

    name: str
    uuid: str  # without dashes
    seqno: int
    extent_size: int  # bytes
    pvs: Dict[str, PhysicalVolume]
    lvs: Dict[str, LogicalVolume]
    section: Section
    text: MetadataText

    def runs(self, lv: LogicalVolume, offset: int, length: int) -> Iterator[Tuple[str, int, int]]:
        """Yield (PV name, byte offset on the PV, length) for a byte range of an LV, in order.

        Raise FormatError (lv-range) when the range is not wholly mapped, or by a segment of a type
        that says nothing of where its bytes lie.
        """
        end = offset + length
        for segment in lv.segments:
            start = segment.start_extent * self.extent_size
            stop = start + segment.extent_count * self.extent_size
            while segment.stripes and start <= offset < min(stop, end):
                pv_name, first_extent, within, room = self._chunk(segment, offset - start)
                take = min(end, stop, offset + room) - offset
                base = self.pvs[pv_name].pe_start + first_extent * self.extent_size
                yield pv_name, base + within, take
                offset += take
        if offset < end:
            raise FormatError("lv-range", offset, lv=lv.name)

    def _chunk(self, segment: Segment, position: int) -> Tuple[str, int, int, int]:
        count = len(segment.stripes)
        if count == 1:
            pv_name, first = segment.stripes[0]
            return pv_name, first, position, segment.extent_count * self.extent_size
        row, column = divmod(position // segment.stripe_size, count)
        pv_name, first = segment.stripes[column]
        inside = position % segment.stripe_size
        return pv_name, first, row * segment.stripe_size + inside, segment.stripe_size - inside


def parse_vg(data: bytes) -> VolumeGroup:
    """Parse a metadata text (without its final NUL) into its VG. Raise FormatError (text-*)."""
    text = parse_text(data)
    if len(text.root.sections) != 1:
        raise FormatError("text-syntax", 0, token="one VG expected")
    section = next(iter(text.root.sections.values()))
    extent_size = section.number("extent_size") * SECTOR
    if extent_size <= 0:
        raise FormatError("text-value", 0, key="extent_size", value=extent_size)
    pvs = _children(section, "physical_volumes")
    lvs = _children(section, "logical_volumes")
    group = VolumeGroup(
        section.name,
        _uuid(section),
        _seqno(section),
        extent_size,
        {name: _physical_volume(pv) for name, pv in pvs.items()},
        {name: _logical_volume(lv, extent_size) for name, lv in lvs.items()},
        section,
        text,
    )
    for lv in group.lvs.values():
        _check_stripes(group, lv)
    _check_overlaps(group)
    return group


def plain_uuid(shown: str) -> str:
    """Return an LVM uuid without dashes."""
    return shown.replace("-", "")


def shown_uuid(plain: str) -> str:
    """Return an LVM uuid as it is displayed, grouped 6-4-4-4-4-4-6."""
    cuts = (0, 6, 10, 14, 18, 22, 26, 32)
    return "-".join(plain[a:b] for a, b in zip(cuts, cuts[1:]))


def _uuid(section: Section) -> str:
    """Return a section's id without dashes. Raise FormatError (text-value) if it is no LVM uuid."""
    plain = plain_uuid(section.text("id"))
    if len(plain) != UUID_LENGTH:
        raise FormatError("text-value", 0, key=section.name + "/id", value=section.text("id")[:80])
    return plain


def _seqno(section: Section) -> int:
    seqno = section.number("seqno", _MAX_SEQNO)
    if seqno >= _MAX_SEQNO:  # absent, or the next one could not be written
        raise FormatError("text-value", 0, key="seqno", value=section.text("seqno"))
    return seqno


def _children(section: Section, name: str) -> Dict[str, Section]:
    return section.sections[name].sections if name in section.sections else {}


def _physical_volume(section: Section) -> PhysicalVolume:
    status = section.texts("status")
    return PhysicalVolume(
        section.name,
        _uuid(section),
        section.text("device"),
        section.number("pe_start") * SECTOR,
        section.number("pe_count"),
        "MISSING" in status or "MISSING" in section.texts("flags"),
        "EXPORTED" in status,
        section,
    )


def _logical_volume(section: Section, extent_size: int) -> LogicalVolume:
    segments = tuple(
        sorted(
            _segment(part) for name, part in section.sections.items() if name.startswith("segment")
        )
    )
    extents = sum(segment.extent_count for segment in segments)
    return LogicalVolume(
        section.name,
        _uuid(section),
        section.texts("tags"),
        "WRITE" in section.texts("status"),
        extents * extent_size,
        segments,
        section,
    )


def _segment(section: Section) -> Segment:
    parts: List[Tuple[str, int]] = []
    if "stripes" in section.values:
        flat = section.values["stripes"].scalars
        if len(flat) % 2:
            raise FormatError("text-value", 0, key="stripes", value=len(flat))
        for name, extent in zip(flat[::2], flat[1::2]):
            parts.append((unquote(name).decode("latin-1"), unsigned("stripes", extent)))
    count = section.number("extent_count")
    if not 0 < count < _MAX_EXTENTS:
        raise FormatError("text-value", 0, key="extent_count", value=count)
    return Segment(
        section.number("start_extent"),
        count,
        section.text("type"),
        section.number("stripe_size") * SECTOR,
        tuple(parts),
    )


def _check_stripes(group: VolumeGroup, lv: LogicalVolume) -> None:
    expected = 0
    for segment in lv.segments:
        if segment.start_extent != expected:
            raise FormatError("text-value", 0, key=lv.name + "/start_extent", value=expected)
        expected += segment.extent_count
        several = len(segment.stripes) > 1
        size = segment.stripe_size
        if several and (
            size <= 0 or group.extent_size % size or segment.extent_count % len(segment.stripes)
        ):
            raise FormatError("text-value", 0, key=lv.name + "/stripe_size", value=size)
        for pv_name, first in segment.stripes:
            used = segment.extent_count // len(segment.stripes)
            if pv_name not in group.pvs or first + used > group.pvs[pv_name].pe_count:
                raise FormatError("text-value", 0, key=lv.name + "/stripes", value=pv_name)


def _check_overlaps(group: VolumeGroup) -> None:
    """Raise FormatError (text-value) when two volumes, or parts of one, share an extent."""
    used = sorted(
        (pv_name, first, first + segment.extent_count // len(segment.stripes), lv.name)
        for lv in group.lvs.values()
        for segment in lv.segments
        for pv_name, first in segment.stripes
    )
    for before, after in zip(used, used[1:]):
        if before[0] == after[0] and before[2] > after[1]:
            raise FormatError("text-value", 0, key=after[3] + "/stripes", value=after[1])
