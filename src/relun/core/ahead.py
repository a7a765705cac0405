"""What ``repository`` will read of volumes, asked for together.

Nothing depends on it but time: one volume's end is often the next one's start, and devices that are
far away take many requests at once. VHDs take two rounds: only their headers tell where their
locators lie.
"""

from relun.core.errors import FormatError
from relun.core.hints import Iterator, Tuple
from relun.core.lvm2.vg import LogicalVolume, VolumeGroup
from relun.core.names import parse_volume_name
from relun.core.vhd import FOOTER_SIZE, parse_header
from relun.core.volume import MGT_STEP, QCOW2_HEAD, SECTOR, VHD_HEAD, VolumeReader, locator_ranges

Wanted = Iterator[Tuple[LogicalVolume, int, int]]  # LV, offset, length


def read_ahead(reader: VolumeReader, group: VolumeGroup) -> None:
    """Bring what the volumes of a group will be asked for. Raise DeviceError."""
    reader.read_ahead(_starts(group))
    reader.read_ahead(_locators(reader, group))


def _starts(group: VolumeGroup) -> Wanted:
    for lv in group.lvs.values():
        kind = parse_volume_name(lv.name).kind
        if kind == "vhd":
            yield lv, 0, VHD_HEAD
            yield lv, lv.size - FOOTER_SIZE, FOOTER_SIZE
        elif kind == "mgt":
            yield lv, 0, min(lv.size, MGT_STEP)
        elif kind == "qcow2":
            yield lv, 0, min(lv.size, QCOW2_HEAD)
        elif kind in ("cbtlog", "jvhd", "journal"):
            yield lv, 0, SECTOR


def _locators(reader: VolumeReader, group: VolumeGroup) -> Wanted:
    for lv in group.lvs.values():
        if parse_volume_name(lv.name).kind == "vhd":
            try:
                header = parse_header(reader.read(lv, 0, VHD_HEAD)[FOOTER_SIZE:])
                ranges = locator_ranges(header.locators())
            except FormatError:  # no header there, or none to trust
                continue
            for offset, length in ranges:
                yield lv, offset, length
