"""What ``repository`` will read of volumes, asked for together.

Nothing depends on it but time: one volume's end is often the next one's start, and devices that are
far away take many requests at once. VHDs take two rounds: only their headers tell where their
locators lie. A batch of volumes at a time, so that the memory it takes does not grow with the SR.
"""

from relun.core.errors import FormatError
from relun.core.hints import Iterator, Sequence, Tuple
from relun.core.lvm2.vg import LogicalVolume, VolumeGroup
from relun.core.names import parse_volume_name
from relun.core.vhd import FOOTER_SIZE, parse_header
from relun.core.volume import MGT_STEP, QCOW2_HEAD, SECTOR, VHD_HEAD, VolumeReader, locator_ranges

_BATCH = 256  # volumes: 16 MiB of QCOW2 heads
_LOCATORS = 16 * 1024  # bytes of one VHD: libvhd's take three sectors

Wanted = Iterator[Tuple[LogicalVolume, int, int]]  # LV, offset, length


def with_content_at_hand(reader: VolumeReader, group: VolumeGroup) -> Iterator[LogicalVolume]:
    """Yield a group's volumes, each when what it will be asked for was brought.

    Raise DeviceError.
    """
    lvs = list(group.lvs.values())
    for start in range(0, len(lvs), _BATCH):
        batch = lvs[start : start + _BATCH]
        reader.forget()
        reader.read_ahead(_starts(batch))
        reader.read_ahead(_locators(reader, batch))
        yield from batch
    reader.forget()


def _starts(lvs: Sequence[LogicalVolume]) -> Wanted:
    for lv in lvs:
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


def _locators(reader: VolumeReader, lvs: Sequence[LogicalVolume]) -> Wanted:
    for lv in lvs:
        if parse_volume_name(lv.name).kind == "vhd":
            try:
                header = parse_header(reader.read(lv, 0, VHD_HEAD)[FOOTER_SIZE:])
                ranges = locator_ranges(header.locators())
            except FormatError:  # no header there, or none to trust
                continue
            if sum(length for _offset, length in ranges) <= _LOCATORS:
                for offset, length in ranges:
                    yield lv, offset, length
