"""Clones in memory for the tests of the engine, and forging: changes with their checksums right.

Runs on CPython 3.6 too.
"""

import os
import struct
from typing import Any, Callable, Dict, List, Sequence, Tuple

from relun.core import verbs
from relun.core.lvm2.checksum import lvm_crc
from relun.core.options import Options
from support import builder, golden
from support.builder import Built, Sr, Vhd
from support.memory import MemoryDevice

NEW_SR = "11111111-2222-4333-8444-555555555555"
TREE = (
    Vhd("base", hidden=True, in_mgt=False),
    Vhd("left", parent="base"),
    Vhd("right", parent="base"),
)
MDA = 4096  # where the builder puts the first metadata area
GAP = 2048  # where relun's pointer and stash lie, up to the first metadata area

Devices = List[MemoryDevice]


def sample(name: str) -> MemoryDevice:
    """Return a clone of a sample image."""
    return MemoryDevice(golden.image(name), name)


def made(sr: Sr, folder: Any, called: str = "lun") -> Tuple[Built, Devices]:
    """Build an SR; return what it holds and a clone of its LUNs."""
    built = builder.build(sr, os.path.join(str(folder), called))
    return built, clones(built)


def clones(built: Built) -> Devices:
    """Return fresh clones of what was built."""
    return [MemoryDevice(path) for path in built.paths]


def resign(devices: Sequence[MemoryDevice], **options: Any) -> verbs.Outcome:
    """Resign with a fixed new SR uuid."""
    return verbs.resign(devices, Options(**dict({"sr_uuid": NEW_SR}, **options)))


def states(devices: Sequence[MemoryDevice]) -> List[Dict[int, bytes]]:
    """Return what tells the bytes of all LUNs from any others over the same images."""
    return [device.state() for device in devices]


def codes(findings: Any) -> List[str]:
    """Return the codes of findings, sorted."""
    return sorted(finding.code for finding in findings)


def patch(device: MemoryDevice, offset: int, data: bytes) -> None:
    """Change bytes."""
    device.put(offset, data)


def relabel(device: MemoryDevice, change: Callable[[bytes], bytes], sector: int = 1) -> None:
    """Change a label sector and renew its CRC."""
    raw = change(device.get(sector * 512, 512))
    device.put(sector * 512, raw[:16] + struct.pack("<I", lvm_crc(raw[20:])) + raw[20:])


def rehead(device: MemoryDevice, change: Callable[[bytes], bytes], start: int = MDA) -> None:
    """Change a metadata area's header and renew its CRC."""
    raw = change(device.get(start, 512))
    device.put(start, struct.pack("<I", lvm_crc(raw[4:])) + raw[4:])


def text_of(device: MemoryDevice, start: int = MDA) -> bytes:
    """Return the committed metadata text of an area that does not wrap, with its NUL."""
    offset, size = struct.unpack("<QQ", device.get(start + 40, 16))
    return device.get(start + offset, size)


def retext(device: MemoryDevice, change: Callable[[bytes], bytes], start: int = MDA) -> None:
    """Change an area's text in its place and renew the checksums."""
    (offset,) = struct.unpack("<Q", device.get(start + 40, 8))
    text = change(text_of(device, start))
    device.put(start + offset, text)
    location = struct.pack("<QQI", offset, len(text), lvm_crc(text))
    rehead(device, lambda raw: raw[:40] + location + raw[60:], start)


def lv_at(built: Built, lv_name: str, offset: int = 0) -> Tuple[int, int]:
    """Return (PV index, byte) where an offset of a volume lies; negative from its end."""
    place = built.lvs[lv_name]
    offset += place.size if offset < 0 else 0
    for pv, start, size in place.runs:
        if offset < size:
            return pv, start + offset
        offset -= size
    raise ValueError(lv_name)


def put_lv(built: Built, devices: Devices, lv_name: str, offset: int, data: bytes) -> None:
    """Change bytes of a volume."""
    pv, at = lv_at(built, lv_name, offset)
    devices[pv].put(at, data)


def get_lv(built: Built, devices: Devices, lv_name: str, offset: int, length: int) -> bytes:
    """Return bytes of a volume by its old name, as they are now."""
    pv, at = lv_at(built, lv_name, offset)
    return devices[pv].get(at, length)


def revhd(
    built: Built, devices: Devices, lv_name: str, at: int, data: bytes, both: bool = True
) -> None:
    """Change bytes of a VHD's footer (``at`` below 512; copy and primary) or of its header."""
    begin, size, check = (0, 512, 64) if at < 512 else (512, 1024, 36)
    raw = bytearray(get_lv(built, devices, lv_name, begin, size))
    raw[at - begin : at - begin + len(data)] = data
    raw[check : check + 4] = bytes(4)
    raw[check : check + 4] = struct.pack(">I", ~sum(raw) & 0xFFFFFFFF)
    put_lv(built, devices, lv_name, begin, bytes(raw))
    if begin == 0 and both:
        put_lv(built, devices, lv_name, -512, bytes(raw))
