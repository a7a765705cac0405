"""What every code of a finding or an error says, means, and asks for. Loaded to be printed only.

``title`` names fields of the finding or error in braces; one that is absent shows as a dash.
"""

from relun.core.hints import Any, Dict, Mapping, NamedTuple


class Entry(NamedTuple):
    """``title``: one line with fields. ``meaning``: the background. ``remedy``: what to do."""

    title: str
    meaning: str
    remedy: str


def filled(title: str, fields: Mapping[str, Any]) -> str:
    """Return a title with its fields filled in; one that is absent or empty shows as a dash."""
    return title.format_map(_Fields({key: _shown(value) for key, value in fields.items()}))


class _Fields(dict):  # type: ignore[type-arg]
    def __missing__(self, _key: str) -> str:
        return "-"


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        value = ", ".join(map(str, value))
    return str(value) or "-"


ENTRIES: Dict[str, Entry] = {
    # --- devices
    "device-missing": Entry(
        "{device} cannot be opened: {reason}",
        "The path does not exist, or may not be read by this user.",
        "Check the path; block devices usually need root.",
    ),
    "device-kind": Entry(
        "{device} is neither a regular file nor a block device",
        "relun works on block devices and on image files.",
        "Give the LUN's block device or an image of it.",
    ),
    "device-busy": Entry(
        "{device} is in use ({reason})",
        "relun needs a device for itself while it writes. Something has opened it exclusively, "
        "mounted it, or locked the file: LVM, a mount, a RAID, or another relun.",
        "Deactivate or unmount what uses it (lsblk, fuser and dmsetup ls --tree show it).",
    ),
    "device-readonly": Entry(
        "{device} cannot be written to: {reason}",
        "The device, the file or the medium is read-only, or this user may not write to it.",
        "Make it writable on the array (and blockdev --setrw), or run relun as a user that may.",
    ),
    "device-path": Entry(
        "{device} is one path of the multipath map {map}",
        "Writing through a single path goes behind the back of the map and of the host's cache.",
        "Give {map} in its place.",
    ),
    "device-mounted": Entry(
        "{device} is mounted on {where}",
        "A filesystem of this device, or of one of its partitions, is in use.",
        "Unmount it if it really is the clone; otherwise this is the wrong device.",
    ),
    "device-held": Entry(
        "{device} is held by {holders}",
        "Something is mapped on top of this device, for example active logical volumes: the SR is "
        "in use on this host. It may well be the original.",
        "Make sure that this is the clone. If it is, deactivate what stands on it (vgchange -an).",
    ),
    "device-io": Entry(
        "{device}: {what} failed: {reason}",
        "The kernel, or the remote LUN, reported an error.",
        "See the kernel log and the array; repeat the command when the device works again.",
    ),
    "device-short": Entry(
        "{device}: {got} of {length} bytes could be read",
        "The device ended, or returned less than it has.",
        "Check that the LUN has its full size on this host (rescan it), then repeat.",
    ),
    "device-bounds": Entry(
        "{device}: {length} bytes lie outside its {size} bytes",
        "A structure on the LUN points beyond the end of the device: the copy is smaller than the "
        "original, or the host does not see its full size.",
        "Compare the sizes of original and copy; rescan the device or copy the LUN again.",
    ),
    "device-reserved": Entry(
        "{device} is reserved by {holder} ({kind})",
        "Another initiator holds a SCSI reservation, which clusters use for LUNs they work with: "
        "the LUN is in use. It may well be the original.",
        "Make sure that this is the clone, and have the holder release its reservation.",
    ),
    "device-no-flush": Entry(
        "{device} cannot be flushed",
        "What is written may stay in a cache that a power cut empties, and there is no command to "
        "have it written to the medium. relun does not change such a LUN.",
        "Turn the write cache off, or use a server that supports flush.",
    ),
    "device-changed": Entry(
        "{device} is another LUN since it was away",
        "After a reset or a lost connection the same address leads to a LUN with another size, "
        "serial number or SCSI id.",
        "Look at the mapping of the LUN on the array.",
    ),
    "address-malformed": Entry(
        "{device} is not an address that relun knows: {form} expected",
        "Remote LUNs are iscsi://[user@]portal[:port]/iqn/lun, nbd://host[:port]/export or "
        "nbd+unix:///export?socket=PATH.",
        "Correct the address; relun inspect iscsi://portal lists what a portal offers.",
    ),
    "address-portal": Entry(
        "{device} names a portal, not a LUN",
        "A portal has any number of LUNs; this verb wants one.",
        "relun inspect with the portal's address lists its LUNs.",
    ),
    "remote-library": Entry(
        "{library} cannot be used: {reason}",
        "Remote LUNs are reached by the system's own libraries for iSCSI and NBD.",
        "Install the library: on Debian the packages libiscsi7 and libnbd0.",
    ),
    "remote-name": Entry(
        "{initiator} cannot be used as the initiator's name",
        "iSCSI names begin with iqn., eui. or naa.",
        "Correct the name (RELUN_ISCSI_INITIATOR, or /etc/iscsi/initiatorname.iscsi).",
    ),
    "remote-login": Entry(
        "{device} does not let relun in: {reason}",
        "Name or password are wrong or missing, those of the target with mutual CHAP, or this "
        "initiator may not see the target.",
        "Check the CHAP secrets, and on the array the initiator's name.",
    ),
    "remote-connect": Entry(
        "{device} cannot be reached: {reason}",
        "There is no connection to the portal or server, or it went away and did not come back.",
        "Check address and network; repeat the command when the portal answers again.",
    ),
    "remote-lost": Entry(
        "{device}: the connection was lost while writes were not durable yet: {reason}",
        "A flush on a new NBD connection need not cover what an old one wrote, so relun stops.",
        "Repeat the command when the server answers again.",
    ),
    "remote-kind": Entry(
        "{device} is no disk that can be read",
        "The unit does not tell its capacity: it is a controller, a tape, or without medium.",
        "Check the number of the LUN; relun inspect with the portal's address lists disks.",
    ),
    "device-lied": Entry(
        "{device} does not hold what was written to it",
        "relun reads back what it wrote before it relies on it. The write was reported as done, "
        "but other bytes came back: a fault of the device, or another host writes to the LUN.",
        "Make sure that no other host uses the LUN, and have the array checked.",
    ),
    "changed-meanwhile": Entry(
        "{device} was changed by somebody else while relun worked",
        "The label is no longer the one that the plan was made from: another host, or LVM, has "
        "written to the LUN.",
        "Make sure that no other host uses the LUN, then repeat.",
    ),
    "taken-over": Entry(
        "{device} was taken over by another relun",
        "The marker on the LUN is of another run, on this host or on another one.",
        "Let the other run finish, then look: relun inspect.",
    ),
    "cancelled": Entry(
        "{device}: stopped on request before the LUN was hidden",
        "A signal came early enough to leave the LUN as it was.",
        "",
    ),
    # --- label and metadata areas
    "label-malformed": Entry(
        "the LVM label in sector {sector} is malformed",
        "There is a label, but not one that LVM itself would read.",
        "Copy the LUN again, or repair it with pvck --repair before it is resigned.",
    ),
    "label-checksum": Entry(
        "the LVM label in sector {sector} has a wrong checksum",
        "The label sector is damaged. LVM would not see this PV.",
        "Copy the LUN again, or repair it with pvck --repairtype label_header.",
    ),
    "label-several": Entry(
        "{count} LVM labels in the first four sectors",
        "LVM takes the first one that it finds; what the other belongs to cannot be known.",
        "Find out which one is stale (pvck --dump headers) and wipe that sector.",
    ),
    "label-room": Entry(
        "the label at {offset} of {device} does not fit into relun's marker",
        "While relun works, its marker stands in the label's place and holds the label compressed. "
        "LVM leaves the end of that sector zero; here something else lies in it.",
        "Look at the sector (hexdump); if what follows the label is of no use, zero it.",
    ),
    "members-many": Entry(
        "this VG has {luns} LUNs; relun can resign at most {most} together",
        "While relun works, its marker on each LUN counts the LUNs of the VG in one byte.",
        "Merge the volumes onto fewer LUNs (pvmove, vgreduce) before the copy is made.",
    ),
    "mda-bounds": Entry(
        "a metadata area of {size} bytes does not fit on the device of {device_size} bytes",
        "The label names a metadata area beyond the end of the device: the copy is too small.",
        "Rescan the device, or copy the LUN again in full.",
    ),
    "mda-malformed": Entry(
        "a metadata area's header is malformed",
        "Its magic, version or place is not what LVM writes.",
        "Repair it with pvck --repairtype metadata, or copy the LUN again.",
    ),
    "mda-checksum": Entry(
        "a metadata area's header has a wrong checksum",
        "The header sector is damaged. LVM would not use this area.",
        "Repair it with pvck --repairtype metadata, or copy the LUN again.",
    ),
    "mda-text-bounds": Entry(
        "the metadata text ({text_size} bytes at {text_offset}) does not fit into its area",
        "The header points outside the area.",
        "Repair it with pvck --repairtype metadata, or copy the LUN again.",
    ),
    "mda-text-checksum": Entry(
        "the metadata text has a wrong checksum",
        "Text and header do not belong together: the array copied the LUN in the middle of a write "
        "(the copy is not crash-consistent), or the text is damaged.",
        "Take a new copy; pvck --dump metadata_search shows older texts that are whole.",
    ),
    "mda-precommitted": Entry(
        "a change of the metadata was prepared but not committed",
        "LVM was interrupted between the two steps of a commit. The committed text counts.",
        "None needed; LVM drops it with its next commit.",
    ),
    "mda-ignored": Entry(
        "this metadata area is set to be ignored",
        "LVM keeps it but does not read it (pvchange --metadataignore).",
        "None needed; its text is changed as well, so that no old id is left.",
    ),
    "mda-stale": Entry(
        "a metadata text of seqno {seqno} is older than the newest one, {newest}",
        "The copies of the text differ: LVM was interrupted between them, or the LUNs were not "
        "copied at the same moment.",
        "If the LUNs of this SR were copied one after the other, copy them again at one moment.",
    ),
    "mda-differ": Entry(
        "two metadata texts of the same seqno {seqno} say different things",
        "LVM goes by the number alone and would take either; which one is true cannot be told.",
        "Find out which one is right (pvck --dump metadata), and have LVM write it anew.",
    ),
    "mda-full": Entry(
        "the new metadata text of {size} bytes has no room beside the present one",
        "LVM writes a new text beside the old one, so that a crash leaves one of them. Here the "
        "area is too small for both.",
        "Remove volumes that are not needed from the original, and copy it again.",
    ),
    "text-syntax": Entry(
        'the metadata text cannot be parsed at "{token}"',
        "Checksum and size are right, but the text is not LVM's.",
        "Look at it with pvck --dump metadata.",
    ),
    "text-value": Entry(
        "the metadata text has an impossible value: {key} = {value}",
        "Extents overlap, a number is missing or out of range, or a PV is named that is none.",
        "Look at it with pvck --dump metadata; vgck tells more.",
    ),
    # --- VG and PVs
    "vg-several": Entry(
        "the LUNs belong to different VGs: {vgs}",
        "All LUNs of one SR must hold the PVs of exactly one VG.",
        "Give LUNs of one SR only.",
    ),
    "vg-exported": Entry(
        "the VG is exported",
        "vgexport has been used on it; SM never does that.",
        "Run vgimport on the original and copy it again, if it is an SR at all.",
    ),
    "vg-owned": Entry(
        "the VG belongs to a certain host or lock manager",
        "Its system_id, lock_type or CLUSTERED flag is set: other hosts may rely on it.",
        "SM never sets these. Clear them on the original if it is an SR, then copy it again.",
    ),
    "vg-historical": Entry(
        "the VG has historical logical volumes",
        "LVM keeps a record of removed volumes here; relun does not know all their ids.",
        "Remove them with lvremove on the original, then copy it again.",
    ),
    "pv-missing": Entry(
        "no LUN here holds the PV {uuid} (last seen as {hint})",
        "The VG has several PVs, and all of them must be copied and given.",
        "Give the LUNs of all PVs in one command.",
    ),
    "pv-twice": Entry(
        "this LUN and {other} hold the same PV",
        "They are two copies, or original and copy, of one LUN. Which one belongs to the other PVs "
        "cannot be known.",
        "Resign the LUNs of each copy by a command of its own.",
    ),
    "pv-foreign": Entry(
        "this LUN holds no PV of the VG",
        "It is empty, holds something else, or left the VG.",
        "Leave it out.",
    ),
    "pv-truncated": Entry(
        "the PV needs {end} bytes, the LUN has {size}",
        "The copy is smaller than the original, or the host does not see its full size.",
        "Rescan the device, or copy the LUN again in full.",
    ),
    "lv-segment": Entry(
        "the volume has segments that are not linear or striped: {types}",
        "Mirrors, RAID, thin pools, caches and LVM's own snapshots have parts with ids that relun "
        "does not know. SM makes none of them.",
        "Convert the volume on the original (lvconvert), then copy it again.",
    ),
    "lv-range": Entry(
        "a structure lies outside the volume {lv}",
        "The volume is shorter than what it should hold.",
        "Check the volume on the original (vhd-util check), then copy it again.",
    ),
    "lv-unknown": Entry(
        "a volume that SM did not make",
        "Its name is none that SM gives. Its LVM uuid is changed, its content is left alone.",
        "None needed, unless it holds ids of the SR.",
    ),
    # --- what the LUN is
    "lun-in-progress": Entry(
        "a {direction} was interrupted on this LUN",
        "relun's marker stands where the LVM label was, so that no host sees a half-changed SR.",
        "Finish it with relun recover, or take it back with relun undo.",
    ),
    "lun-empty": Entry(
        "the LUN is empty",
        "The first 128 KiB hold nothing but zeros: no label, no filesystem, no partition table.",
        "Check that this is the right LUN and that the array has copied it already.",
    ),
    "lun-foreign": Entry(
        "the LUN holds something else ({type})",
        "There is no LVM label, but the LUN is not empty either.",
        "Check that this is the right LUN.",
    ),
    "sr-none": Entry(
        "the LUN holds LVM, but no SR (VG: {vg})",
        "The VG is not named VG_XenStorage-, XSLocalEXT- or XSLocalLargeBlock- with a uuid.",
        "For a VG that is no SR there is vgimportclone.",
    ),
    "sr-filesystem": Entry(
        "the VDIs are files in a filesystem ({type}), which relun does not touch",
        "Of such an SR relun can change the LVM identity only. The VDIs keep their uuids, so "
        "original and copy cannot be attached to one pool at the same time.",
        "To change the LVM identity alone, add --lvm-only.",
    ),
    "sr-gfs2": Entry(
        "the LUN holds a GFS2 SR",
        "GFS2 SRs are a cluster filesystem without LVM; relun does not know their ids.",
        "relun cannot help with this one.",
    ),
    "sr-xlvhd": Entry(
        "the SR is of the thin-provisioned kind of XenServer Dundee's betas",
        "Its volumes are managed by an allocation daemon with a journal of its own.",
        "relun cannot help with this one.",
    ),
    # --- MGT
    "mgt-missing": Entry(
        "the SR has no MGT volume",
        "MGT holds names and descriptions. Without it SM makes a new one when the SR is attached.",
        "None needed.",
    ),
    "mgt-header": Entry(
        "the first sector of MGT is not what SM writes",
        "Without it nothing in MGT can be relied on.",
        "Attach the original and let SM rewrite it (sr-scan), then copy it again.",
    ),
    "mgt-legacy": Entry(
        "MGT is of a release before XenServer 6.0",
        "Its format is another one, which relun does not know.",
        "Attach the SR to XenServer 6.0 or later, which converts it; then copy it again.",
    ),
    "mgt-short": Entry(
        "MGT says it uses {length} bytes, but has {size}",
        "The length in its first sector is wrong, or the volume was cut.",
        "Attach the original and let SM rewrite it, then copy it again.",
    ),
    "mgt-sr-uuid": Entry(
        "MGT names the SR {mgt}, the VG {vg}",
        "The two must agree. The VG's name is what SM goes by; MGT gets the new uuid as well.",
        "Check that this is the SR you mean.",
    ),
    "mgt-record": Entry(
        "the record of the VDI {vdi} is no XML that SM can parse",
        "SM cuts long names in the middle of an entity; a scan of the SR then fails. The record's "
        "uuids are changed all the same.",
        "Give the VDI a shorter name.",
    ),
    "mgt-room": Entry(
        "a record of MGT has no room for its change",
        "Its sector of 512 bytes is full, and an element that is empty would get a value.",
        "Let SM rewrite the record (change the VDI's name on the original), then copy it again.",
    ),
    "mgt-twice": Entry(
        "the VDI {vdi} has two records",
        "SM goes by one of them.",
        "None needed for a resign: both are changed.",
    ),
    "mgt-no-record": Entry(
        "an image without a record in MGT",
        "SM shows it without a name, and adds a record when the SR is scanned.",
        "None needed.",
    ),
    "mgt-dead-record": Entry(
        "the record of the VDI {vdi} has no volume behind it",
        "MGT and the volumes disagree: the copy may be of a moment in which a VDI was being made "
        "or removed. SM itself drops such a record.",
        "Take a new copy, or add --force-mgt to mark the record as deleted, as SM would.",
    ),
    "mgt-vdi-type": Entry(
        "the record of the VDI {vdi} says {mgt}, its volume is {volume}",
        "SM leaves the old type until the VDI is attached the next time.",
        "None needed.",
    ),
    "mgt-snapshot-of": Entry(
        "the VDI {vdi} is a snapshot of {snapshot_of}, which is not here",
        "The origin was removed, or the field holds something that is no uuid. A uuid is changed "
        "all the same, so that it can never point into the original.",
        "None needed.",
    ),
    "vdi-special": Entry(
        "the VDI {vdi} serves the pool itself ({type})",
        "HA statefiles, redo logs and pool metadata hold ids of the pool that made them.",
        "Do not use it from the clone; remove it there when it is attached.",
    ),
    "label-too-long": Entry(
        "the new name does not fit and was left as it is",
        "MGT has one sector for a name and its description.",
        "Use a shorter --label.",
    ),
    # --- images
    "vhd-footers": Entry(
        "both footers of the VHD are unreadable",
        "Neither the copy at the start nor the footer at the end has a right checksum.",
        "Repair the image on the original (vhd-util repair), then copy it again.",
    ),
    "vhd-poisoned": Entry(
        "the VHD is marked as under construction",
        "vhd-util was interrupted while it worked on this image.",
        "Let SM clean up the original (sr-scan), then copy it again.",
    ),
    "vhd-type": Entry(
        "the VHD is of type {type}",
        "On an LVM SR images are dynamic or differencing; fixed VHDs have no header to hold a "
        "parent.",
        "Check the volume on the original.",
    ),
    "vhd-header": Entry(
        "the header of the VHD is damaged",
        "Its cookie, checksum or parent name is wrong.",
        "Repair the image on the original (vhd-util repair), then copy it again.",
    ),
    "vhd-locator": Entry(
        "parent locator {slot} of the VHD ({kind}) is unreadable",
        "Its size or place is impossible, its code is unknown, or its path is no text.",
        "Let SM rewrite it: vhd-util modify -p on the original, then copy it again.",
    ),
    "vhd-copy-dead": Entry(
        "the footer copy at the start of the VHD is damaged",
        "The footer at its end is good and is used; a resign writes both.",
        "None needed.",
    ),
    "vhd-primary-dead": Entry(
        "the footer at the end of the VHD is not valid ({state})",
        "While a disk is open for writing, tapdisk overwrites this footer on purpose: the LUN was "
        "copied while the VM ran. The copy at the start is used; a resign writes both.",
        "None needed.",
    ),
    "vhd-footers-differ": Entry(
        "the two footers of the VHD differ",
        "Both are valid. The one at the start is used; a resign writes both alike.",
        "None needed.",
    ),
    "vhd-uuid-twice": Entry(
        "the VHD has the same own uuid as {other}",
        "Each image should have one of its own; they stay alike after a resign.",
        "None needed for a resign.",
    ),
    "qcow2-header": Entry(
        "the header of the QCOW2 image is damaged",
        "Its magic, version, sizes or extensions are not what qemu writes.",
        "Check the image on the original (qemu-img check), then copy it again.",
    ),
    "qcow2-external-data": Entry(
        "the QCOW2 image keeps its data in another file",
        "SM makes no such images; relun cannot know whose data it is.",
        "Convert the image on the original (qemu-img convert), then copy it again.",
    ),
    "parent-name": Entry(
        'the image names a parent that is no volume of an SR: "{name}"',
        "relun must know every parent, or the clone could open one of the original's.",
        "Repair the image on the original (vhd-util modify -p, qemu-img rebase -u).",
    ),
    "parent-disagree": Entry(
        "header and parent locator disagree: {header}, {locator}",
        "Different tools would open different parents. Both names are changed.",
        "Repair the image (vhd-util modify -p).",
    ),
    "parent-foreign": Entry(
        "the image's parent {parent} is in another SR, {sr}",
        "A reference that points out of this SR. It gets a new uuid as well, so that it can never "
        "reach the original.",
        "Check the image: its parent is not on this LUN.",
    ),
    "parent-missing": Entry(
        "the image's parent {parent} is not here",
        "The chain is broken: this disk cannot be read.",
        "Take a new copy, or remove the disk from the original.",
    ),
    "parent-uuid": Entry(
        "the image expects another own uuid of its parent {parent}",
        "vhd-util and libvhd refuse to open such a chain. A resign keeps this as it is.",
        "Repair the image (vhd-util modify -p).",
    ),
    "parent-cycle": Entry(
        "the images' parents form a ring",
        "No disk of this chain can be read.",
        "Take a new copy, or remove these disks from the original.",
    ),
    # --- SM's journals
    "journal-undo": Entry(
        "a {kind} operation of SM was under way",
        "When the SR is attached the next time, SM takes this operation back. The journal holds "
        "uuids of its own.",
        "Attach the original once, so that SM settles it, and copy it again; or resign it with its "
        "journals by --force-journals.",
    ),
    "drop-with-journals": Entry(
        "{where}: what this unfinished operation will need is not known",
        "SM goes on with the operation when the SR is attached, and may need an image that looks "
        "like one of a snapshot only.",
        "Resign without --drop-snapshots, or clone the SR again when it is quiet.",
    ),
    "journal-pending": Entry(
        "a {kind} operation of SM was under way",
        "SM finishes it when the SR is attached the next time. The journal gets the new ids.",
        "None needed.",
    ),
    "journal-payload": Entry(
        "the journal's content is not what SM writes",
        "Its first sector should hold a length and one or two uuids.",
        "Attach the original once, so that SM settles it, and copy it again.",
    ),
    "journal-resize": Entry(
        "an image was being resized",
        "The journal holds old blocks of the image; undoing it later would put back old ids.",
        "Attach the original once, so that SM settles it, and copy it again.",
    ),
    # --- identity
    "sr-uuid-invalid": Entry(
        '"{uuid}" is no uuid as SM writes it',
        "A uuid is 32 hexadecimal digits in lower case, in groups of 8-4-4-4-12.",
        "Leave --sr-uuid out for a random one (uuidgen prints one).",
    ),
    "sr-uuid-same": Entry(
        "{uuid} is the uuid that the SR has already",
        "A new identity needs a new uuid.",
        "Give another --sr-uuid, or none.",
    ),
    "map-invalid": Entry(
        "the map cannot give {old} the id {new}",
        "Both must be uuids, or both LVM uuids, and they must differ from each other; the SR's "
        "must agree with --sr-uuid.",
        "Correct the map.",
    ),
    "map-unused": Entry(
        "the map names ids that are not on this LUN: {ids}",
        "A typing error would leave an id to chance, so an id that is not found is refused.",
        "Correct the map, or take these lines out.",
    ),
    "id-collision": Entry(
        "two ids ({kind}) would be the same: {old} and {other} would both be {new}",
        "Every id of the clone must be its own, and none may be an old one.",
        "Correct the map.",
    ),
    # --- relun's own journal
    "journal-gap": Entry(
        "the gap before the metadata area is in use",
        "relun keeps a pointer to its journal in the 2 KiB before the first metadata area, where "
        "LVM writes nothing. Here something lies there.",
        "Look at bytes 2048 to 4095 of the LUN; zero them if they mean nothing.",
    ),
    "journal-space": Entry(
        "there is no room for relun's journal",
        "The journal goes to the part of a metadata area that LVM does not use at the moment. Here "
        "it is too small.",
        "Remove volumes that are not needed from the original, and copy it again.",
    ),
    "journal-damaged": Entry(
        "relun's journal cannot be read",
        "It tells what a resign changes. Without it the LUN cannot be finished by itself.",
        "If all LUNs of the SR are given and readable, copy the LUN again from the original.",
    ),
    "members-missing": Entry(
        "not all LUNs of this SR are here; missing: {missing}",
        "The SR has several PVs and is settled with all of them only.",
        "Give the LUNs of all PVs in one command.",
    ),
    "interrupted": Entry(
        "{device}: the work broke off",
        "The LUN is hidden from every host, and its journal says how to go on.",
        "Mend what is wrong with the device.",
    ),
    "undo-gone": Entry(
        "{device}: there is nothing to undo with",
        "relun's journal was scrubbed by seal, or LVM has written over it since the resign.",
        "Copy the LUN again from the original.",
    ),
    "undo-changed": Entry(
        "{device} was used since the resign: {what} is no longer as it was written",
        "An undo would mix old and new metadata.",
        "Copy the LUN again from the original.",
    ),
    # --- verify
    "old-id": Entry(
        "an id of the original is left ({kind}): {id}",
        "After a resign no id of the original may stand anywhere, in any encoding.",
        "Report this, please. Do not attach the clone beside its original; undo it.",
    ),
    "bytes-differ": Entry(
        "bytes differ from {original} that a resign does not change",
        "Clone and original were not the same when the clone was resigned, one of them was used "
        "since, or this is another original.",
        "None needed if either was used since; otherwise check that this is the right original.",
    ),
    "size-differs": Entry(
        "the LUN has {size} bytes, the original {original}",
        "A clone may be larger than its original.",
        "None needed.",
    ),
    # --- the command
    "refused": Entry(
        "refused",
        "One or several findings forbid it; each is listed with its own code.",
        "",
    ),
    "confirmation": Entry(
        "not confirmed",
        "relun asks before it changes a block device. There is no terminal to ask on, or the "
        "answer was no.",
        "Check the device, then answer with yes, or add --yes.",
    ),
    "not-started": Entry(
        "not begun, because {signal} came",
        "What was under way was settled; the targets after it were left alone.",
        "Repeat the command for the targets that are left.",
    ),
    "serial-differs": Entry(
        "the device's serial is {serial} and its SCSI id {scsi_id}, not {expected}",
        "--expect-serial guards against the wrong device; a file has neither.",
        "Check the device.",
    ),
    "original-differs": Entry(
        "{original} does not carry the same ids",
        "--original guards against the wrong device: the target must be a copy of it.",
        "Check both devices.",
    ),
    "original-same": Entry(
        "{device} is the original itself ({original})",
        "Both names lead to the same LUN.",
        "Give the clone's device as the target.",
    ),
    "map-unreadable": Entry(
        "the map {file} cannot be read: {reason}",
        "A map is JSON of the form {{old: new}}, or lines with an old and a new id.",
        "Correct the file.",
    ),
    "map-unwritable": Entry(
        "the map {file} cannot be written: {reason}",
        "Old and new ids of a resign that is done are to be saved there.",
        "The ids follow from the SR uuid: relun plan with the same --sr-uuid gives them for the "
        "original.",
    ),
    "internal": Entry(
        "an error in relun itself: {cause}",
        "This should never happen.",
        "Please report it with what --verbose shows.",
    ),
}
