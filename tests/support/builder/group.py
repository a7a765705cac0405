"""The volume group: where volumes lie, its text, and what each PV begins and ends with."""

import os
from typing import Any, List, NamedTuple, Sequence, Tuple

from support.builder import lvmtext
from support.builder.ids import lvm_id
from support.builder.model import MIB, SECTOR, Pv, Sr
from support.builder.volumes import Volume, round_up

_MDA_START = 4096
_TIME = 1795464365


class Shape(NamedTuple):
    """A PV's figures in bytes; ``mdas`` are (start, size)."""

    size: int
    pe_start: int
    pe_count: int
    mdas: Tuple[Tuple[int, int], ...]


class Text(NamedTuple):
    """The current text and those before it."""

    body: bytes
    older: Tuple[bytes, ...]  # oldest first


def allocate(
    sr: Sr, volumes: Sequence[Volume]
) -> Tuple[List[List[Tuple[int, int, int]]], List[int]]:
    """Return each volume's segments (extents, PV, first extent), and the extents used per PV."""
    used = [0] * len(sr.pvs)
    placed = []
    for volume in volumes:
        extents = volume.size // sr.extent_size
        pieces = min(volume.segments, extents)
        parts = []
        for piece in range(pieces):
            share = extents // pieces + (1 if piece < extents % pieces else 0)
            pv = (volume.pv + piece) % len(sr.pvs)
            parts.append((share, pv, used[pv]))
            used[pv] += share + (1 if pieces > 1 else 0)
        placed.append(parts)
    return placed, used


def texts(
    sr: Sr,
    vg: str,
    pv_uuids: Sequence[str],
    lvs: Sequence[lvmtext.TextLv],
    used: Sequence[int],
) -> Tuple[Text, List[Shape]]:
    """Return the texts, and the figures of each PV."""
    seqno = sr.seqno or len(lvs) + 2
    # The text's length does not depend on the figures' digits by more than a few bytes.
    guess = 1200 + 400 * len(sr.pvs) + sum(420 + 140 * len(lv.segments) for lv in lvs)
    shapes = [_shape(sr, pv, guess, extents) for pv, extents in zip(sr.pvs, used)]
    body = _one_text(sr, vg, pv_uuids, lvs, shapes, seqno)
    if any(pv.mda_size == 0 for pv in sr.pvs):
        shapes = [_shape(sr, pv, len(body), extents) for pv, extents in zip(sr.pvs, used)]
        body = _one_text(sr, vg, pv_uuids, lvs, shapes, seqno)
    older = tuple(
        _one_text(sr, vg, pv_uuids, lvs[: max(0, len(lvs) - back)], shapes, max(1, seqno - back))
        for back in range(sr.ring.history, 0, -1)
    )
    return Text(body, older), shapes


def _one_text(
    sr: Sr,
    vg: str,
    pv_uuids: Sequence[str],
    lvs: Sequence[lvmtext.TextLv],
    shapes: Sequence[Shape],
    seqno: int,
) -> bytes:
    pvs = [
        lvmtext.TextPv(
            uuid,
            pv.device,
            shape.size // SECTOR,
            shape.pe_start // SECTOR,
            shape.pe_count,
            pv.status,
            pv.flags,
            pv.device_id,
        )
        for uuid, pv, shape in zip(pv_uuids, sr.pvs, shapes)
    ]
    return lvmtext.text(
        lvmtext.TextVg(
            vg,
            lvm_id(sr.seed, "vg"),
            seqno,
            sr.extent_size // SECTOR,
            pvs,
            lvs,
            sr.vg_status,
            sr.vg_lines,
            sr.lvm,
            sr.command,
            sr.host,
            time=_TIME + seqno,
        )
    )


def _shape(sr: Sr, pv: Pv, text_size: int, used: int) -> Shape:
    mda_size = pv.mda_size or round_up(SECTOR + text_size, SECTOR) + round_up(sr.ring.spare, SECTOR)
    pe_start = round_up(_MDA_START + (mda_size if pv.mdas else 0), MIB)
    size = pv.size
    second = mda_size if pv.mdas > 1 else 0
    if not size:
        size = round_up(pe_start + (used + pv.spare) * sr.extent_size + second, MIB)
    pe_count = (size - second - pe_start) // sr.extent_size
    if pe_count < used:
        raise ValueError("{} extents do not fit into {} bytes".format(used, size))
    starts = (_MDA_START, (size - second) // 4096 * 4096)[: pv.mdas]
    sizes = (mda_size, size - starts[-1]) if pv.mdas > 1 else (mda_size,)
    return Shape(size, pe_start, pe_count, tuple(zip(starts, sizes)))


def write_pv(sr: Sr, pv: Pv, shape: Shape, uuid: str, text: Text, fd: int) -> None:
    """Write a PV's label and metadata areas."""
    label = lvmtext.label(
        pv.label_sector, uuid, shape.size, shape.pe_start, shape.mdas, pv.extension
    )
    os.pwrite(fd, label, pv.label_sector * SECTOR)
    for start, size in shape.mdas:
        if sr.ring.filled:
            junk = b"# old text of this ring #\n" * (size // 26)
            os.pwrite(fd, junk[: size - SECTOR], start + SECTOR)
        slots: List[Any] = []
        offset = sr.ring.offset if sr.ring.offset >= 0 else size + sr.ring.offset
        if not pv.ignored:
            for back, older in enumerate(reversed(text.older), 1):
                at = offset - back * round_up(len(older), SECTOR)
                _write_ring(fd, start, size, older, (at - SECTOR) % (size - SECTOR) + SECTOR)
            _write_ring(fd, start, size, text.body, offset)
        slots.append((offset, text.body))
        if sr.ring.precommitted and text.older:
            at = offset - round_up(len(text.older[-1]), SECTOR)
            slots.append(((at - SECTOR) % (size - SECTOR) + SECTOR, text.older[-1]))
        os.pwrite(fd, lvmtext.mda_header(start, size, slots, pv.ignored), start)


def _write_ring(fd: int, start: int, size: int, body: bytes, offset: int) -> None:
    for at, data in lvmtext.ring(body, offset, size):
        os.pwrite(fd, data, start + at)


def write_runs(
    files: Sequence[Any], runs: Sequence[Tuple[int, int, int]], offset: int, data: bytes
) -> None:
    """Write bytes at an offset of a volume."""
    for pv, start, size in runs:
        if data and 0 <= offset < size:
            os.pwrite(files[pv].fileno(), data[: size - offset], start + offset)
            data, offset = data[size - offset :], offset + len(data[: size - offset])
        offset -= size
