"""The LVM side of a new identity: metadata text, metadata areas, labels.

Only tokens that hold an id are replaced, in place; everything else of the text stays byte for byte.
"""

from relun.core.edit import AREA_HEADER, SECTOR, Edit
from relun.core.errors import Refused
from relun.core.hints import Dict, List, Sequence, Set, Tuple
from relun.core.identity import Identity
from relun.core.lvm2.text import Section, quote
from relun.core.lvm2.vg import VolumeGroup, plain_uuid, shown_uuid
from relun.core.names import rename_uuids
from relun.core.physical import Area, PhysicalLun


def new_text(
    group: VolumeGroup, identity: Identity, dropped: Set[str], new_name: str, device_hint: str = ""
) -> bytes:
    """Return the VG's next text, with its final NUL."""
    changed: Dict[int, bytes] = {}
    removed: List[Tuple[int, int]] = []
    section = group.section
    changed[section.first] = new_name.encode("latin-1")
    _replace_uuid(section, identity, changed)
    changed[section.values["seqno"].tokens[0]] = str(group.seqno + 1).encode("ascii")
    for pv in group.pvs.values():
        _replace_uuid(pv.section, identity, changed)
        if device_hint and len(group.pvs) == 1 and "device" in pv.section.values:
            changed[pv.section.values["device"].tokens[0]] = quote(device_hint)
        for key in ("device_id", "device_id_type"):  # the LUN's SCSI id as LVM saw the original
            if key in pv.section.values:
                value = pv.section.values[key]
                removed.append((value.first, value.last))
    for lv in group.lvs.values():
        if lv.name in dropped:
            removed.append((lv.section.first, lv.section.last))
            continue
        changed[lv.section.first] = lv_name(lv.name, identity).encode("latin-1")
        _replace_uuid(lv.section, identity, changed)
    description = group.text.root.values.get("description")
    if description and description.text:  # since LVM 2.03.8 a command line with names and paths
        changed[description.tokens[0]] = quote("")
    text = group.text.render(changed, removed)
    return text if text.endswith(b"\0") else text + b"\0"


def lv_name(name: str, identity: Identity) -> str:
    """Return an LV's new name. A file SR's one LV has the SR's own uuid for a name."""

    def renamed(old: str) -> str:
        return identity.sr(old) if old == identity.old_sr else identity.vdi(old)

    return rename_uuids(name, renamed)


def area_edits(number: int, lun: PhysicalLun, text: bytes) -> List[Edit]:
    """Return the edits that make ``text`` the current one in every area of a LUN that has a text.

    Raise Refused (mda-full) when an area has no room beside its current text.
    """
    edits = []
    for area in lun.areas:
        if not area.text:
            continue
        start = area.header.start
        offset = area.header.place(len(text))
        if offset is None:
            raise Refused("mda-full", device=lun.device.path, offset=start, size=len(text))
        position = 0
        padded = text + bytes(-len(text) % SECTOR)
        for at, length in area.header.pieces(offset, len(padded)):
            old = lun.device.read(start + at, length)
            piece = padded[position : position + length]
            edits.append(Edit(number, start + at, old, piece, "VG metadata text"))
            position += length
        header = area.header.with_committed(offset, text)
        edits.append(Edit(number, start, area.header.raw, header, AREA_HEADER))
    return edits


def label_edit(number: int, lun: PhysicalLun, identity: Identity) -> Edit:
    """Return the edit of a LUN's label."""
    label = lun.label
    assert label is not None
    return Edit(
        number, label.offset, label.raw, label.with_pv_uuid(identity.lvm(label.pv_uuid)), "PV label"
    )


def free_ring(area: Area, edits: Sequence[Edit]) -> List[Tuple[int, int]]:
    """Return (offset, end) on the LUN of ring parts that hold neither the old nor the new text.

    The part that LVM's next texts reach last comes first.
    """
    start, size = area.header.start, area.header.size
    used = [(start + at, start + end + -end % SECTOR) for at, end in area.header.used()]
    inside = [edit for edit in edits if start + SECTOR <= edit.offset < start + size]
    used += [(edit.offset, edit.end) for edit in inside]
    free = []
    position = start + SECTOR
    for begin, end in [*sorted(used), (start + size, start + size)]:
        if begin > position:
            free.append((position, begin))
        position = max(position, end)
    newest = inside[-1].offset if inside else start  # the last piece of a text that wraps
    behind = [part for part in free if part[0] < newest]
    ahead = [part for part in free if part[0] >= newest]
    return behind[::-1] + ahead[::-1]


def _replace_uuid(section: Section, identity: Identity, changed: Dict[int, bytes]) -> None:
    value = section.values["id"]
    new = shown_uuid(identity.lvm(plain_uuid(value.text)))
    changed[value.tokens[0]] = quote(new)
