"""What LVM and vhd-util tell SM of a LUN file: the VG, its volumes, MGT, images.

A reader of its own, by the formats' own rules, that stops at the first thing it does not expect.
"""

import re
import struct
from typing import Dict, List, NamedTuple, Optional, Tuple

VG_PREFIX = "VG_XenStorage-"
_SECTOR = 512
_ESCAPES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))  # xml.sax takes long to import
_ELEMENT = re.compile(r"<(\w+)>([^<]*)</\1>")


class Vdi(NamedTuple):
    """A record of MGT joined with its volume."""

    fields: Dict[str, str]
    virtual_size: int
    parent: str  # VDI uuid


class Group(NamedTuple):
    """A VG on one LUN. ``volumes``: name -> (offset on the LUN, length) of its segments."""

    name: str
    pv_uuid: str
    volumes: Dict[str, List[Tuple[int, int]]]

    @property
    def sr_uuid(self) -> str:
        """The SR's uuid, empty when the VG is no SR."""
        return self.name[len(VG_PREFIX) :] if self.name.startswith(VG_PREFIX) else ""


def read_group(path: str) -> Optional[Group]:
    """Return the VG on a LUN, None when LVM would see no PV in a VG."""
    with open(path, "rb") as file:
        head = file.read(4 * _SECTOR)
        for sector in range(4):
            label = head[sector * _SECTOR : (sector + 1) * _SECTOR]
            if label[:8] == b"LABELONE" and label[24:32] == b"LVM2 001":
                break
        else:
            return None
        pairs = [struct.unpack_from("<QQ", label, 72 + 16 * n) for n in range(20)]
        areas = pairs[pairs.index((0, 0)) + 1 :]
        start, size = areas[0]
        file.seek(start)
        header = file.read(_SECTOR)
        offset, length = struct.unpack_from("<QQ", header, 40)
        if not offset:
            return None
        file.seek(start + offset)
        text = file.read(min(length, size - offset))
        file.seek(start + _SECTOR)
        text += file.read(length - len(text))
    return _group(text.decode("latin-1"), label[32:64].decode("ascii"))


def read_vdis(path: str, group: Group) -> List[Vdi]:
    """Return MGT's live records that have a volume, as SM's scan sees them."""
    found = []
    for fields in _records(path, group):
        prefix = {"vhd": "VHD-", "aio": "LV-", "qcow2": "QCOW2-"}[fields["vdi_type"]]
        volume = prefix + fields["uuid"]
        if fields["deleted"] == "1" or volume not in group.volumes:
            continue
        if prefix == "VHD-":
            footer = read_volume(path, group, volume, 0, 512)
            assert footer[:8] == b"conectix", volume
            virtual = struct.unpack_from(">Q", footer, 48)[0]
            found.append(Vdi(fields, virtual, _vhd_parent(path, group, volume, footer)))
        else:
            found.append(Vdi(fields, sum(run[1] for run in group.volumes[volume]), ""))
    return found


def cbt_logs(group: Group) -> List[str]:
    """Return the VDIs that have a changed block log."""
    return [name[: -len(".cbtlog")] for name in group.volumes if name.endswith(".cbtlog")]


def read_volume(path: str, group: Group, name: str, offset: int, length: int) -> bytes:
    """Return bytes of a volume."""
    data = b""
    with open(path, "rb") as file:
        for start, size in group.volumes[name]:
            if offset < size and len(data) < length:
                file.seek(start + offset)
                data += file.read(min(length - len(data), size - offset))
            offset = max(0, offset - size)
    return data


def write_names(path: str, group: Group, uuid: str, name: str, description: str) -> None:
    """Write a VDI's names into its record in MGT, as SM's vdi_update does."""
    (start, _size), *_more = group.volumes["MGT"]
    for number, fields in enumerate(_records(path, group)):
        if fields["uuid"] == uuid and fields["deleted"] != "1":
            text = "<vdi><name_label>{}</name_label><name_description>{}</name_description>".format(
                _escaped(name), _escaped(description)
            )
            with open(path, "r+b") as file:
                file.seek(start + (4 + 2 * number) * _SECTOR)
                file.write(text.encode("utf-8").ljust(_SECTOR, b" ")[:_SECTOR])


def wipe(path: str) -> None:
    """Do what SM does to a LUN before it makes an SR on it: zero the first 10 MiB."""
    with open(path, "r+b") as file:
        file.write(bytes(10 << 20))


def _group(text: str, pv_uuid: str) -> Group:
    name = text[: text.index(" {")]
    extent = int(_field(text, "extent_size")) * _SECTOR
    pe_start = int(_field(text, "pe_start")) * _SECTOR
    volumes: Dict[str, List[Tuple[int, int]]] = {}
    part = text[text.index("logical_volumes {") :] if "logical_volumes {" in text else ""
    current = ""
    for line in part.splitlines()[1:]:
        opened = re.match(r"([\w.+-]+) \{", line.strip())
        if opened and not re.match(r"segment\d+$", opened.group(1)):
            current = opened.group(1)
            volumes[current] = []
        count = re.match(r"extent_count = (\d+)", line.strip())
        if count:
            extents = int(count.group(1))
        at = re.match(r'"pv0", (\d+)', line.strip())
        if at:
            volumes[current].append((pe_start + int(at.group(1)) * extent, extents * extent))
    return Group(name, pv_uuid, volumes)


def _escaped(text: str) -> str:
    for plain, escaped in _ESCAPES:
        text = text.replace(plain, escaped)
    return text


def _plain(text: str) -> str:
    for plain, escaped in reversed(_ESCAPES):
        text = text.replace(escaped, plain)
    return text


def _field(text: str, key: str) -> str:
    found = re.search(r"\b{} = (\d+)".format(key), text)
    assert found, key
    return found.group(1)


def _records(path: str, group: Group) -> List[Dict[str, str]]:
    if "MGT" not in group.volumes:
        return []
    length = int(read_volume(path, group, "MGT", 0, _SECTOR)[5:15])
    records = []
    for at in range(4 * _SECTOR, length, 2 * _SECTOR):
        text = read_volume(path, group, "MGT", at, 2 * _SECTOR).decode("utf-8")
        fields = {key: _plain(value) for key, value in _ELEMENT.findall(text)}
        fields.setdefault("deleted", "0")
        records.append(fields)
    return records


def _vhd_parent(path: str, group: Group, volume: str, footer: bytes) -> str:
    if struct.unpack_from(">I", footer, 60)[0] != 4:
        return ""
    header = read_volume(path, group, volume, 512, 1024)
    name = header[64:576].decode("utf-16-be").rstrip("\0").replace("--", "-")
    assert name.startswith(group.name + "-"), "the parent is in another VG: " + name
    return name[-36:]
