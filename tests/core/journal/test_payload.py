"""A change as bytes and back; anything that is no payload is refused as such."""

import struct
import zlib
from typing import Any

import pytest

from relun.core.edit import Change, Edit
from relun.core.errors import FormatError
from relun.core.journal import payload as payload_module
from relun.core.journal.payload import pack_change, unpack_change
from support.builder import make_uuid
from support.builder.ids import lvm_id

CHANGE = Change(
    make_uuid("p", "old"),
    make_uuid("p", "new"),
    1,
    (lvm_id("p", "pv0"), lvm_id("p", "pv1")),
    (1 << 40) + 3,
    (b"\1" * 512, bytes(512)),
    (Edit(0, 512, b"a" * 512, b"b" * 512, "PV label"), Edit(1, 0, b"c", b"d", "PV label")),
    (Edit(1, 1 << 45, b"", b"", "nothing"), Edit(0, 4096, b"x" * 9, b"y" * 9, "Größe")),
)


def body(payload: bytes) -> bytes:
    return zlib.decompress(payload[6:])


def packed(data: bytes) -> bytes:
    return b"relun1" + zlib.compress(data)


def test_change_comes_back() -> None:
    assert unpack_change(pack_change(CHANGE)) == CHANGE


def test_change_of_one_lun_without_edits() -> None:
    small = CHANGE._replace(switch=0, pv_uuids=CHANGE.pv_uuids[:1], labels=CHANGE.labels[:1])
    small = small._replace(edits=(), old_pointers=(b"",))
    assert unpack_change(pack_change(small)) == small


def test_what_follows_the_payload_does_not_matter() -> None:
    assert unpack_change(pack_change(CHANGE) + bytes(700)) == CHANGE


def damaged(payload: bytes) -> Any:
    with pytest.raises(FormatError) as caught:
        unpack_change(payload)
    assert caught.value.code == "journal-damaged"
    return caught.value.fields["reason"]


def test_every_cut_is_noticed() -> None:
    data = body(pack_change(CHANGE))
    whole = {data.index(what) - 16 for what in (b"nothing", b"Gr")}  # all edits so far are whole
    for size in set(range(len(data))) - whole:
        damaged(packed(data[:size]))


def test_stream_without_its_end() -> None:
    """Even where what is there ends with a whole edit."""
    data = body(pack_change(CHANGE))
    for size in (data.index(b"Gr") - 16, len(data)):
        deflate = zlib.compressobj()
        stream = deflate.compress(data[:size]) + deflate.flush(zlib.Z_SYNC_FLUSH)
        assert damaged(b"relun1" + stream) == "cut short"


def test_no_payload() -> None:
    damaged(b"")
    damaged(b"relun2" + zlib.compress(b""))
    damaged(b"relun1")
    damaged(b"relun1 and no stream")


def test_counts_that_cannot_be() -> None:
    data = body(pack_change(CHANGE))
    at = 2 * (4 + 36)  # behind the two SRs
    assert struct.unpack_from("<II", data, at) == (1, 2)
    assert damaged(packed(data[:at] + struct.pack("<I", 2) + data[at + 4 :])) == "too short"
    damaged(packed(data[: at + 4] + struct.pack("<I", 1 << 31) + data[at + 8 :]))
    fewer = body(pack_change(CHANGE._replace(labels=CHANGE.labels[:1], edits=())))
    lun = struct.pack("<I", 0)
    one = fewer[: at + 4] + struct.pack("<I", 2) + fewer[at + 8 : at + 16]
    assert damaged(packed(one + lun * 4)) == "too short"


@pytest.mark.parametrize(
    "change, reason",
    [
        (CHANGE._replace(labels=CHANGE.labels[::-1]), "no label"),
        (CHANGE._replace(labels=(CHANGE.labels[0], CHANGE.edits[0])), "no label"),
        (CHANGE._replace(labels=(CHANGE.labels[0], CHANGE.labels[1]._replace(offset=2048))), ""),
        (CHANGE._replace(edits=(Edit(2, 0, b"a", b"b", "third LUN of two"),)), "no edit"),
        (CHANGE._replace(edits=(Edit(0, 0, b"a", b"bc", "another length"),)), "no edit"),
    ],
)
def test_what_no_resign_would_write(change: Change, reason: str) -> None:
    assert damaged(pack_change(change)) == (reason or "no label")


def test_more_edits_than_any_resign_has(monkeypatch: Any) -> None:
    monkeypatch.setattr(payload_module, "_MOST_EDITS", 3)
    assert damaged(pack_change(CHANGE)) == "too many edits"


def test_names_that_are_no_text() -> None:
    data = body(pack_change(CHANGE))
    damaged(packed(data.replace("Größe".encode("utf-8"), b"Gr\xff\xff\xff\xffe")))


def one_lun(edits: "tuple[Edit, ...]") -> Change:
    """Return a change of one LUN."""
    label = CHANGE.labels[:1]
    return Change("a", "b", 0, ("pv",), 1, (bytes(512),), label, edits)


@pytest.mark.parametrize("spare, fits", [(1, True), (0, False)])
def test_bytes_that_fit(spare: int, fits: bool, monkeypatch: Any) -> None:
    """Old and new bytes, the word for it and 64 bytes more are counted for each edit."""
    change = one_lun((Edit(0, 4096, b"x" * 9, b"y" * 9, "abc"), Edit(0, 8192, b"x", b"y", "d")))
    counted = 9 + 9 + 3 + 64 + 1 + 1 + 1 + 64
    monkeypatch.setattr(payload_module, "_STEP", 1000)
    monkeypatch.setattr(payload_module, "_MOST_BYTES", 1000 + counted + spare)
    assert payload_module.fits_payload(change) == fits


@pytest.mark.parametrize("spare, fits", [(1, True), (0, False)])
def test_edits_that_fit(spare: int, fits: bool, monkeypatch: Any) -> None:
    change = one_lun((Edit(0, 4096, b"x", b"y", "a"),) * 3)
    monkeypatch.setattr(payload_module, "_MOST_EDITS", 3 + 256 + spare)
    assert payload_module.fits_payload(change) == fits


def test_limits_are_beyond_what_4094_disks_come_to() -> None:
    assert (payload_module._MOST_BYTES, payload_module._MOST_EDITS) == (48 * 1024 * 1024, 40000)


@pytest.mark.parametrize("step", [1, 7, 100, 1 << 20])
def test_inflated_a_part_at_a_time(step: int, monkeypatch: Any) -> None:
    """Whatever the size of a part, and whatever is asked for next."""
    monkeypatch.setattr(payload_module, "_STEP", step)
    assert unpack_change(pack_change(CHANGE)) == CHANGE


@pytest.mark.parametrize("spare", [0, -1])
def test_inflated_bytes_are_counted(spare: int, monkeypatch: Any) -> None:
    """All there may be is believed, one more is not; each is counted once."""
    payload = pack_change(CHANGE)
    monkeypatch.setattr(payload_module, "_STEP", 1)
    # One byte is asked for behind the end, to see that it is the end.
    monkeypatch.setattr(payload_module, "_MOST_BYTES", len(body(payload)) + 1 + spare)
    if spare == 0:
        assert unpack_change(payload) == CHANGE
    else:
        assert damaged(payload) == "too long"


@pytest.mark.parametrize("size, believed", [(10, True), (11, False)])
def test_first_field_may_be_all_there_may_be(size: int, believed: bool, monkeypatch: Any) -> None:
    monkeypatch.setattr(payload_module, "_MOST_BYTES", 10)
    reader = payload_module._Reader(zlib.compress(bytes(11)))
    if believed:
        assert reader.take(size) == bytes(size)
    else:
        with pytest.raises(ValueError):
            reader.take(size)


@pytest.mark.parametrize("chunk", [1, 3, 16, 1000])
def test_reader_takes_and_knows_the_end(chunk: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(payload_module, "_STEP", 5)
    data = bytes(range(250)) * 8
    reader = payload_module._Reader(zlib.compress(data))
    for at in range(0, len(data), chunk):
        assert not reader.at_end
        assert reader.take(min(chunk, len(data) - at)) == data[at : at + chunk]
    assert reader.at_end
    with pytest.raises(ValueError) as caught:
        reader.take(1)
    assert str(caught.value) == "cut short"
    assert reader.take(0) == b""


def test_reader_asks_for_no_more_than_it_needs() -> None:
    """A step at least is inflated, and not one byte more than was asked for beyond it."""
    reader = payload_module._Reader(zlib.compress(bytes(5 << 20)))
    reader.take(10)
    assert len(reader._ready) == 1 << 20
    reader.take(2 << 20)
    assert len(reader._ready) == 2 << 20


def test_reader_of_a_stream_without_its_end() -> None:
    stream = zlib.compress(b"abc" * 100)
    reader = payload_module._Reader(stream[:-4])
    reader.take(300)
    with pytest.raises(ValueError):
        assert reader.at_end


def test_words_for_what_is_wrong() -> None:
    assert damaged(b"relun2" + pack_change(CHANGE)[6:]) == "no payload"
    assert damaged(packed(body(pack_change(CHANGE))[:-1])) == "cut short"
    with pytest.raises(FormatError) as caught:
        unpack_change(b"")
    assert caught.value.fields.get("offset", caught.value.offset) == 0
