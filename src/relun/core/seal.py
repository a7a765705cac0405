"""Seal: no old id stays in relun's journal or in LVM's old texts. There is no undo after it."""

from relun.core.device import Device
from relun.core.errors import DeviceError
from relun.core.hints import List, Tuple
from relun.core.journal.marker import POINTER_AT, SECTOR
from relun.core.journal.pages import PAGE, PAGE_MAGIC, parse_pages
from relun.core.physical import Area
from relun.core.repository import Repository

Place = Tuple[Device, int, int]  # LUN, offset, bytes

_CHUNK = 1 << 20  # bytes
_EDGE = 64  # chunks


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
            _zero([(device, at + skip, size) for device, at in places])
    _zero(
        [
            place
            for lun in repository.luns
            for area in lun.areas
            for start, end in stale_parts(area)
            for place in _filled(lun.device, start, end)
        ]
    )
    _zero([(lun.device, POINTER_AT, SECTOR) for lun in repository.luns if lun.pointer])


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
        for at in _chunks(start, end - PAGE + 1):
            data = device.read(at, min(_CHUNK + PAGE, end - at))
            position = data.find(PAGE_MAGIC)
            while 0 <= position < _CHUNK:
                if (at + position) % SECTOR == 0 and position + PAGE <= len(data):
                    found.append(at + position)
                position = data.find(PAGE_MAGIC, position + 1)
    return found


def _chunks(start: int, end: int) -> List[int]:
    """Return where chunks of a range begin; of one that is vast, only those near its two ends.

    So vast it is when a LUN was grown and its PV was not. Journals lie at the end of what was
    behind the extents then, which is less than an extent as long as nobody grows the LUN.
    """
    places = range(start, end, _CHUNK)
    if len(places) <= 2 * _EDGE:
        return list(places)
    return [*places[:_EDGE], *places[-_EDGE:]]


def _filled(device: Device, start: int, end: int) -> List[Place]:
    """Return the chunks of a range that are not all zeros."""
    chunks = [(at, min(_CHUNK, end - at)) for at in range(start, end, _CHUNK)]
    return [(device, at, size) for at, size in chunks if any(device.read(at, size))]


def _zero(places: List[Place]) -> None:
    """Write zeros, flush, read back. Raise DeviceError (device-lied: reported, but not stored)."""
    for device, at, size in places:
        device.write(at, bytes(size))
    for device in {id(device): device for device, _at, _size in places}.values():
        device.flush()
    for device, at, size in places:
        if any(device.read(at, size)):
            raise DeviceError("device-lied", device=device.path, offset=at)
