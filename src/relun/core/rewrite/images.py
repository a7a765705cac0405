"""The volumes' side of a new identity: VHD, QCOW2, CBT logs and journals, each changed in place.

A ``Patch`` speaks of bytes of an LV; ``plan`` turns it into edits of the LUNs. No patch touches a
guest's data: footers, headers, locators and names only.
"""

from relun.core.hints import Any, Callable, Dict, List, NamedTuple, Tuple
from relun.core.identity import Identity
from relun.core.names import rename_references, rename_uuids
from relun.core.vhd import Locator
from relun.core.volume import SECTOR, Qcow2Image, VhdImage, Volume


class Patch(NamedTuple):
    """``old`` becomes ``new`` at byte ``offset`` of an LV."""

    offset: int
    old: bytes
    new: bytes
    what: str


def patches(volume: Volume, identity: Identity) -> List[Patch]:
    """Return what changes inside a volume other than MGT."""
    return _PATCHES.get(volume.name.kind, _none)(volume, identity)


def wipe_patches(volume: Volume) -> List[Patch]:
    """Return what wipes the ids of a volume that is dropped; its data blocks stay as they are."""
    content = volume.content
    if isinstance(content, VhdImage):
        last = volume.lv.size - SECTOR
        wiped = [
            (0, content.copy.raw),
            (content.header_offset, content.header.raw),
            (last, content.primary.raw),
        ]
        wiped += [(locator.offset, data) for locator, data in content.locators]
    elif isinstance(content, Qcow2Image):
        wiped = [(0, content.head)]
    elif content is not None:
        wiped = [(0, _raw(content))]
    else:
        wiped = []
    return [Patch(offset, old, bytes(len(old)), "dropped volume") for offset, old in wiped]


def identity_ranges(volume: Volume) -> List[Tuple[int, int]]:
    """Return (offset, length) of all bytes of a volume that may hold an id."""
    if volume.name.kind == "mgt":
        return [(0, volume.lv.size)]
    return [(patch.offset, len(patch.old)) for patch in wipe_patches(volume)]


def _raw(content: Any) -> bytes:
    """Return the first sector of a CBT log or journal."""
    return content if isinstance(content, bytes) else bytes(content.raw)


def _none(_volume: Volume, _identity: Identity) -> List[Patch]:
    return []


def _vhd(volume: Volume, identity: Identity) -> List[Patch]:
    image: VhdImage = volume.content
    footer = image.footer.with_uuid(identity.image(image.footer.uuid)).raw
    found = [
        Patch(0, image.copy.raw, footer, "VHD footer copy"),
        Patch(volume.lv.size - SECTOR, image.primary.raw, footer, "VHD footer"),
    ]
    name = rename_references(image.header.parent_name, identity.sr, identity.vdi)
    header = image.header.with_parent(identity.image(image.header.parent_uuid), name).raw
    found.append(Patch(image.header_offset, image.header.raw, header, "VHD header"))
    return found + _locators(image.locators, identity)


def _locators(locators: Tuple[Tuple[Locator, bytes], ...], identity: Identity) -> List[Patch]:
    found = []
    for locator, data in locators:
        path = rename_references(locator.decode(data), identity.sr, identity.vdi)
        new = locator.encode(path) + data[locator.length :]
        found.append(Patch(locator.offset, data, new, "VHD parent locator"))
    return found


def _qcow2(volume: Volume, identity: Identity) -> List[Patch]:
    image: Qcow2Image = volume.content
    if not image.backing:
        return []
    new = rename_references(image.backing, identity.sr, identity.vdi).encode("latin-1")
    at = image.header.backing_offset
    start, end = at // SECTOR * SECTOR, -(-(at + len(new)) // SECTOR) * SECTOR
    old = image.head[start:end]
    patched = old[: at - start] + new + old[at - start + len(new) :]
    return [Patch(start, old, patched, "QCOW2 backing path")]


def _cbtlog(volume: Volume, identity: Identity) -> List[Patch]:
    log = volume.content
    parent, child = identity.packed_vdi(log.parent), identity.packed_vdi(log.child)
    return [Patch(0, log.raw, log.with_links(parent, child).raw, "CBT links")]


def _journal(volume: Volume, identity: Identity) -> List[Patch]:
    if not volume.content or volume.name.value != "1":
        return []  # no payload, or an old SM's journal with everything in its name
    from relun.core.smjournal import parse_payload, replace_payload

    old = parse_payload(volume.content)
    new = replace_payload(volume.content, old, rename_uuids(old, identity.vdi))
    return [Patch(0, volume.content, new, "{} journal".format(volume.name.journal))]


def _resize_journal(volume: Volume, identity: Identity) -> List[Patch]:
    journal = volume.content
    if not journal.present:
        return []
    new = journal.with_uuid(identity.image(journal.uuid)).raw
    return [Patch(0, journal.raw, new, "VHD resize journal")]


_PATCHES: Dict[str, Callable[[Volume, Identity], List[Patch]]] = {
    "vhd": _vhd,
    "qcow2": _qcow2,
    "cbtlog": _cbtlog,
    "journal": _journal,
    "jvhd": _resize_journal,
}
