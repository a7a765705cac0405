"""Repository: a set of LUNs read into an SR, its volumes and the tree of its images.

``load`` never raises for what it finds on the LUNs: whatever is wrong becomes a finding, so that
``inspect`` can show a damaged LUN and ``plan`` can say everything that stands in its way at once.
"""

from relun.core import checks
from relun.core.device import Device
from relun.core.edit import Change
from relun.core.errors import FormatError
from relun.core.finding import REFUSE, WARN, Finding, refusals
from relun.core.hints import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple
from relun.core.journal.marker import DIRECTIONS, GAP_END
from relun.core.lvm2.vg import LogicalVolume, VolumeGroup, parse_vg
from relun.core.names import FILESYSTEM_PREFIXES, SR_PREFIX, is_uuid, parse_volume_name
from relun.core.physical import PhysicalLun, read_journal, read_lun
from relun.core.volume import Volume, VolumeReader, read_mgt, read_qcow2, read_vhd

# What a set of LUNs is.
LVM_SR = "lvm-sr"  # VDIs are LVs of VG_XenStorage-<sr uuid>
FILE_SR = "file-sr"  # VDIs are files in a filesystem on the one LV of XSLocal…-<sr uuid>
PLAIN_LVM = "lvm"  # a VG, but no SR
ORPHAN_PV = "pv"  # a PV in no VG
HIDDEN = "in-progress"  # relun's marker stands where the label was
DAMAGED = "damaged"
EMPTY = "empty"
FOREIGN = "foreign"  # something else: gfs2, a partition table, a filesystem, …

_MANY = 8  # volumes whose neighbourhood makes up for a look at all of them beforehand

# Where a LUN stands between the clone it was and the SR it becomes.
ORIGINAL, IN_PROGRESS, DONE = "original", "in-progress", "done"


class Repository(NamedTuple):
    """What a set of LUNs holds. ``luns`` are in the order given; the VG's members by PV name."""

    luns: Tuple[PhysicalLun, ...]
    kind: str
    state: str
    sr_uuid: str  # empty when there is none
    vg: Optional[VolumeGroup]
    members: Dict[str, int]  # PV name -> number of its LUN
    volumes: Tuple[Volume, ...]
    findings: Tuple[Finding, ...]
    filesystem: str = ""  # of a FILE_SR or FOREIGN LUN

    @property
    def devices(self) -> Tuple[Device, ...]:
        """The LUNs' devices."""
        return tuple(lun.device for lun in self.luns)

    @property
    def mgt(self) -> Optional[Volume]:
        """The MGT volume, None when the SR has none."""
        for volume in self.volumes:
            if volume.name.kind == "mgt":
                return volume
        return None

    def behind_extents(self, number: int) -> List[Tuple[int, int]]:
        """Return (start, end) of what lies behind a LUN's last extent and in none of its areas."""
        label = self.luns[number].label
        if self.vg is None or label is None:
            return []
        for pv in self.vg.pvs.values():
            if self.members.get(pv.name) == number:
                start = pv.pe_start + pv.pe_count * self.vg.extent_size
                areas = label.metadata_areas + label.bootloader_areas
                end = min([self.devices[number].size, *(at for at, n in areas if at + n > start)])
                return [(start, end)] if start < end else []
        return []

    def reader(self) -> VolumeReader:
        """Return a reader for the LVs."""
        assert self.vg is not None
        return VolumeReader(self.vg, self.devices, self.members)


def load(devices: Sequence[Device]) -> Repository:
    """Read a set of LUNs. Raise DeviceError when one cannot be read."""
    findings: List[Finding] = []
    luns = tuple(read_lun(device, findings) for device in devices)
    if any(lun.marker for lun in luns):
        return _in_progress(luns, findings)
    group = _volume_group(luns, findings)
    if group is None:
        return _without_group(luns, findings)
    members = _members(luns, group, findings)
    kind, sr_uuid = _kind(group)
    checks.check_group(group, findings)
    volumes: Tuple[Volume, ...] = ()
    filesystem = ""
    if kind == LVM_SR:
        reader = VolumeReader(group, devices, members)
        lvs: Iterable[LogicalVolume] = group.lvs.values()
        if len(group.lvs) >= _MANY or any(device.pipelined for device in devices):
            from relun.core.ahead import with_content_at_hand

            lvs = with_content_at_hand(reader, group)
        volumes = tuple([_volume(reader, lv, findings) for lv in lvs])
        checks.check_volumes(sr_uuid, volumes, findings)
    elif kind == FILE_SR:
        filesystem = _filesystem(VolumeReader(group, devices, members), group)
        findings.append(Finding("sr-filesystem", REFUSE, group.name, -1, {"type": filesystem}))
    else:
        findings.append(Finding("sr-none", REFUSE, group.name, -1, {"vg": group.name}))
    state = DONE if applied_change(luns) else ORIGINAL
    return Repository(
        luns, kind, state, sr_uuid, group, members, volumes, tuple(findings), filesystem
    )


def applied_change(luns: Sequence[PhysicalLun]) -> Optional[Change]:
    """Return the change that made these LUNs what they are, as long as its journal is there."""
    for lun in luns:
        if lun.pointer and lun.pointer.region.here and not lun.pointer.begun:
            try:
                change = read_journal(lun.device, lun.pointer.region)
            except FormatError:
                continue  # LVM wrote over it since
            if any(lun.head[edit.offset : edit.end] == edit.new for edit in change.labels):
                return change
    return None


def _in_progress(luns: Tuple[PhysicalLun, ...], findings: List[Finding]) -> Repository:
    marker = next(lun.marker for lun in luns if lun.marker)
    sr_uuid = ""
    for lun in luns:
        if lun.marker and lun.marker.is_switch:
            marker = lun.marker
            try:
                sr_uuid = read_journal(lun.device, marker.region, marker.digest).new_sr
            except FormatError:
                pass  # cleared already, or damaged: recover and undo say which
    fields = {"direction": DIRECTIONS[marker.direction], "members": marker.members}
    where = next(lun for lun in luns if lun.marker)
    findings.append(
        Finding("lun-in-progress", REFUSE, where.device.path, where.marker_offset, fields)
    )
    return Repository(luns, HIDDEN, IN_PROGRESS, sr_uuid, None, {}, (), tuple(findings))


def _volume_group(luns: Tuple[PhysicalLun, ...], findings: List[Finding]) -> Optional[VolumeGroup]:
    """Return the VG of the newest text; note stale ones, refuse a second VG or a second truth."""
    groups: Dict[bytes, VolumeGroup] = {}
    for lun in luns:
        for area in lun.areas:
            if area.text and not area.header.ignored and area.text not in groups:
                try:
                    groups[area.text] = parse_vg(area.text)
                except FormatError as error:
                    at = area.header.start + area.header.committed.offset + error.offset
                    findings.append(
                        Finding(error.code, REFUSE, lun.device.path, at, dict(error.fields))
                    )
    if not groups:
        return None
    newest = max(groups.values(), key=lambda group: group.seqno)
    for group in groups.values():
        if group.uuid != newest.uuid:
            fields = {"vgs": sorted({some.name for some in groups.values()})}
            findings.append(Finding("vg-several", REFUSE, group.name, -1, fields))
            break
        if group.seqno < newest.seqno:
            fields_seqno = {"seqno": group.seqno, "newest": newest.seqno}
            findings.append(Finding("mda-stale", WARN, group.name, -1, fields_seqno))
        elif _tokens(group) != _tokens(newest):  # LVM itself looks at the number alone
            findings.append(Finding("mda-differ", REFUSE, group.name, -1, {"seqno": group.seqno}))
    return newest


def _tokens(group: VolumeGroup) -> Sequence[bytes]:
    """Return the VG's section without the trailer, whose time differs from area to area."""
    return group.text.tokens[group.section.first : group.section.last + 1]


def _members(
    luns: Tuple[PhysicalLun, ...], group: VolumeGroup, findings: List[Finding]
) -> Dict[str, int]:
    """Return PV name -> LUN number; every PV needs a LUN, every LUN a PV."""
    by_uuid: Dict[str, int] = {}
    for number, lun in enumerate(luns):
        if lun.label is None:
            if not any(finding.where == lun.device.path for finding in findings):
                findings.append(Finding("pv-foreign", REFUSE, lun.device.path))
            continue
        if lun.label.pv_uuid in by_uuid:
            other = luns[by_uuid[lun.label.pv_uuid]].device.path
            findings.append(Finding("pv-twice", REFUSE, lun.device.path, -1, {"other": other}))
        by_uuid[lun.label.pv_uuid] = number
    members = {}
    for pv in group.pvs.values():
        number_or_none = by_uuid.pop(pv.uuid, None)
        if number_or_none is None:
            fields = {"uuid": pv.uuid, "hint": pv.device_hint}
            findings.append(Finding("pv-missing", REFUSE, pv.name, -1, fields))
            continue
        lun = luns[number_or_none]
        end = pv.pe_start + pv.pe_count * group.extent_size
        if _lies_on_metadata(lun, pv.pe_start, end):
            place = {"key": pv.name + "/pe_start", "value": pv.pe_start}
            findings.append(Finding("text-value", REFUSE, lun.device.path, pv.pe_start, place))
            continue
        members[pv.name] = number_or_none
        if end > lun.device.size:
            size_fields = {"end": end, "size": lun.device.size}
            findings.append(
                Finding("pv-truncated", REFUSE, lun.device.path, lun.device.size, size_fields)
            )
    for number in by_uuid.values():
        findings.append(Finding("pv-foreign", REFUSE, luns[number].device.path))
    return members


def _lies_on_metadata(lun: PhysicalLun, start: int, end: int) -> bool:
    """Tell whether a PV's extents lie on its label, relun's gap or a metadata area."""
    areas = lun.label.metadata_areas if lun.label else ()
    return start < GAP_END or any(at < end and start < at + size for at, size in areas)


def _kind(group: VolumeGroup) -> Tuple[str, str]:
    if group.name.startswith(SR_PREFIX) and is_uuid(group.name[len(SR_PREFIX) :]):
        return LVM_SR, group.name[len(SR_PREFIX) :]
    for prefix in FILESYSTEM_PREFIXES:
        if group.name.startswith(prefix) and is_uuid(group.name[len(prefix) :]):
            return FILE_SR, group.name[len(prefix) :]
    return PLAIN_LVM, ""


def _volume(reader: VolumeReader, lv: LogicalVolume, findings: List[Finding]) -> Volume:
    name = parse_volume_name(lv.name)
    try:
        return Volume(lv, name, _content(reader, lv, name.kind, name.journal))
    except FormatError as error:
        at = -1
        try:
            at = reader.places(lv, max(error.offset, 0), 1)[0].offset
        except FormatError:
            pass  # the extent map itself is the fault
        findings.append(Finding(error.code, REFUSE, lv.name, at, dict(error.fields)))
        return Volume(lv, name, None, True)


def _content(reader: VolumeReader, lv: LogicalVolume, kind: str, journal: str) -> object:
    if kind == "vhd":
        return read_vhd(reader, lv)
    if kind == "mgt":
        return read_mgt(reader, lv)
    if kind == "qcow2":
        return read_qcow2(reader, lv)
    if kind == "cbtlog":
        from relun.core.cbt import CbtLog

        return CbtLog(reader.read(lv, 0, 512))
    if kind == "jvhd":
        from relun.core.smjournal import ResizeJournal

        return ResizeJournal(reader.read(lv, 0, 512))
    if kind == "journal" and journal in ("clone", "leaf"):
        return reader.read(lv, 0, 512)
    return None


def _filesystem(reader: VolumeReader, group: VolumeGroup) -> str:
    for lv in group.lvs.values():
        try:
            return checks.filesystem(reader.read(lv, 0, 4096))
        except FormatError:
            break
    return ""


def _without_group(luns: Tuple[PhysicalLun, ...], findings: List[Finding]) -> Repository:
    path = luns[0].device.path
    filesystem = ""
    if refusals(findings):
        kind = DAMAGED
    elif any(lun.label for lun in luns):
        kind = ORPHAN_PV
        findings.append(Finding("sr-none", REFUSE, path, -1, {"vg": ""}))
    else:
        start = luns[0].device.read(0, min(luns[0].device.size, 128 * 1024))
        filesystem = checks.filesystem(start)
        kind = FOREIGN if filesystem or start.strip(b"\0") else EMPTY
        code = (
            "sr-gfs2" if filesystem == "gfs2" else "lun-foreign" if kind == FOREIGN else "lun-empty"
        )
        findings.append(Finding(code, REFUSE, path, -1, {"type": filesystem or "unknown"}))
    return Repository(luns, kind, ORIGINAL, "", None, {}, (), tuple(findings), filesystem)
