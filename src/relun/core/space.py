"""Where the journal goes: space of one of the LUNs that LVM does not use.

That is what lies behind the last extent (a LUN is seldom a whole number of extents long) and the
free part of a metadata ring. Where zeros lie, writing costs one flush, and giving it back one more.
A ring full of old texts works as well, a few pages at a time through the stash.
"""

from relun.core.digest import sha1
from relun.core.edit import Change, Edit
from relun.core.errors import Refused
from relun.core.hints import Dict, List, NamedTuple, Optional, Tuple
from relun.core.journal import pages
from relun.core.journal.marker import (
    GAP_END,
    LARGEST_REGION,
    POINTER_AT,
    SECTOR,
    STASH_AT,
    TAG_SIZE,
    Region,
)
from relun.core.journal.payload import fits_payload, pack_change
from relun.core.physical import PhysicalLun
from relun.core.repository import Repository
from relun.core.rewrite.lvm import free_ring

_SEARCHED = 1 << 20  # bytes at a free part's end where zeros are looked for
_SPARE_PAGES = 8  # tried first over old texts, which compress to a third; more if they do not


class Space(NamedTuple):
    """The journal as it will be written, with the change that it carries."""

    change: Change
    region: Region
    content: bytes  # of the whole region
    digest: bytes  # SHA-1 of the payload


def find_space(repository: Repository, change: Change, lvm_edits: Dict[int, List[Edit]]) -> Space:
    """Return where the journal of ``change`` goes.

    Raise Refused (journal-gap, journal-space) when there is no place for it.
    """
    for lun in repository.luns:
        if not _gap_usable(lun):
            raise Refused("journal-gap", device=lun.device.path, offset=POINTER_AT)
    for number, lun in enumerate(repository.luns if fits_payload(change) else ()):
        rings = _free_parts(lun, lvm_edits[number])
        final = change._replace(switch=number)
        payload = pack_change(final)
        digest = sha1(payload).digest()
        behind = repository.behind_extents(number) if rings else []
        candidates = [(_in_zeros, part) for part in [*behind, *rings]]
        candidates += [(_over_old_bytes, part) for part in rings]
        for place, part in candidates:
            found = place(lun, part, payload, digest[:TAG_SIZE])
            if found:
                return Space(final, found[0], found[1], digest)
    raise Refused("journal-space", device=repository.devices[0].path)


def _free_parts(lun: PhysicalLun, edits: List[Edit]) -> List[Tuple[int, int]]:
    found: List[Tuple[int, int]] = []
    for area in lun.areas:
        if area.text and not area.header.ignored:
            found += free_ring(area, edits)
    return found


def _gap_usable(lun: PhysicalLun) -> bool:
    """The gap before the first area is zero, or relun's already: a pointer stands in it.

    One that a resign left which never hid the LUN goes first, and with it the stash if it had one.
    """
    label = lun.label
    assert label is not None  # a LUN without one is refused
    areas = label.metadata_areas + label.data_areas + label.bootloader_areas
    begins = min((start for start, _size in areas), default=0)
    own, pointer = POINTER_AT, lun.pointer
    if pointer is not None:
        goes = pointer.begun and pointer.previous is None and pointer.region.zeroed
        own = STASH_AT if goes else GAP_END
    return begins >= GAP_END and not any(lun.head[own:GAP_END])


def _in_zeros(
    lun: PhysicalLun, part: Tuple[int, int], payload: bytes, tag: bytes
) -> Optional[Tuple[Region, bytes]]:
    """Look at the part's end first, then further back, as far as ``_SEARCHED``."""
    size = pages.pages_needed(len(payload)) * pages.PAGE
    end = part[1] // SECTOR * SECTOR
    if size > LARGEST_REGION:
        return None
    for searched in (0, _SEARCHED):
        start = max(part[0], end - size - searched)
        at = lun.device.read(start, end - start).rfind(
            bytes(size + SECTOR - 1 if searched else size)
        )
        if at >= 0:
            offset = -(-(start + at) // SECTOR) * SECTOR
            content = pages.build_pages(payload, bytes(size), tag)
            return (Region(offset, size, True, tag), content) if content else None
    return None


def _over_old_bytes(
    lun: PhysicalLun, part: Tuple[int, int], payload: bytes, tag: bytes
) -> Optional[Tuple[Region, bytes]]:
    end = part[1] // SECTOR * SECTOR
    room = min(end - part[0], LARGEST_REGION) // pages.PAGE
    count = min(2 * pages.pages_needed(len(payload)) + _SPARE_PAGES, room)
    while count > 0:
        offset = end - count * pages.PAGE
        content = pages.build_pages(payload, lun.device.read(offset, end - offset), tag)
        if content:
            return Region(offset, len(content), False, tag), content
        if count == room:
            break
        count = min(2 * count, room)
    return None
