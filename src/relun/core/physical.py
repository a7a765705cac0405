"""The PVs of a set of LUNs: label or marker, metadata areas with their texts, relun's journal."""

from relun.core.device import Device
from relun.core.digest import sha1
from relun.core.edit import Change
from relun.core.errors import DeviceError, FormatError
from relun.core.finding import NOTE, REFUSE, WARN, Finding
from relun.core.hints import List, NamedTuple, Optional, Tuple
from relun.core.journal import pages
from relun.core.journal.marker import (
    GAP_END,
    POINTER_AT,
    SECTOR,
    Marker,
    Pointer,
    Region,
    parse_marker,
    parse_pointer,
)
from relun.core.journal.payload import unpack_change
from relun.core.lvm2.label import SCAN_SECTORS, Label, find_labels
from relun.core.lvm2.mda import HEADER_SIZE, MdaHeader, check_text, parse_mda_header

HEAD_SIZE = GAP_END + HEADER_SIZE  # one read: labels, gap, the usual place of the first area
_LARGEST_TEXT = 32 << 20  # bytes; LVM's own ceiling for a metadata area is far below


class Area(NamedTuple):
    """A metadata area and the text in it (with its final NUL; empty when the area holds none)."""

    header: MdaHeader
    text: bytes


class PhysicalLun(NamedTuple):
    """What one LUN shows before anything in its VG is looked at."""

    device: Device
    head: bytes  # the first HEAD_SIZE bytes
    label: Optional[Label]
    marker: Optional[Marker]
    marker_offset: int
    pointer: Optional[Pointer]
    areas: Tuple[Area, ...]

    @property
    def text(self) -> bytes:
        """The text of the first area that LVM would read, empty when there is none."""
        for area in self.areas:
            if area.text and not area.header.ignored:
                return area.text
        return b""

    @property
    def pointer_sector(self) -> bytes:
        """The sector that relun's pointer lies in, or will."""
        return self.head[POINTER_AT : POINTER_AT + SECTOR]


def read_lun(device: Device, findings: List[Finding]) -> PhysicalLun:
    """Read the physical structures of one LUN; what is wrong with them goes to ``findings``.

    Raise DeviceError when the LUN cannot be read.
    """
    head = device.read(0, min(HEAD_SIZE, device.size)).ljust(HEAD_SIZE, b"\0")
    pointer = parse_pointer(head[POINTER_AT : POINTER_AT + SECTOR])
    for sector in range(SCAN_SECTORS):
        marker = parse_marker(head[sector * SECTOR : (sector + 1) * SECTOR])
        if marker:
            return PhysicalLun(device, head, None, marker, sector * SECTOR, pointer, ())
    label = _read_label(device, head, findings)
    areas: Tuple[Area, ...] = ()
    if label:
        areas = tuple(_read_areas(device, head, label, findings))
    return PhysicalLun(device, head, label, None, -1, pointer, areas)


def read_journal(device: Device, region: Region, digest: bytes = b"") -> Change:
    """Return the change in the journal at ``region``.

    Raise FormatError (journal-damaged) when it is not whole, or not the one of ``digest`` (SHA-1).
    """
    return unpack_change(read_payload(device, region, digest))


def read_payload(device: Device, region: Region, digest: bytes = b"") -> bytes:
    """Return the bytes that carry the change. Raise FormatError as ``read_journal`` does."""
    try:
        payload = pages.read_payload(device.read(region.offset, region.size), region.tag)
    except DeviceError as error:
        raise FormatError("journal-damaged", region.offset, reason=str(error)) from error
    found = sha1(payload).digest()
    if found[: len(region.tag)] != region.tag or digest not in (b"", found):
        raise FormatError("journal-damaged", region.offset, reason="checksum")
    return payload


def _read_label(device: Device, head: bytes, findings: List[Finding]) -> Optional[Label]:
    try:
        labels = find_labels(head)
    except FormatError as error:
        findings.append(_finding(error, device))
        return None
    if len(labels) > 1:
        findings.append(
            Finding("label-several", REFUSE, device.path, labels[1].offset, {"count": len(labels)})
        )
    return labels[0] if labels else None


def _read_areas(device: Device, head: bytes, label: Label, findings: List[Finding]) -> List[Area]:
    areas = []
    ends = [(0, SCAN_SECTORS * SECTOR)]
    for start, size in label.metadata_areas:
        try:
            if start % SECTOR or any(start < end and at < start + size for at, end in ends):
                raise FormatError("mda-bounds", start, size=size, device_size=device.size)
            ends.append((start, start + size))
            areas.append(_read_area(device, head, start, size))
        except FormatError as error:
            findings.append(_finding(error, device))
            continue
        if areas[-1].header.precommitted.size:
            findings.append(Finding("mda-precommitted", WARN, device.path, start))
        if areas[-1].header.ignored:
            findings.append(Finding("mda-ignored", NOTE, device.path, start))
    return areas


def _read_area(device: Device, head: bytes, start: int, size: int) -> Area:
    if start + size > device.size or size <= HEADER_SIZE:
        raise FormatError("mda-bounds", start, size=size, device_size=device.size)
    if start + HEADER_SIZE <= len(head):
        raw = head[start : start + HEADER_SIZE]
    else:
        raw = device.read(start, HEADER_SIZE)
    header = parse_mda_header(raw, start, size)
    if header.empty:
        return Area(header, b"")
    where = header.committed
    if where.size > _LARGEST_TEXT:
        raise FormatError("mda-text-bounds", start, text_offset=where.offset, text_size=where.size)
    parts = [
        device.read(start + at, length) for at, length in header.pieces(where.offset, where.size)
    ]
    text = b"".join(parts)
    if header.ignored:
        return Area(header, text)
    return Area(header, check_text(header, text))


def _finding(error: FormatError, device: Device) -> Finding:
    return Finding(error.code, REFUSE, device.path, error.offset, dict(error.fields))
