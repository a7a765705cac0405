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
