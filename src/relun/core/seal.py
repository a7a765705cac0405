"""Seal: no old id stays in relun's journal or in LVM's old texts. There is no undo after it."""

from relun.core.device import Device
from relun.core.hints import List, Tuple
from relun.core.journal.marker import POINTER_AT, SECTOR
from relun.core.journal.pages import PAGE, PAGE_MAGIC
from relun.core.physical import Area
from relun.core.repository import Repository

_CHUNK = 1 << 20  # bytes


def scrub(repository: Repository, number: int) -> None:
    """Zero, on LUN ``number``, ring space without a current text, relun's pages and the pointer.

    The pointer goes last: as long as it stands, a scrub that broke off is known to be unfinished.
    """
    lun = repository.luns[number]
    device = lun.device
    for start, end in repository.behind_extents(number):
        _zero_pages(device, start, end)
    for area in lun.areas:
        for start, end in stale_parts(area):
            _zero(device, start, end)
    device.flush()
    if lun.pointer:
        device.write(POINTER_AT, bytes(SECTOR))
        device.flush()


def stale_parts(area: Area) -> List[Tuple[int, int]]:
    """Return (start, end) on the LUN of ring parts that the area's header does not point to."""
    start, size = area.header.start, area.header.size
    used = sorted((start + at, start + end) for at, end in area.header.used())
    free = []
    position = start + SECTOR
    for begin, end in [*used, (start + size, start + size)]:
        if begin > position:
            free.append((position, begin))
        position = max(position, end)
    return free


def _zero_pages(device: Device, start: int, end: int) -> None:
    """Zero relun's pages in a range where somebody else's bytes may lie too."""
    for at in range(start, end - PAGE + 1, _CHUNK):
        data = device.read(at, min(_CHUNK + PAGE, end - at))
        position = data.find(PAGE_MAGIC)
        while 0 <= position < _CHUNK:
            if (at + position) % SECTOR == 0 and position + PAGE <= len(data):
                device.write(at + position, bytes(PAGE))
            position = data.find(PAGE_MAGIC, position + 1)


def _zero(device: Device, start: int, end: int) -> None:
    while start < end:
        size = min(_CHUNK, end - start)
        if any(device.read(start, size)):
            device.write(start, bytes(size))
        start += size
