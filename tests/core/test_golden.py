"""The sample images the other tests stand on: unpacked whole, copied sparsely, read by manifest."""

import hashlib
import os
from typing import Any

from support import golden


def test_image_is_the_one_of_the_manifest() -> None:
    digest = hashlib.sha256()
    with open(golden.image("ext"), "rb") as file:
        for part in iter(lambda: file.read(1 << 20), b""):
            digest.update(part)
    facts = golden.manifest("ext")
    assert digest.hexdigest() == facts["image_sha256"]
    assert os.path.getsize(golden.image("ext")) == facts["image_size"]


def test_copy_is_writable_and_keeps_the_holes(tmpdir: Any) -> None:
    path = golden.copy("single", tmpdir, "clone.img")
    assert os.path.basename(path) == "clone.img"
    original, copy = os.stat(golden.image("single")), os.stat(path)
    assert copy.st_size == original.st_size
    assert copy.st_blocks <= original.st_blocks < copy.st_size // 512 // 10
    assert copy.st_mode & 0o200 and not original.st_mode & 0o222
    assert golden.read(path, 512, 8) == b"LABELONE"


def test_lv_bytes_come_from_the_right_segment() -> None:
    facts = golden.manifest("journals")
    (entry,) = [entry for entry in facts["lvs"] if len(entry["segments"]) > 1]
    first, second = golden.lv_runs(facts, entry["name"])
    assert entry["size"] == first[1] + second[1]
    image = golden.image("journals")
    joined = golden.read(image, first[0], first[1]) + golden.read(image, *second)
    for start in (0, first[1] - 8, first[1], entry["size"] - 512):
        for offset in (start, start - entry["size"]):
            found = golden.read_lv("journals", entry["name"], offset, 512)
            assert found == joined[start : start + 512]
