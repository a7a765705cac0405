"""Seal: no old id stays in relun's journal or in LVM's old texts. There is no undo after it."""

from relun.core.device import Device
from relun.core.errors import DeviceError
from relun.core.hints import Iterable, List, Tuple
from relun.core.journal.marker import POINTER_AT, SECTOR
from relun.core.journal.pages import PAGE, PAGE_MAGIC, parse_pages
from relun.core.physical import Area
from relun.core.repository import Repository

_CHUNK = 1 << 20  # bytes


def scrub(repository: Repository) -> None:
    """Zero ring space without a current text, relun's pages and, last, the pointers.

    The journal of the last resign goes before all else: an undo after a scrub that broke off could
    no longer give back every byte. Of each page the magic goes last, so that what is left of it is
    found again. As long as a pointer stands, a scrub that broke off is known to be unfinished.
    """
    numbers = range(len(repository.luns))
    for wanted in (_undo_pages, _found_pages):
        places = [(repository.devices[n], at) for n in numbers for at in wanted(repository, n)]
        for skip, size in ((SECTOR, PAGE - SECTOR), (0, SECTOR)):
            for device, at in places:
                device.write(at + skip, bytes(size))
            _flush(device for device, _at in places)
    for lun in repository.luns:
        for area in lun.areas:
            for start, end in stale_parts(area):
                _zero(lun.device, start, end)
    _flush(repository.devices)
    for lun in repository.luns:
        if lun.pointer:
            lun.device.write(POINTER_AT, bytes(SECTOR))
            lun.device.flush()


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


def _undo_pages(repository: Repository, number: int) -> List[int]:
    """Return where the pages lie of the journal that a LUN's pointer tells of."""
    lun = repository.luns[number]
    if lun.pointer is None:
        return []
    region = lun.pointer.region
    try:
        whole = lun.device.read(region.offset, region.size)
    except DeviceError:  # a pointer to nowhere
        return []
    return [region.offset + page.number * PAGE for page in parse_pages(whole, region.tag)]


def _found_pages(repository: Repository, number: int) -> List[int]:
    """Return where relun's pages lie behind the extents, where other bytes may lie too."""
    device = repository.devices[number]
    found = []
    for start, end in repository.behind_extents(number):
        for at in range(start, end - PAGE + 1, _CHUNK):
            data = device.read(at, min(_CHUNK + PAGE, end - at))
            position = data.find(PAGE_MAGIC)
            while 0 <= position < _CHUNK:
                if (at + position) % SECTOR == 0 and position + PAGE <= len(data):
                    found.append(at + position)
                position = data.find(PAGE_MAGIC, position + 1)
    return found


def _flush(devices: Iterable[Device]) -> None:
    for device in {id(device): device for device in devices}.values():
        device.flush()


def _zero(device: Device, start: int, end: int) -> None:
    while start < end:
        size = min(_CHUNK, end - start)
        if any(device.read(start, size)):
            device.write(start, bytes(size))
        start += size
