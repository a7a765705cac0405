"""The sample LUN images of tests/luns: unpacked once, handed out as sparse copies.

Each image was made by SM, LVM2 and vhd-util; its manifest holds what those tools say about it.
``read_lv`` finds an LV's bytes by the manifest alone, without relun. Runs on CPython 3.6 too.
"""

import json
import os
import subprocess
from typing import Any, Dict, Iterator, List, Tuple

LUNS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "luns")
CACHE = os.path.join(os.path.dirname(os.path.dirname(LUNS)), ".cache", "luns")
SECTOR = 512

Manifest = Dict[str, Any]


def names() -> List[str]:
    """Return the names of all images, sorted."""
    return sorted(name[: -len(".json")] for name in os.listdir(LUNS) if name.endswith(".json"))


def manifest(name: str) -> Manifest:
    """Return the manifest of an image."""
    with open(os.path.join(LUNS, name + ".json"), encoding="utf-8") as file:
        loaded: Manifest = json.load(file)
    return loaded


def image(name: str) -> str:
    """Return the path of the unpacked image, shared by all tests and not to be written to."""
    facts = manifest(name)
    path = os.path.join(CACHE, "{}-{}.img".format(name, facts["image_sha256"][:16]))
    if not os.path.exists(path):
        os.makedirs(CACHE, exist_ok=True)
        unpacking = "{}.{}".format(path, os.getpid())
        packed = os.path.join(LUNS, name + ".img.zst")
        _run("zstd", "-d", "-q", "-f", "--long=27", "--sparse", packed, "-o", unpacking)
        os.chmod(unpacking, 0o444)
        os.rename(unpacking, path)  # tests that run at the same time each see a whole image
    return path


def copy(name: str, folder: Any, called: str = "") -> str:
    """Return the path of a writable copy in ``folder``; holes stay holes."""
    target = os.path.join(str(folder), called or name + ".img")
    _run("cp", "--sparse=always", "--reflink=auto", image(name), target)
    os.chmod(target, 0o644)
    return target


def read(path: str, offset: int, length: int) -> bytes:
    """Return bytes of a file."""
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(length)


def lv(facts: Manifest, lv_name: str) -> Dict[str, Any]:
    """Return what LVM reported of an LV."""
    found: Dict[str, Any] = next(entry for entry in facts["lvs"] if entry["name"] == lv_name)
    return found


def lv_runs(facts: Manifest, lv_name: str) -> Iterator[Tuple[int, int]]:
    """Yield (offset on the LUN, length) of an LV's segments in order, as LVM reported them."""
    extent_size = int(facts["vg"]["vg_extent_size"])
    pe_start = int(facts["pvs"][0]["pe_start"])
    for segment in lv(facts, lv_name)["segments"]:
        first, last = segment.split(":")[1].split("-")
        yield pe_start + int(first) * extent_size, (int(last) + 1 - int(first)) * extent_size


def read_lv(name: str, lv_name: str, offset: int, length: int) -> bytes:
    """Return bytes of an LV in an image; a negative offset counts from the LV's end."""
    facts = manifest(name)
    if offset < 0:
        offset += int(lv(facts, lv_name)["size"])
    data = b""
    for start, size in lv_runs(facts, lv_name):
        if offset < size and len(data) < length:
            data += read(image(name), start + offset, min(length - len(data), size - offset))
        offset = max(0, offset - size)
    return data


def metadata_text(name: str, area: int = 0) -> bytes:
    """Return the LVM metadata text of an area, its final NUL included, by the manifest."""
    where = manifest(name)["metadata_areas"][area]
    start, size = where["start"], where["size"]
    first = min(where["text_size"], size - where["text_offset"])
    text = read(image(name), start + where["text_offset"], first)
    return text + read(image(name), start + SECTOR, where["text_size"] - first)


def _run(*command: str) -> None:
    subprocess.check_call(command, stdin=subprocess.DEVNULL)
