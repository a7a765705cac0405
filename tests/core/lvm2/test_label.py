"""The PV label, as LVM2 wrote it and as older versions and hostile hands would."""

import struct
from typing import Sequence, Tuple

import pytest

from relun.core.errors import FormatError
from relun.core.lvm2.checksum import lvm_crc
from relun.core.lvm2.label import find_labels, looks_like_label, parse_label
from support import golden

UUID = "abcdef" + "0123456789" * 2 + "ABCDEF"
Areas = Sequence[Tuple[int, int]]


def sealed(raw: bytes) -> bytes:
    """Return a label sector with its CRC made right."""
    return raw[:16] + struct.pack("<I", lvm_crc(raw[20:])) + raw[20:]


def build(
    sector: int = 1,
    data: Areas = ((11534336, 0),),
    metadata: Areas = ((4096, 11530240),),
    extension: bytes = b"",
    content: int = 32,
) -> bytes:
    """Return a label sector, put together by the layout of label_header and pv_header."""
    raw = struct.pack("<8sQII8s", b"LABELONE", sector, 0, content, b"LVM2 001")
    raw += UUID.encode("ascii") + struct.pack("<Q", 1 << 30)
    for areas in (data, metadata):
        raw += b"".join(struct.pack("<QQ", *area) for area in areas) + bytes(16)
    return sealed((raw + extension).ljust(512, b"\0"))


@pytest.mark.parametrize("name", golden.names())
def test_label_says_what_lvm_reports(name: str) -> None:
    facts = golden.manifest(name)
    (label,) = find_labels(golden.read(golden.image(name), 0, 2048))
    assert label.pv_uuid == facts["pvs"][0]["pv_uuid"].replace("-", "")
    assert label.offset == 512
    assert label.device_size == facts["image_size"]
    assert label.data_areas == ((int(facts["pvs"][0]["pe_start"]), 0),)
    areas = tuple((area["start"], area["size"]) for area in facts["metadata_areas"])
    assert label.metadata_areas == areas
    assert label.extension_version == 2  # LVM 2.03.16


def test_new_uuid_changes_uuid_and_crc_only() -> None:
    raw = golden.read(golden.image("single"), 512, 512)
    changed = parse_label(raw, 1).with_pv_uuid(UUID)
    assert parse_label(changed, 1).pv_uuid == UUID
    assert (changed[:16], changed[20:32], changed[64:]) == (raw[:16], raw[20:32], raw[64:])
    assert changed == sealed(raw[:32] + UUID.encode("ascii") + raw[64:])


def test_label_without_extension() -> None:
    label = parse_label(build(), 1)
    assert (label.extension_version, label.bootloader_areas) == (0, ())


@pytest.mark.parametrize("version", [1, 2])
def test_extension_with_bootloader_area(version: int) -> None:
    extension = struct.pack("<IIQQQQ", version, version - 1, 1 << 20, 4096, 0, 0)
    label = parse_label(build(extension=extension), 1)
    assert label.extension_version == version
    assert label.bootloader_areas == ((1 << 20, 4096),)


def test_no_room_for_an_extension() -> None:
    metadata = [(4096 * n, 4096) for n in range(1, 25)]
    label = parse_label(build(metadata=metadata), 1)
    assert (label.metadata_areas, label.extension_version) == (tuple(metadata), 0)
    with pytest.raises(FormatError):  # it says there is one, but the sector ends
        parse_label(build(metadata=metadata, extension=struct.pack("<II", 1, 0)), 1)


def test_area_list_that_ends_with_the_sector() -> None:
    """27 pairs, two lists' ends among them, and the extension's header fill it to the last byte."""
    metadata = tuple((4096 * n, 4096) for n in range(1, 23))
    extension = struct.pack("<IIQQQQ", 1, 0, 1 << 20, 4096, 0, 0)
    raw = build(metadata=metadata, extension=extension)
    assert 72 + 16 * (2 + 23) + len(extension) == len(raw)
    label = parse_label(raw, 1)
    assert (label.metadata_areas, label.bootloader_areas) == (metadata, ((1 << 20, 4096),))


def test_lvm_looks_at_four_sectors() -> None:
    assert find_labels(bytes(2048) + build(4)) == []
    assert [label.sector for label in find_labels(bytes(1536) + build(3) + build(4))] == [3]


def test_two_labels_are_both_found_in_order() -> None:
    head = bytes(512) + build(1) + bytes(512) + build(3)
    assert [label.sector for label in find_labels(head)] == [1, 3]


def test_no_label() -> None:
    assert find_labels(bytes(2048)) == []


def test_sector_with_the_type_alone_counts_as_a_label() -> None:
    assert looks_like_label(b"wiped!!!" + build()[8:])
    assert looks_like_label(b"LABELONE".ljust(512, b"\0"))
    assert not looks_like_label(bytes(512))


@pytest.mark.parametrize(
    "code, raw",
    [
        ("label-malformed", sealed(b"wiped!!!" + build()[8:])),  # LVM would take it: type is right
        ("label-malformed", sealed(build()[:24] + b"LVM1 001" + build()[32:])),
        ("label-malformed", build(sector=2)),
        ("label-malformed", build(content=40)),
        ("label-malformed", b"LABELONE"),
        ("label-checksum", build()[:-1] + b"x"),
    ],
    ids=["id", "type", "sector", "content", "short", "crc"],
)
def test_damaged_label(code: str, raw: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        find_labels(bytes(512) + raw)
    assert (caught.value.code, caught.value.offset) == (code, 512)


def test_area_list_without_an_end() -> None:
    endless = sealed(build()[:72] + struct.pack("<Q", 1) * ((512 - 72) // 8))
    with pytest.raises(FormatError) as caught:
        parse_label(endless, 1)
    assert (caught.value.code, caught.value.offset) == ("label-malformed", 512)
