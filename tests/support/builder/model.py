"""What a LUN shall hold: plain values. ``build`` (support.builder) turns them into sparse files.

Volumes are named by a ``key`` inside one SR; parents and records refer to keys. Every id that is
not given is derived from the SR's ``seed`` and the key, so equal declarations make equal bytes.
"""

from typing import Any, Dict, NamedTuple, Optional, Tuple

MIB = 1 << 20
SECTOR = 512
DEFAULT_MDA = 11 * MIB - 4096  # what pvcreate --metadatasize 10M makes of it

Runs = Tuple[Tuple[int, int], ...]  # (offset, length) of guest data, multiples of 512


class Record(NamedTuple):
    """One VDI record of MGT. ``vdi``, ``snapshot_of``: a key, or a literal uuid or OpaqueRef."""

    vdi: str
    name: str = ""
    description: str = ""
    type: str = "user"
    vdi_type: str = ""  # empty: by the volume's kind
    snapshot_of: str = ""
    snapshot_time: str = ""
    is_a_snapshot: int = 0
    read_only: int = 0
    managed: int = 1
    metadata_of_pool: str = ""
    deleted: int = 0
    updated: bool = False  # SM writes the record's offset into it at its first update
    python2: bool = False  # element order of SM on Python 2
    first: bytes = b""  # raw bytes instead of the first or second sector's text
    second: bytes = b""


class Vhd(NamedTuple):
    """A VHD image; with ``parent`` it is differencing, else dynamic."""

    key: str
    parent: str = ""
    uuid: str = ""
    size: int = 2 * MIB  # virtual, a multiple of 2 MiB
    data: Runs = ((0, 4096),)
    footers: str = "both"  # both, dead-primary, dead-copy, dead-both, differ, poison
    hidden: bool = False
    read_only: bool = False
    bat_entries: int = 0  # 0: as many as the size needs; SM preallocates 1048576
    lv_size: int = 0  # 0: as small as the data allows
    prefix: str = "VHD-"
    record: Optional[Record] = None  # None: one made from the key
    in_mgt: bool = True
    segments: int = 1  # pieces, with a free extent between them, over all PVs in turn
    pv: int = 0
    locators: Tuple[str, ...] = ("MacX", "W2ku", "W2ru")
    footer_uuid: str = ""
    parent_name: str = ""  # another name than the parent's own
    parent_identifier: str = ""
    tags: Tuple[str, ...] = ()


class Raw(NamedTuple):
    """A raw image (``LV-``)."""

    key: str
    uuid: str = ""
    size: int = 4 * MIB
    data: Runs = ((0, 4096),)
    hidden: bool = False
    read_only: bool = False
    record: Optional[Record] = None
    in_mgt: bool = True
    segments: int = 1
    pv: int = 0
    content: bytes = b""  # at the start of the volume, over the runs
    prefix: str = "LV-"
    tags: Tuple[str, ...] = ()


class Qcow2(NamedTuple):
    """A QCOW2 image (version 3) with an absolute backing path."""

    key: str
    parent: str = ""
    uuid: str = ""
    size: int = 4 * MIB
    data: Runs = ((0, 4096),)
    hidden: Optional[bool] = None  # None: without the private header extension
    read_only: bool = False
    cluster_bits: int = 16
    record: Optional[Record] = None
    in_mgt: bool = True
    segments: int = 1
    pv: int = 0
    mapper_path: bool = False  # /dev/mapper/ with doubled dashes
    name_first: bool = False  # backing name at the end of the first cluster
    data_file: bool = False  # external data file: incompatible bit 2 and its extension
    prefix: str = "QCOW2-"
    tags: Tuple[str, ...] = ()


class Cbt(NamedTuple):
    """A changed-block log; ``vdi``, ``parent``, ``child``: keys or literal uuids."""

    vdi: str
    parent: str = ""
    child: str = ""
    consistent: int = 1
    size: int = 2 * MIB


class Journal(NamedTuple):
    """An SM journal volume ``<kind>_<vdi>_<value>``, or ``jvhd_<vdi>`` (``state`` is its own).

    ``payload`` holds keys or uuids: (base, clone) of clone_, (parent,) of leaf_; with ``in_name``
    they stand in the name, as SM before 2013 had it.
    """

    kind: str  # inflate, zero, relink, coalesce, clone, leaf, jvhd
    vdi: str
    value: str = "1"
    payload: Tuple[str, ...] = ()
    in_name: bool = False
    state: str = "live"  # jvhd: live, committed, empty


class Plain(NamedTuple):
    """Any other volume, by its literal name."""

    name: str
    size: int = 4 * MIB
    content: bytes = b""
    tags: Tuple[str, ...] = ()
    segments: int = 1
    pv: int = 0
    segment_type: str = "striped"
    read_only: bool = False


class Pv(NamedTuple):
    """One LUN of the group."""

    size: int = 0  # 0: as much as the volumes need, and ``spare`` free extents
    spare: int = 4
    label_sector: int = 1
    extension: int = 2  # version of the label's extension; 0: none
    mdas: int = 1  # 0, 1, or 2 (the second at the device end)
    mda_size: int = DEFAULT_MDA  # 0: just what text, ring offset and ``Ring.spare`` need
    ignored: bool = False  # its metadata areas are flagged as ignored
    flags: Tuple[str, ...] = ()
    status: Tuple[str, ...] = ("ALLOCATABLE",)
    device: str = "/dev/disk/by-id/scsi-360000000000000000e00000000010001"
    device_id: str = ""  # as LVM2 from 2.03.12 on writes it


class Ring(NamedTuple):
    """How the metadata areas were used before."""

    offset: int = 512  # of the current text from the area's start (negative: from its end)
    history: int = 0  # older texts before it
    filled: bool = False  # no byte of the ring is zero
    precommitted: bool = False  # a leftover second slot
    spare: int = 0  # with Pv.mda_size = 0: bytes that are free


class Sr(NamedTuple):
    """One volume group over one or several LUNs."""

    volumes: Tuple[Any, ...] = ()
    seed: str = "sr"
    uuid: str = ""
    name: str = "SR"
    description: str = ""
    allocation: str = "thick"
    vg_prefix: str = "VG_XenStorage-"
    vg_name: str = ""  # instead of prefix and uuid
    pvs: Tuple[Pv, ...] = (Pv(),)
    ring: Ring = Ring()
    mgt: bool = True
    records: Tuple[Record, ...] = ()  # further ones: deleted slots, records without a volume
    stale_records: Tuple[Record, ...] = ()  # beyond MGT's length
    mgt_header: bytes = b""  # raw sector 0
    extent_size: int = 4 * MIB
    seqno: int = 0  # 0: one for each volume
    lvm: str = "2.02.180(2)-RHEL7 (2018-07-20)"
    host: str = "xen-host"
    command: str = ""  # description of LVM2 from 2.03.8 on
    vg_status: Tuple[str, ...] = ("RESIZEABLE", "READ", "WRITE")
    vg_lines: Tuple[str, ...] = ()  # further ones, such as: system_id = "host"


class Place(NamedTuple):
    """An LV on its LUNs: ``runs`` are (PV index, offset, length) in the volume's order."""

    name: str
    uuid: str
    runs: Tuple[Tuple[int, int, int], ...]

    @property
    def size(self) -> int:
        """Return the volume's size in bytes."""
        return sum(length for _, _, length in self.runs)


class Built(NamedTuple):
    """What ``build`` wrote."""

    paths: Tuple[str, ...]
    sr: Sr
    sr_uuid: str
    vg: str
    vg_uuid: str
    pv_uuids: Tuple[str, ...]
    lvs: Dict[str, Place]  # by LV name
    uuids: Dict[str, str]  # VDI uuid by key
    names: Dict[str, str]  # LV name by key
    footers: Dict[str, str]  # VHD footer uuid by key
    text: bytes  # the VG text, NUL included

    @property
    def path(self) -> str:
        """Return the only LUN's path."""
        (path,) = self.paths
        return path

    def read(self, lv: str, offset: int, length: int) -> bytes:
        """Return bytes of a volume as it stands on the LUNs now."""
        data = b""
        for pv, start, size in self.lvs[lv].runs:
            if length and 0 <= offset < size:
                take = min(length, size - offset)
                with open(self.paths[pv], "rb") as file:
                    file.seek(start + offset)
                    data += file.read(take)
                offset, length = offset + take, length - take
            offset -= size
        return data
