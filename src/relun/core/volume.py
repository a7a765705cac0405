"""The volumes of an SR: each LV with what its name says and what relun must know of its content.

``VolumeReader`` maps bytes of an LV to bytes of the LUNs; each ``read_…`` function parses one kind
of content. Nothing here judges: a FormatError becomes a finding in ``repository``.
"""

from relun.core.device import Device
from relun.core.errors import DeviceError, FormatError
from relun.core.hints import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple
from relun.core.lvm2.vg import LogicalVolume, VolumeGroup
from relun.core.names import Reference, VolumeName, find_reference
from relun.core.vhd import (
    FOOTER_SIZE,
    HEADER_SIZE,
    TYPE_FIXED,
    Footer,
    Header,
    Locator,
    parse_header,
)

SECTOR = 512
VHD_HEAD = FOOTER_SIZE + HEADER_SIZE
QCOW2_HEAD = 64 * 1024
MGT_STEP = 16 * 1024
_MGT_LARGEST = 8 << 20  # bytes in use; SM makes MGT of 4 MiB
_RECORD = 1024


class Place(NamedTuple):
    """A run of bytes on one of the LUNs."""

    device: int
    offset: int
    length: int


class VhdImage(NamedTuple):
    """A VHD's metadata. ``copy`` and ``primary`` are the footers as they stand at start and end."""

    copy: Footer
    primary: Footer
    header: Header
    header_offset: int
    locators: Tuple[Tuple[Locator, bytes], ...]  # with all bytes of the locator's space on disk

    @property
    def footer(self) -> Footer:
        """The footer to go by: the copy at the start unless only the primary is good."""
        return self.copy if self.copy.valid else self.primary

    @property
    def parent(self) -> Optional[Reference]:
        """The parent by the header's name, as SM's scan reads it."""
        return find_reference(self.header.parent_name) if self.header.parent_name else None


class Qcow2Image(NamedTuple):
    """A QCOW2's header fields and its backing path."""

    header: Any  # Qcow2Header
    backing: str
    head: bytes  # as much of the start as holds header and backing path

    @property
    def parent(self) -> Optional[Reference]:
        """The volume that the backing path names."""
        return find_reference(self.backing) if self.backing else None


class Volume(NamedTuple):
    """An LV. ``content``: VhdImage, Qcow2Image, CbtLog, ResizeJournal, Mgt, bytes or None."""

    lv: LogicalVolume
    name: VolumeName
    content: Any
    damaged: bool = False  # the content could not be read

    @property
    def parent(self) -> Optional[Reference]:
        """The volume this image is based on."""
        if isinstance(self.content, (VhdImage, Qcow2Image)):
            return self.content.parent
        return None

    @property
    def virtual_size(self) -> int:
        """Bytes the guest sees; 0 for what is no image."""
        if isinstance(self.content, VhdImage):
            return self.content.footer.virtual_size
        if isinstance(self.content, Qcow2Image):
            return int(self.content.header.virtual_size)
        return self.lv.size if self.name.kind == "raw" else 0

    @property
    def hidden(self) -> bool:
        """A base copy, which SM does not offer as a disk."""
        if isinstance(self.content, VhdImage):
            return self.content.footer.hidden
        if isinstance(self.content, Qcow2Image):
            return bool(self.content.header.hidden)
        return "hidden" in self.lv.tags


class VolumeReader:
    """Reads LVs through the VG's extent map."""

    def __init__(
        self, group: VolumeGroup, devices: Sequence[Device], members: Dict[str, int]
    ) -> None:
        self.group = group
        self._devices = devices
        self._members = members  # PV name -> number of its LUN
        self._ahead: Dict[Tuple[str, int, int], bytes] = {}  # by LV name, offset, length

    def places(self, lv: LogicalVolume, offset: int, length: int) -> List[Place]:
        """Return where ``length`` bytes at ``offset`` of an LV lie, in order."""
        found = []
        for pv_name, start, size in self.group.runs(lv, offset, length):
            if pv_name not in self._members:
                raise FormatError("pv-missing", offset, lv=lv.name, pv=pv_name)
            found.append(Place(self._members[pv_name], start, size))
        return found

    def read(self, lv: LogicalVolume, offset: int, length: int) -> bytes:
        """Return bytes of an LV. Raise FormatError when they lie outside it or its PV."""
        if self._ahead and (lv.name, offset, length) in self._ahead:
            return self._ahead[lv.name, offset, length]
        return b"".join(
            self._devices[place.device].read(place.offset, place.length)
            for place in self._checked_places(lv, offset, length)
        )

    def read_ahead(self, wanted: Iterable[Tuple[LogicalVolume, int, int]]) -> None:
        """Read many ranges (LV, offset, length) together, so that ``read`` has them at hand.

        What lies outside its LV or PV is left to ``read``; so is all of it on a device at hand that
        cannot read some of it, which may be what nobody will ask for. Raise DeviceError.
        """
        places: List[Tuple[Tuple[str, int, int], List[Place]]] = []
        for lv, offset, length in wanted:
            try:
                found = self._checked_places(lv, offset, length)
            except FormatError:
                continue
            places.append(((lv.name, offset, length), found))
        parts: Dict[Place, bytes] = {}
        for number, device in enumerate(self._devices):
            mine = list({p: None for _, found in places for p in found if p.device == number})
            try:
                read = device.read_many([(p.offset, p.length) for p in mine])
            except DeviceError:
                if device.pipelined:
                    raise
                continue
            parts.update(zip(mine, read))
        for key, found in places:
            if all(place in parts for place in found):
                self._ahead[key] = b"".join(parts[place] for place in found)

    def forget(self) -> None:
        """Let go of what was read ahead."""
        self._ahead = {}

    def _checked_places(self, lv: LogicalVolume, offset: int, length: int) -> List[Place]:
        if offset + length > lv.size:
            raise FormatError("lv-range", offset, lv=lv.name)
        places = self.places(lv, offset, length)
        for device, start, size in places:
            there = self._devices[device].size
            if start + size > there:
                raise FormatError("pv-truncated", start, lv=lv.name, end=start + size, size=there)
        return places


def read_vhd(reader: VolumeReader, lv: LogicalVolume) -> VhdImage:
    """Read a VHD's metadata. Raise FormatError (vhd-*) when it cannot be trusted."""
    if lv.size < VHD_HEAD + FOOTER_SIZE:
        raise FormatError("vhd-footers", 0, lv=lv.name)
    head = reader.read(lv, 0, VHD_HEAD)
    copy = Footer(head[:FOOTER_SIZE])
    primary = Footer(reader.read(lv, lv.size - FOOTER_SIZE, FOOTER_SIZE))
    footer = copy if copy.valid else primary
    if not footer.valid:
        raise FormatError("vhd-footers", 0, lv=lv.name)
    if footer.poisoned:
        raise FormatError("vhd-poisoned", 0, lv=lv.name)
    if footer.type == TYPE_FIXED:
        raise FormatError("vhd-type", 60, lv=lv.name, type=footer.type)
    at = footer.header_offset
    raw = head[at : at + HEADER_SIZE] if at == FOOTER_SIZE else reader.read(lv, at, HEADER_SIZE)
    header = parse_header(raw)
    locators = tuple(_read_locators(reader, lv, header))
    _expect_apart(lv, at, locators)
    return VhdImage(copy, primary, header, at, locators)


def _expect_apart(
    lv: LogicalVolume, header_at: int, locators: Sequence[Tuple[Locator, bytes]]
) -> None:
    """Raise FormatError (vhd-header, vhd-locator) for structures that lie on each other."""
    taken = [(0, FOOTER_SIZE), (lv.size - FOOTER_SIZE, lv.size)]
    parts: List[Tuple[str, Dict[str, Any], int, int]] = [("vhd-header", {}, header_at, HEADER_SIZE)]
    for locator, data in locators:
        fields = {"slot": locator.slot, "kind": locator.code.decode("latin-1")}
        parts.append(("vhd-locator", fields, locator.offset, len(data)))
    for code, fields, start, size in parts:
        if any(start < end and begin < start + size for begin, end in taken):
            raise FormatError(code, start, **fields)
        taken.append((start, start + size))


def _read_locators(
    reader: VolumeReader, lv: LogicalVolume, header: Header
) -> List[Tuple[Locator, bytes]]:
    locators = header.locators()
    blocks = [(start, reader.read(lv, start, length)) for start, length in locator_ranges(locators)]
    if len(blocks) == 1:  # one for them all
        blocks *= len(locators)
    return [
        (locator, block[locator.offset - start :][: _space(locator)])
        for locator, (start, block) in zip(locators, blocks)
    ]


def locator_ranges(locators: Sequence[Locator]) -> List[Tuple[int, int]]:
    """Return (offset, length) of the reads that bring the data of a VHD's parent locators."""
    if not locators:
        return []
    start = min(locator.offset for locator in locators)
    end = max(locator.offset + _space(locator) for locator in locators)
    if end - start <= 16 * SECTOR:  # side by side, as libvhd lays them out: one read
        return [(start, end - start)]
    return [(locator.offset, _space(locator)) for locator in locators]


def _space(locator: Locator) -> int:
    return -(-locator.length // SECTOR) * SECTOR


def read_qcow2(reader: VolumeReader, lv: LogicalVolume) -> Qcow2Image:
    """Read a QCOW2's metadata. Raise FormatError (qcow2-*)."""
    from relun.core.qcow2 import parse_qcow2

    head = reader.read(lv, 0, min(lv.size, QCOW2_HEAD))
    header = parse_qcow2(head)
    if header.external_data:
        raise FormatError("qcow2-external-data", 72, lv=lv.name)
    head = head[: header.cluster_size]  # behind it lies data
    end = header.backing_offset + header.backing_size
    if end > len(head):
        head = reader.read(lv, 0, -(-end // SECTOR) * SECTOR)
    backing = head[header.backing_offset : end].decode("latin-1")
    # A thousand images at once must not hold 64 KiB each.
    return Qcow2Image(header, backing, head[: max(1, -(-end // SECTOR)) * SECTOR])


def read_mgt(reader: VolumeReader, lv: LogicalVolume) -> Any:
    """Read MGT: what is in use and the stale records behind it. Raise FormatError (mgt-*)."""
    from relun.core.mgt import FIRST_RECORD, parse_length, parse_mgt

    data = reader.read(lv, 0, min(lv.size, MGT_STEP))
    used = parse_length(data[:SECTOR])
    while len(data) < lv.size and (
        len(data) < used or b"<" in data[max(FIRST_RECORD, len(data) - _RECORD) :]
    ):  # records stand without gaps, so one empty slot behind the used part ends them
        if max(used, len(data)) > _MGT_LARGEST:
            raise FormatError("mgt-short", 0, length=max(used, len(data)), size=_MGT_LARGEST)
        data += reader.read(lv, len(data), min(len(data), lv.size - len(data)))
    return parse_mgt(data)
