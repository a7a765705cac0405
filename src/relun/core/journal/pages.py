"""The journal's pages: each holds a slice of the payload and, compressed, the bytes it replaced.

So the old bytes of every page can be had from the page itself, which is what lets undo give back
even the space that the journal lay in. A page (1 KiB, little endian): magic, the journal's tag,
page number, length of the old bytes' deflate stream (0: they were zeros), length of the slice,
CRC-32 of the old bytes, CRC-32 of the page with this field zero; the stream; the slice. Where the
old bytes do not compress there is no page: they stay, and the journal goes on behind them.
"""

import struct
import zlib

from relun.core.hints import Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

PAGE = 1024
PAGE_MAGIC = b"RLNJ"
_HEADER = struct.Struct("<4s8sIHHII")
_STASH = struct.Struct("<4sIII")  # magic, first page, count, CRC-32 of the rest
_LENGTH = struct.Struct("<H")
STASH_SIZE = 1536
_STASH_MAGIC = b"RLNS"
CAPACITY = PAGE - _HEADER.size  # payload bytes in a page that replaced zeros
_ZEROS = bytes(PAGE)


class Page(NamedTuple):
    """A valid page. ``blob`` is the deflate stream of ``old``, empty when ``old`` is zeros."""

    number: int
    old: bytes
    blob: bytes
    slice: bytes


class Stash(NamedTuple):
    """The old bytes of consecutive pages from ``first`` on, kept while these are replaced."""

    first: int
    old: bytes


def pages_needed(length: int) -> int:
    """Return the number of pages for a payload of ``length`` bytes where zeros lay."""
    return -(-length // CAPACITY)


def build_pages(payload: bytes, old: bytes, tag: bytes) -> Optional[bytes]:
    """Return the region that carries ``payload`` where ``old`` lay, None when it is too small."""
    built: List[bytes] = []
    position = 0
    for number, before in enumerate(split(old)):
        if position >= len(payload):
            break
        blob = b"" if before == _ZEROS else _deflated(before)
        part = payload[position : position + max(0, CAPACITY - len(blob))]
        built.append(_build_page((tag, number), before, blob, part) if part else before)
        position += len(part)
    return b"".join(built) if position >= len(payload) else None


def parse_page(raw: bytes, number: int, tag: bytes) -> Optional[Page]:
    """Return page ``number`` of the journal ``tag``, None when these bytes are anything else."""
    magic, own_tag, own_number, blob_size, slice_size, old_crc, crc = _HEADER.unpack_from(raw)
    if magic != PAGE_MAGIC or own_tag != tag or own_number != number or _page_crc(raw) != crc:
        return None
    slice_at = _HEADER.size + blob_size
    blob = raw[_HEADER.size : slice_at]
    old = _inflated(blob)
    if len(old) != PAGE or zlib.crc32(old) != old_crc:
        return None
    return Page(number, old, blob, raw[slice_at : slice_at + slice_size])


def parse_pages(region: bytes, tag: bytes) -> List[Page]:
    """Return all valid pages of a region."""
    found = [parse_page(raw, number, tag) for number, raw in enumerate(split(region))]
    return [page for page in found if page is not None]


def read_payload(region: bytes, tag: bytes) -> bytes:
    """Return the payload in the pages of a region; whether it is whole its own checksums tell."""
    return b"".join([page.slice for page in parse_pages(region, tag)])


def split(region: bytes) -> Iterator[bytes]:
    """Yield the pages of a region."""
    for at in range(0, len(region) - PAGE + 1, PAGE):
        yield region[at : at + PAGE]


def batches(pages: Iterable[Page]) -> Iterator[List[Page]]:
    """Yield runs of consecutive pages whose old bytes the stash holds at once."""
    batch: List[Page] = []
    size = _STASH.size
    for page in pages:
        needed = _LENGTH.size + len(page.blob)
        if batch and (size + needed > STASH_SIZE or page.number != batch[-1].number + 1):
            yield batch
            batch, size = [], _STASH.size
        batch.append(page)
        size += needed
    if batch:
        yield batch


def pack_stash(batch: Sequence[Page]) -> bytes:
    """Return the stash that keeps the old bytes of a batch while it is replaced."""
    body = b"".join(_LENGTH.pack(len(page.blob)) + page.blob for page in batch)
    return _STASH.pack(_STASH_MAGIC, batch[0].number, len(batch), zlib.crc32(body)) + body


def parse_stash(raw: bytes) -> Optional[Stash]:
    """Return what the stash holds, None when it is empty or torn."""
    magic, first, count, crc = _STASH.unpack_from(raw)
    if magic != _STASH_MAGIC or count > STASH_SIZE:
        return None
    position = _STASH.size
    old = []
    for _page in range(count):
        if position + _LENGTH.size > len(raw):
            return None
        end = position + _LENGTH.size + _LENGTH.unpack_from(raw, position)[0]
        old.append(_inflated(raw[position + _LENGTH.size : end]))
        position = end
    if zlib.crc32(raw[_STASH.size : position]) != crc or any(len(o) != PAGE for o in old):
        return None
    return Stash(first, b"".join(old))


def _deflated(old: bytes) -> bytes:
    """Return a page's stream, made with a window of its size: quick to set up."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, 10, 4)
    return deflate.compress(old) + deflate.flush()


def _inflated(blob: bytes) -> bytes:
    """Return the page in a stream, nothing when it is damaged."""
    if not blob:
        return _ZEROS
    try:
        return zlib.decompressobj().decompress(blob, PAGE)
    except zlib.error:
        return b""


def _build_page(own: Tuple[bytes, int], old: bytes, blob: bytes, part: bytes) -> bytes:
    fields = (PAGE_MAGIC, *own, len(blob), len(part), zlib.crc32(old))
    body = (blob + part).ljust(CAPACITY, b"\0")
    blank = _HEADER.pack(*fields, 0) + body
    return _HEADER.pack(*fields, zlib.crc32(blank)) + body


def _page_crc(raw: bytes) -> int:
    return zlib.crc32(raw[: _HEADER.size - 4] + bytes(4) + raw[_HEADER.size :])
