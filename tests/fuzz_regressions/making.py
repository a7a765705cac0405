"""Builds hostile LUNs by hand: a sound LUN with one thing changed, all checksums right."""

import struct
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hostile import repair
from support import builder
from support.builder import Built, Sr
from support.sparse import SparseDevice

SECTOR = 512
MEMORY = 64 << 20  # bytes that one hostile LUN may take beyond the metadata it holds
SECONDS = 10.0  # of processor time


def lun_of(sr: Sr, number: int = 0) -> tuple[SparseDevice, Built]:
    """Return a LUN of an SR, and what was built."""
    with tempfile.TemporaryDirectory() as folder:
        built = builder.build(sr, Path(folder) / "lun")
        return SparseDevice.load(built.paths[number]), built


def text_of(lun: SparseDevice, start: int = 4096) -> bytes:
    """Return the text of an area."""
    offset, length = struct.unpack_from("<QQ", lun.read(start, SECTOR), 40)
    return lun.read(start + offset, length)


def put_text(lun: SparseDevice, text: bytes, start: int = 4096) -> None:
    """Make ``text`` an area's current one, where the old one stands."""
    header = bytearray(lun.read(start, SECTOR))
    offset = struct.unpack_from("<Q", header, 40)[0]
    lun.write(start + offset, text)
    struct.pack_into("<QI", header, 48, len(text), repair.lvm_crc(text))
    lun.write(start, repair.mda(bytes(header)))


def change_text(lun: SparseDevice, old: bytes, new: bytes) -> None:
    """Replace the first ``old`` of the text."""
    text = text_of(lun)
    assert old in text
    put_text(lun, text.replace(old, new, 1))


def change_label(lun: SparseDevice, at: int, data: bytes) -> None:
    """Change the label in sector 1."""
    raw = lun.read(SECTOR, SECTOR)
    lun.write(SECTOR, repair.label(raw[:at] + data + raw[at + len(data) :]))


def change_vhd(lun: SparseDevice, offset: int, at: int, data: bytes) -> None:
    """Change a VHD's header at LUN offset ``offset``."""
    raw = lun.read(offset, 1024)
    lun.write(offset, repair.vhd(raw[:at] + data + raw[at + len(data) :], 36))


def within_limits(act: Callable[..., Any], *arguments: Any, held: int = 0) -> Any:
    """Return what ``act`` returns; fail when it takes too long or more memory than is allowed."""
    tracemalloc.start()
    begun = time.process_time()
    try:
        result = act(*arguments)
    finally:
        seconds, peak = time.process_time() - begun, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak <= MEMORY + held, "{:.1f} MiB".format(peak / (1 << 20))
    assert seconds <= SECONDS, "{:.1f} s".format(seconds)
    return result


def codes(findings: Sequence[Any]) -> set[str]:
    """Return the codes of findings."""
    return {finding.code for finding in findings}
