"""What is checked in a VG and its volumes, and the findings that come of it."""

from relun.core.errors import FormatError
from relun.core.finding import NOTE, REFUSE, WARN, Finding
from relun.core.hints import Dict, List, Optional, Sequence, Set, Tuple
from relun.core.lvm2.vg import VolumeGroup
from relun.core.names import find_reference, find_uuids, is_uuid
from relun.core.vhd import TYPE_DIFFERENCING
from relun.core.volume import Qcow2Image, VhdImage, Volume

_SEGMENT_TYPES = ("striped", "linear")
_DEAD_FOOTER = b"\xc7" * 512  # tapdisk writes this while an image is open for writing
_SPECIAL = ("ha_statefile", "redo_log", "metadata")  # MGT types with ids of the pool inside
_RAW_VDI_TYPE = "aio"

# Magic numbers of what else a LUN may hold: (offset, bytes, name).
_SIGNATURES = (
    (0x10000, b"\x01\x16\x19\x70", "gfs2"),  # gfs2_ondisk.h GFS2_MAGIC at GFS2_SB_ADDR
    (0, b"XFSB", "xfs"),
    (1024 + 56, b"\x53\xef", "ext"),
    (512, b"EFI PART", "gpt"),
    (510, b"\x55\xaa", "mbr"),
)


def filesystem(start: bytes) -> str:
    """Return the name of the filesystem or partition table in these first bytes, empty for none."""
    for offset, magic, name in _SIGNATURES:
        if start[offset : offset + len(magic)] == magic:
            return name
    return ""


def check_group(group: VolumeGroup, findings: List[Finding]) -> None:
    """Check what LVM itself says of the VG, its PVs and segments."""
    section = group.section
    status = section.texts("status") + section.texts("flags")
    if "EXPORTED" in status or any(pv.exported for pv in group.pvs.values()):
        findings.append(Finding("vg-exported", REFUSE, group.name))
    for key in ("system_id", "lock_type"):
        value = section.text(key)
        if value and value != "none":
            findings.append(Finding("vg-owned", REFUSE, group.name, -1, {key: value}))
    if "CLUSTERED" in status:
        findings.append(Finding("vg-owned", REFUSE, group.name, -1, {"status": "CLUSTERED"}))
    if section.sections.get("historical_logical_volumes"):
        findings.append(Finding("vg-historical", REFUSE, group.name))
    for pv in group.pvs.values():
        if pv.missing:
            fields = {"uuid": pv.uuid, "hint": pv.device_hint}
            findings.append(Finding("pv-missing", REFUSE, pv.name, -1, fields))
    for lv in group.lvs.values():
        kinds = {segment.type for segment in lv.segments} - set(_SEGMENT_TYPES)
        if kinds:
            findings.append(Finding("lv-segment", REFUSE, lv.name, -1, {"types": sorted(kinds)}))


def check_volumes(sr_uuid: str, volumes: Sequence[Volume], findings: List[Finding]) -> None:
    """Check the volumes of an LVM SR against each other and against MGT."""
    by_lv = {volume.lv.name: volume for volume in volumes}
    for volume in volumes:
        if isinstance(volume.content, VhdImage):
            _check_vhd(volume, volume.content, findings)
        elif isinstance(volume.content, Qcow2Image):
            if volume.content.backing and not volume.content.parent:
                backing = {"name": volume.content.backing}
                findings.append(Finding("parent-name", REFUSE, volume.lv.name, -1, backing))
        elif volume.name.kind in ("journal", "jvhd"):
            _check_journal(volume, findings)
        elif volume.name.kind == "unknown":
            findings.append(Finding("lv-unknown", NOTE, volume.lv.name))
        _check_parent(sr_uuid, volume, by_lv, findings)
    _check_cycles(by_lv, findings)
    _check_image_uuids(volumes, findings)
    for volume in volumes:
        if volume.name.kind == "mgt" and volume.content:
            _check_mgt(sr_uuid, volume, volumes, findings)
            return
    if "MGT" not in by_lv:
        findings.append(Finding("mgt-missing", NOTE, "MGT"))


def _check_vhd(volume: Volume, image: VhdImage, findings: List[Finding]) -> None:
    name = volume.lv.name
    if not image.copy.valid:
        findings.append(Finding("vhd-copy-dead", WARN, name))
    elif not image.primary.valid:
        state = "open" if image.primary.raw == _DEAD_FOOTER else "damaged"
        findings.append(Finding("vhd-primary-dead", NOTE, name, -1, {"state": state}))
    elif image.primary.raw != image.copy.raw:
        findings.append(Finding("vhd-footers-differ", WARN, name))
    differencing = image.footer.type == TYPE_DIFFERENCING
    if differencing and not image.parent:
        parent = {"name": image.header.parent_name}
        findings.append(Finding("parent-name", REFUSE, name, -1, parent))
    for locator, data in image.locators:
        try:
            path = locator.decode(data)
        except FormatError as error:
            findings.append(Finding(error.code, REFUSE, name, -1, dict(error.fields)))
            continue
        reference = find_reference(path)
        if reference is None and differencing:
            findings.append(Finding("parent-name", REFUSE, name, -1, {"name": path}))
        elif reference and image.parent and reference != image.parent:
            fields = {"header": image.parent.lv_name, "locator": reference.lv_name}
            findings.append(Finding("parent-disagree", WARN, name, -1, fields))


def _check_journal(volume: Volume, findings: List[Finding]) -> None:
    name = volume.lv.name
    if volume.name.kind == "jvhd":
        if volume.content and volume.content.live:
            findings.append(Finding("journal-resize", REFUSE, name))
        else:
            findings.append(Finding("journal-pending", NOTE, name, -1, {"kind": "jvhd"}))
    elif volume.name.journal in ("clone", "leaf"):
        findings.append(Finding("journal-undo", REFUSE, name, -1, {"kind": volume.name.journal}))
        if not volume.damaged and not _payload_known(volume):
            findings.append(Finding("journal-payload", REFUSE, name))
    else:
        findings.append(Finding("journal-pending", NOTE, name, -1, {"kind": volume.name.journal}))


def _payload_known(volume: Volume) -> bool:
    """Tell whether a clone_ or leaf_ says which VDIs it is about, in its content or its name."""
    from relun.core.smjournal import parse_payload

    if volume.name.value != "1":
        return bool(find_uuids(volume.name.value))
    try:
        parse_payload(volume.content)
    except FormatError:
        return False
    return True


def _check_parent(
    sr_uuid: str, volume: Volume, by_lv: Dict[str, Volume], findings: List[Finding]
) -> None:
    reference = volume.parent
    if reference is None:
        return
    fields = {"parent": reference.lv_name, "sr": reference.sr_uuid}
    if reference.sr_uuid != sr_uuid:
        findings.append(Finding("parent-foreign", WARN, volume.lv.name, -1, fields))
        return
    parent = by_lv.get(reference.lv_name)
    if parent is None:
        severity = NOTE if volume.name.displaced else WARN
        findings.append(Finding("parent-missing", severity, volume.lv.name, -1, fields))
    elif isinstance(volume.content, VhdImage):
        expected = parent.content.footer.uuid if isinstance(parent.content, VhdImage) else bytes(16)
        if volume.content.header.parent_uuid != expected and not parent.damaged:
            findings.append(Finding("parent-uuid", WARN, volume.lv.name, -1, fields))


def _check_cycles(by_lv: Dict[str, Volume], findings: List[Finding]) -> None:
    settled: Set[str] = set()
    for name in by_lv:
        path: Set[str] = set()
        current: Optional[str] = name
        while current in by_lv and current not in settled and current not in path:
            path.add(current)
            reference = by_lv[current].parent
            current = reference.lv_name if reference else None
        if current in path:
            findings.append(Finding("parent-cycle", WARN, str(current)))
        settled |= path


def _check_image_uuids(volumes: Sequence[Volume], findings: List[Finding]) -> None:
    seen: Dict[bytes, str] = {}
    for volume in volumes:
        if isinstance(volume.content, VhdImage):
            uuid = volume.content.footer.uuid
            if uuid in seen:
                findings.append(
                    Finding("vhd-uuid-twice", WARN, volume.lv.name, -1, {"other": seen[uuid]})
                )
            seen[uuid] = volume.lv.name


def _check_mgt(
    sr_uuid: str, mgt: Volume, volumes: Sequence[Volume], findings: List[Finding]
) -> None:
    if mgt.content.sr_uuid != sr_uuid:
        fields = {"mgt": mgt.content.sr_uuid, "vg": sr_uuid}
        findings.append(Finding("mgt-sr-uuid", WARN, "MGT", -1, fields))
    if b"<initial_allocation>" in mgt.content.head:
        findings.append(Finding("sr-xlvhd", REFUSE, "MGT"))
    images = {v.name.vdi: v for v in volumes if v.name.is_image and not v.name.displaced}
    others = {volume.name.vdi for volume in volumes if volume.name.kind == "cbtlog"}
    others |= _named_by_journals(volumes)
    recorded: Set[str] = set()
    for record in mgt.content.records:
        elements = record.elements  # parsed each time it is asked for
        if not record.live or elements.get("deleted") == "1":
            continue
        where, vdi = "MGT record at {}".format(record.offset), elements.get("uuid", "")
        if not record.parsable:
            findings.append(Finding("mgt-record", WARN, where, -1, {"vdi": vdi}))
        if vdi in recorded:
            findings.append(Finding("mgt-twice", WARN, where, -1, {"vdi": vdi}))
        recorded.add(vdi)
        _check_record(elements, where, (images, others), findings)
    for vdi, volume in images.items():
        if vdi not in recorded and not volume.hidden:
            findings.append(Finding("mgt-no-record", WARN, volume.lv.name))


def _named_by_journals(volumes: Sequence[Volume]) -> Set[str]:
    """Return the VDIs that clone_ and leaf_ journals speak of: undoing these brings them back."""
    found: Set[str] = set()
    for volume in volumes:
        if volume.name.journal in ("clone", "leaf"):
            payload = volume.content.decode("latin-1") if volume.content else ""
            found.update(find_uuids(volume.lv.name + " " + payload))
    return found


def _check_record(
    elements: Dict[str, str],
    where: str,
    known: Tuple[Dict[str, Volume], Set[str]],
    findings: List[Finding],
) -> None:
    images, others = known
    vdi = elements.get("uuid", "")
    kind = elements.get("vdi_type", "")
    if vdi not in images and vdi not in others:
        findings.append(Finding("mgt-dead-record", REFUSE, where, -1, {"vdi": vdi}))
    elif vdi in images:
        actual = images[vdi].name.kind
        if kind != (_RAW_VDI_TYPE if actual == "raw" else actual):
            fields = {"vdi": vdi, "mgt": kind, "volume": images[vdi].lv.name}
            findings.append(Finding("mgt-vdi-type", NOTE, where, -1, fields))
    origin = elements.get("snapshot_of", "")
    if origin and (not is_uuid(origin) or origin not in images):
        fields = {"vdi": vdi, "snapshot_of": origin}
        findings.append(Finding("mgt-snapshot-of", NOTE, where, -1, fields))
    if elements.get("type") in _SPECIAL:
        fields = {"vdi": vdi, "type": elements["type"]}
        findings.append(Finding("vdi-special", NOTE, where, -1, fields))
