"""Pages of the journal: each gives back what lay under it, and a foreign page is none."""

import hashlib
import struct
import zlib
from typing import List

import pytest

from relun.core.journal.pages import (
    CAPACITY,
    PAGE,
    STASH_SIZE,
    Page,
    batches,
    build_pages,
    pack_stash,
    pages_needed,
    parse_page,
    parse_pages,
    parse_stash,
    read_payload,
    split,
)

TAG = b"\1\2\3\4\5\6\7\x08"
TEXT = b"old text of this ring, which compresses well. "


def noise(size: int, seed: bytes = b"noise") -> bytes:
    return hashlib.shake_128(seed).digest(size)


def old_text(pages: int) -> bytes:
    return (TEXT * (pages * PAGE // len(TEXT) + 1))[: pages * PAGE]


def built(payload: bytes, old: bytes) -> bytes:
    region = build_pages(payload, old, TAG)
    assert region is not None
    return region


@pytest.mark.parametrize("size", [1, CAPACITY - 1, CAPACITY, CAPACITY + 1, 10 * CAPACITY])
def test_payload_over_zeros(size: int) -> None:
    payload = noise(size)
    count = pages_needed(size)
    region = built(payload, bytes(count * PAGE))
    assert len(region) == count * PAGE
    assert read_payload(region, TAG) == payload
    assert build_pages(payload, bytes((count - 1) * PAGE), TAG) is None


def test_payload_over_old_texts_keeps_them() -> None:
    payload, old = noise(5000), old_text(20)
    region = built(payload, old)
    assert read_payload(region, TAG) == payload
    pages = parse_pages(region, TAG)
    assert b"".join(page.old for page in pages) == old[: len(region)]
    assert len(region) < len(old)  # no more than is needed


def test_incompressible_bytes_stay_where_they_are() -> None:
    old = old_text(2) + noise(PAGE) + old_text(8)
    payload = noise(4 * PAGE)
    region = built(payload, old)
    assert region[2 * PAGE : 3 * PAGE] == old[2 * PAGE : 3 * PAGE]
    assert [page.number for page in parse_pages(region, TAG)][:3] == [0, 1, 3]
    assert read_payload(region, TAG) == payload


def test_nothing_but_incompressible_bytes() -> None:
    assert build_pages(b"x", noise(8 * PAGE), TAG) is None


def test_foreign_pages_are_none() -> None:
    (page,) = parse_pages(built(b"payload", bytes(PAGE)), TAG)
    raw = built(b"payload", bytes(PAGE))
    assert page == Page(0, bytes(PAGE), b"", b"payload")
    assert parse_page(raw, 1, TAG) is None
    assert parse_page(raw, 0, bytes(8)) is None
    assert parse_page(bytes(PAGE), 0, TAG) is None


def test_one_wrong_bit_is_enough() -> None:
    raw = built(noise(500), old_text(1))
    for at in range(PAGE):
        assert parse_page(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :], 0, TAG) is None


def forged(raw: bytes, at: int, field: bytes) -> bytes:
    """Return a page with a field changed and its CRC right."""
    raw = raw[:at] + field + raw[at + len(field) :]
    return raw[:24] + struct.pack("<I", zlib.crc32(raw[:24] + bytes(4) + raw[28:])) + raw[28:]


@pytest.mark.parametrize(
    "at, field",
    [
        (16, struct.pack("<H", 0)),  # says that zeros lay there
        (16, struct.pack("<H", 3)),  # a stream cut short
        (20, bytes(4)),  # another CRC of the old bytes
        (28, b"\xff\xff"),  # no stream
    ],
)
def test_forged_page(at: int, field: bytes) -> None:
    raw = built(b"payload", old_text(1))
    assert parse_page(forged(raw, 16, raw[16:18]), 0, TAG) is not None
    assert parse_page(forged(raw, at, field), 0, TAG) is None


def pages_of(region: bytes) -> List[Page]:
    return parse_pages(region, TAG)


def test_batches_fit_the_stash_and_are_consecutive() -> None:
    old = b"".join(noise(600, bytes([n])) + old_text(1)[600:] for n in range(6))
    old = old[: 3 * PAGE] + noise(PAGE) + old[3 * PAGE :]
    pages = pages_of(built(noise(1800), old))
    found = list(batches(pages))
    assert [page for batch in found for page in batch] == pages
    assert len(found) > 2
    for batch in found:
        numbers = [page.number for page in batch]
        assert numbers == list(range(numbers[0], numbers[0] + len(batch)))
        stash = pack_stash(batch)
        assert len(stash) <= STASH_SIZE
        kept = parse_stash(stash.ljust(STASH_SIZE, b"\0"))
        assert kept is not None
        assert (kept.first, kept.old) == (numbers[0], b"".join(page.old for page in batch))


def two_pages(streams: int) -> List[Page]:
    """Return pages 3 and 4, over old bytes whose two streams have just so many bytes together."""
    by_size = {}
    for count in range(0, CAPACITY - 100, 3):
        (page,) = pages_of(built(b"p", noise(count) + bytes(PAGE - count)))
        by_size[len(page.blob)] = page
    size = next(size for size in by_size if streams - size in by_size)
    return [by_size[size]._replace(number=3), by_size[streams - size]._replace(number=4)]


def test_stash_filled_to_its_last_byte() -> None:
    """16 bytes of header, and two before each stream: not one byte of room is given away."""
    first, second = two_pages(STASH_SIZE - 16 - 3 * 2)
    zeros = Page(5, bytes(PAGE), b"", b"")
    full = [first, second, zeros]
    assert list(batches(full)) == [full]
    stash = pack_stash(full)
    assert len(stash) == STASH_SIZE
    kept = parse_stash(stash)
    assert kept is not None
    assert (kept.first, kept.old) == (3, first.old + second.old + bytes(PAGE))
    more = Page(6, bytes(PAGE), b"", b"")
    assert list(batches([*full, more])) == [full, [more]]


def test_half_a_page_at_the_end_is_none() -> None:
    for odd in (0, 1, PAGE - 1):
        assert list(split(bytes(2 * PAGE + odd))) == [bytes(PAGE)] * 2


def test_no_pages_no_batches() -> None:
    assert list(batches([])) == []


def test_many_zero_pages_share_a_batch() -> None:
    pages = pages_of(built(noise(50 * CAPACITY), bytes(50 * PAGE)))
    assert [len(batch) for batch in batches(pages)] == [50]


def test_torn_stash_is_none() -> None:
    stash = pack_stash(pages_of(built(b"payload", old_text(1)))).ljust(STASH_SIZE, b"\0")
    assert parse_stash(stash) is not None
    used = len(stash.rstrip(b"\0"))
    for at in [*range(4), *range(8, used)]:
        assert parse_stash(stash[:at] + bytes([stash[at] ^ 1]) + stash[at + 1 :]) is None
    assert parse_stash(bytes(STASH_SIZE)) is None


def test_stash_with_impossible_lengths() -> None:
    def stash(count: int, body: bytes) -> bytes:
        return (struct.pack("<4sIII", b"RLNS", 0, count, zlib.crc32(body)) + body).ljust(
            STASH_SIZE, b"\0"
        )

    assert parse_stash(stash(1, b"\0\0")) is not None
    assert parse_stash(stash(1 << 31, b"")) is None
    assert parse_stash(stash(2, struct.pack("<H", 65535) + bytes(STASH_SIZE - 18))) is None
    assert parse_stash(stash(1, struct.pack("<H", 4) + b"\xff\xff\xff\xff")) is None
    assert parse_stash(stash(STASH_SIZE, bytes(STASH_SIZE - 16))) is None
