"""What targets answer, as bytes: cases that no target on this machine gives."""

from __future__ import annotations

import struct

import pytest

from relun.remote import scsi
from relun.remote.scsi import Sense


def page(content: bytes) -> bytes:
    """Return a page of vital product data."""
    return struct.pack(">BBH", 0, 0x83, len(content)) + content


def designator(kind: int, value: bytes, code_set: int = 1) -> bytes:
    """Return one designator of page 83h."""
    return bytes([code_set, kind, 0, len(value)]) + value


NAA6 = bytes.fromhex("60000000000000000e00000000010001")
NAA5 = bytes.fromhex("5000c500deadbeef")
NAA3 = bytes.fromhex("3000000000000001")
EUI = bytes.fromhex("0025385b71b00f2a")


@pytest.mark.parametrize(
    ("designators", "expected"),
    [
        ([designator(3, NAA6)], "3" + NAA6.hex()),
        ([designator(3, NAA3), designator(3, NAA5), designator(3, NAA6)], "3" + NAA6.hex()),
        ([designator(1, b"LAB     disk 1", 2), designator(3, NAA5)], "3" + NAA5.hex()),
        ([designator(0x13, NAA5), designator(2, EUI)], "2" + EUI.hex()),  # a port's NAA
        ([designator(1, b"LAB     disk 1\0\0", 2)], "1LAB_disk_1"),
        ([designator(3, bytes(16))], ""),
        ([], ""),
    ],
)
def test_scsi_id(designators: list[bytes], expected: str) -> None:
    """The best designator of the LUN itself, spelled as scsi_id(8) does."""
    assert scsi.parse_scsi_id(page(b"".join(designators))) == expected


def full_status(*entries: bytes) -> bytes:
    """Return a READ FULL STATUS answer."""
    return struct.pack(">II", 5, sum(map(len, entries))) + b"".join(entries)


def registrant(key: int, holder: bool, transport: bytes) -> bytes:
    """Return one full status descriptor."""
    return (
        struct.pack(">Q4xBB4xHI", key, holder, 0x05, 1, len(transport)) + transport
    )  # write exclusive, registrants only


def iscsi_name(name: bytes, form: int = 0) -> bytes:
    """Return an iSCSI TransportID."""
    padded = name + bytes(-len(name) % 4 or 4)
    return struct.pack(">BBH", 5 | form << 6, 0, len(padded)) + padded


def test_holder_by_name() -> None:
    """The holder among the registrants, by iSCSI name or Fibre Channel port."""
    other = registrant(1, False, iscsi_name(b"iqn.2024-01.lab:other"))
    mine = registrant(2, True, iscsi_name(b"iqn.2024-01.lab:host-7,i,0x00023d000001", 1))
    found = scsi.parse_full_status(full_status(other, mine))
    assert found is not None
    assert found.holder == "iqn.2024-01.lab:host-7 (key 0x0000000000000002)"
    assert found.kind == "write exclusive, registrants only"
    port = bytes(8) + NAA5 + bytes(8)
    found = scsi.parse_full_status(full_status(registrant(3, True, port)))
    assert found is not None and found.holder.startswith("WWPN 5000c500deadbeef")
    assert scsi.parse_full_status(full_status(other)) is None
    assert scsi.parse_full_status(full_status()) is None


def test_no_reservation() -> None:
    """Registrations alone are none."""
    assert scsi.parse_reservation(struct.pack(">II", 7, 0)) is None


@pytest.mark.parametrize(
    ("sense", "words"),
    [
        (Sense(2, 4, 0x0B), "standby"),
        (Sense(7, 0x27, 0), "write-protected"),
        (Sense(7, 0x27, 7), "no space left"),
        (Sense(4, 0x44, 0), "hardware error (44h/00h)"),
        (Sense(9, 1, 2), "sense key 9h (01h/02h)"),
    ],
)
def test_words(sense: Sense, words: str) -> None:
    """What an administrator can act on is said in words, all else by its numbers."""
    assert words in str(sense)


def test_what_to_do() -> None:
    """Which conditions pass, and which put the LUN in doubt."""
    assert Sense(2, 4, 1).transient and Sense(0xB, 0, 0).transient and Sense(6, 0x3F, 3).transient
    assert not Sense(2, 0x3A, 0).transient and not Sense(3, 0x11, 0).transient
    doubtful = [Sense(6, 0x29, n) for n in range(8)] + [Sense(6, 0x2A, 9), Sense(6, 0x3F, 0x0E)]
    assert all(sense.doubtful for sense in doubtful)
    assert not Sense(6, 0x2A, 1).doubtful and not Sense(5, 0x29, 0).doubtful
    assert Sense(6, 0x2A, 3).reservations_changed and not Sense(6, 0x2A, 9).reservations_changed


def test_write_cache() -> None:
    """The bit of the caching page, behind block descriptors of any length."""
    with_cache = bytes([0x17, 0, 0, 0]) + bytes([0x08, 0x12, 0x04]) + bytes(17)
    assert scsi.parse_write_cache(with_cache)
    behind = bytes([0x1F, 0, 0, 8]) + bytes(8) + bytes([0x88, 0x12, 0x04]) + bytes(17)
    assert scsi.parse_write_cache(behind)
    assert not scsi.parse_write_cache(bytes([0x17, 0, 0, 0, 0x08, 0x12, 0x10]))
    assert not scsi.parse_write_cache(b"")
