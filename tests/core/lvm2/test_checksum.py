"""LVM2's CRC, held against values that LVM2 itself stored."""

import struct

import pytest

from relun.core.lvm2.checksum import lvm_crc
from support import golden


@pytest.mark.parametrize("name", golden.names())
def test_crc_of_the_text_is_the_one_lvm_stored(name: str) -> None:
    for index, area in enumerate(golden.manifest(name)["metadata_areas"]):
        assert lvm_crc(golden.metadata_text(name, index)) == int(area["text_crc"], 16)


def test_crc_of_label_and_mda_header_is_the_one_lvm_stored() -> None:
    head = golden.read(golden.image("single"), 0, 8192)
    label, mda_header = head[512:1024], head[4096:4608]
    assert struct.pack("<I", lvm_crc(label[20:])) == label[16:20]
    assert struct.pack("<I", lvm_crc(mda_header[4:])) == mda_header[:4]


def test_one_changed_bit_changes_the_crc() -> None:
    text = golden.metadata_text("single")
    assert lvm_crc(text) != lvm_crc(text[:-2] + bytes([text[-2] ^ 1]) + text[-1:])
