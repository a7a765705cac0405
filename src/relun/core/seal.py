"""Seal: no old id stays in relun's journal or in LVM's old texts. There is no undo after it."""

from relun.core.device import Device
from relun.core.hints import List, Tuple
from relun.core.journal.marker import GAP_END, POINTER_AT, SECTOR, STASH_AT
from relun.core.physical import Area, PhysicalLun

_CHUNK = 1 << 20  # bytes


def scrub(lun: PhysicalLun) -> None:
    """Zero all ring space that holds no current text, then stash and pointer.

    The pointer goes last: as long as it stands, a scrub that broke off is known to be unfinished.
    """
    device = lun.device
    for area in lun.areas:
        for start, end in stale_parts(area):
            _zero(device, start, end)
    if lun.pointer or any(lun.stash):
        _zero(device, STASH_AT, GAP_END)
    device.flush()
    if lun.pointer:
        device.write(POINTER_AT, bytes(SECTOR))
        device.flush()


def stale_parts(area: Area) -> List[Tuple[int, int]]:
    """Return (start, end) on the LUN of ring parts outside the committed text."""
    start, size = area.header.start, area.header.size
    where = area.header.committed
    used = sorted(
        (start + at, start + at + length)
        for at, length in area.header.pieces(where.offset, where.size if area.text else 0)
    )
    free = []
    position = start + SECTOR
    for begin, end in [*used, (start + size, start + size)]:
        if begin > position:
            free.append((position, begin))
        position = max(position, end)
    return free


def _zero(device: Device, start: int, end: int) -> None:
    while start < end:
        size = min(_CHUNK, end - start)
        if any(device.read(start, size)):
            device.write(start, bytes(size))
        start += size
