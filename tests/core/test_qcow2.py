"""QCOW2 headers: the samples, qemu-img's own images, and damaged ones."""

import shutil
import struct
import subprocess
from typing import Any

import pytest

from relun.core.errors import FormatError
from relun.core.qcow2 import parse_qcow2
from support import golden

PATH = "/dev/VG_XenStorage-11111111-2222-3333-4444-555555555555/QCOW2-{}".format("a" * 36)
HIDDEN, DATA_FILE = 0x76617465, 0x44415441


def qcow2s() -> Any:
    """Return LV name and manifest entry of the QCOW2 images of the sample."""
    vdis = golden.manifest("qcow2")["vdis"]
    return [(name, facts) for name, facts in sorted(vdis.items()) if facts["kind"] == "qcow2"]


@pytest.mark.parametrize("lv_name, facts", qcow2s(), ids=[name for name, _facts in qcow2s()])
def test_header_says_what_qemu_img_reports(lv_name: str, facts: Any) -> None:
    head = golden.read_lv("qcow2", lv_name, 0, 4096)
    header = parse_qcow2(head)
    assert header.virtual_size == facts["virtual_size"]
    assert header.cluster_size == facts["cluster_size"]
    assert not header.external_data
    private = [entry for entry in facts["extensions"] if int(entry["type"], 16) == HIDDEN]
    assert header.hidden == any(entry["data_hex"].startswith("01") for entry in private)
    name = head[header.backing_offset : header.backing_offset + header.backing_size]
    assert name.decode("ascii") == (facts["backing"] or "")


def create(folder: Any, *options: str) -> bytes:
    """Return the first cluster of an image that qemu-img makes."""
    if not shutil.which("qemu-img"):
        pytest.skip("qemu-img is not installed")
    path = str(folder.join("image.qcow2"))
    command = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", *options, path, "16M"]
    subprocess.check_call(command, stdin=subprocess.DEVNULL)
    return golden.read(path, 0, 65536)


@pytest.mark.parametrize("compat, version", [("0.10", 2), ("1.1", 3)])
def test_both_versions_as_qemu_img_writes_them(tmpdir: Any, compat: str, version: int) -> None:
    head = create(tmpdir, "-o", "compat=" + compat, "-b", PATH, "-F", "qcow2")
    header = parse_qcow2(head)
    assert header.version == version
    assert head[header.backing_offset :][: header.backing_size] == PATH.encode("ascii")
    assert (header.virtual_size, header.hidden) == (16 << 20, False)


def test_image_without_a_backing_file(tmpdir: Any) -> None:
    header = parse_qcow2(create(tmpdir, "-o", "cluster_size=4k"))
    assert (header.backing_offset, header.backing_size, header.cluster_size) == (0, 0, 4096)


def test_external_data_file_as_qemu_img_writes_it(tmpdir: Any) -> None:
    data = str(tmpdir.join("data.raw"))
    assert parse_qcow2(create(tmpdir, "-o", "data_file=" + data)).external_data


def build(
    version: int = 3,
    backing: int = 0,
    name_size: int = 0,
    bits: int = 16,
    incompatible: int = 0,
    length: int = 104,
    extensions: bytes = b"",
) -> bytes:
    """Return the head of an image, put together by the layout of the specification."""
    raw = struct.pack(">4sIQIIQ", b"QFI\xfb", version, backing, name_size, bits, 1 << 30)
    raw = raw.ljust(72, b"\0")
    if version == 3:
        raw += struct.pack(">QQQII", incompatible, 0, 0, 4, length)
    return (raw + extensions).ljust(4096, b"\0")


def extension(kind: int, data: bytes) -> bytes:
    """Return a header extension, padded to 8 bytes."""
    return struct.pack(">II", kind, len(data)) + data + bytes(-len(data) % 8)


@pytest.mark.parametrize("version", [2, 3])
def test_hidden_mark_behind_another_extension(version: int) -> None:
    for mark, hidden in ((b"\1", True), (b"\0", False), (b"\2", False)):
        both = extension(0xE2792ACA, b"qcow2") + extension(HIDDEN, mark + bytes(7))
        assert parse_qcow2(build(version, extensions=both)).hidden == hidden


def test_extensions_end_where_the_name_begins() -> None:
    marked = extension(HIDDEN, b"\1" + bytes(7))
    assert not parse_qcow2(build(backing=104, name_size=98, extensions=marked)).hidden
    assert parse_qcow2(build(backing=120, name_size=98, extensions=marked)).hidden


def test_extensions_up_to_the_end_of_what_was_read() -> None:
    full = build(extensions=extension(0x6803F857, bytes(4096 - 104 - 8)))
    assert not parse_qcow2(full).hidden


def test_external_data_by_bit_or_by_extension() -> None:
    assert parse_qcow2(build(incompatible=1 << 2)).external_data
    assert parse_qcow2(build(extensions=extension(DATA_FILE, b"/x"))).external_data
    assert not parse_qcow2(build(incompatible=1 << 3)).external_data


@pytest.mark.parametrize(
    "head, offset",
    [
        (b"", 0),
        (build()[:103], 0),
        (b"QFI\xfa" + build()[4:], 0),
        (build(version=1), 0),
        (build(version=4), 0),
        (build(bits=8), 0),
        (build(bits=22), 0),
        (build(backing=512, name_size=0), 8),
        (build(backing=512, name_size=1024), 8),
        (build(backing=65536 - 97, name_size=98), 8),
        (build(backing=96, name_size=98), 8),
        (build(version=2, backing=64, name_size=98), 8),
        (build(length=96), 100),
        (build(extensions=struct.pack(">II", HIDDEN, 1 << 31)), 104),
        (build(backing=112, name_size=98, extensions=struct.pack(">II", HIDDEN, 8)), 104),
    ],
    ids=range(15),
)
def test_damaged_header(head: bytes, offset: int) -> None:
    with pytest.raises(FormatError) as caught:
        parse_qcow2(head)
    assert (caught.value.code, caught.value.offset) == ("qcow2-header", offset)
