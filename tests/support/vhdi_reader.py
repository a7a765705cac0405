"""Opens VHD chains with libvhdi; run by the system's Python, which has Debian's python3-libvhdi.

Reads one JSON object on standard input::

    {"files": {name: path}, "volumes": {LV: {"ranges": [[file, offset, length]], "raw": bool}},
     "chains": {LV: [LV, parent, grandparent ...]}, "hash": [LV, ...]}

and writes one per volume: what libvhdi tells, and the SHA-256 of the guest data.
"""

import contextlib
import hashlib
import json
import sys
from typing import Any, BinaryIO

_CHUNK = 1 << 20
_TYPES = {2: "fixed", 3: "dynamic", 4: "differencing"}


class Volume:
    """A logical volume as a file object over ranges of image files."""

    def __init__(self, files: dict[str, BinaryIO], ranges: list[Any], tail: bytes = b"") -> None:
        self._files = files
        self._ranges = ranges
        self._tail = tail  # bytes shown after the end
        self.length: int = sum(length for _, _, length in ranges)
        self._position: int = 0

    def read(self, size: int | None = None) -> bytes:
        total = self.length + len(self._tail)
        end = total if size is None else min(total, self._position + size)
        data = self.at(self._position, min(end, self.length))
        if end > self.length:
            data += self._tail[max(0, self._position - self.length) : end - self.length]
        self._position = end
        return data

    def at(self, start: int, end: int) -> bytes:
        parts = []
        base = 0
        for name, offset, length in self._ranges:
            first, last = max(start, base), min(end, base + length)
            if first < last:
                file = self._files[name]
                file.seek(offset + first - base)
                parts.append(file.read(last - first))
            base += length
        return b"".join(parts)

    def seek(self, offset: int, whence: int = 0) -> int:
        total = self.length + len(self._tail)
        self._position = offset + [0, self._position, total][whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def get_size(self) -> int:
        return self.length + len(self._tail)


def raw_as_fixed(length: int, template: bytes) -> bytes:
    """Return the footer of a fixed VHD that shows ``length`` bytes and has no identifier.

    A child of a raw volume holds an all-zero parent identifier, which such a footer satisfies.
    """
    footer = bytearray(template)
    footer[16:24] = b"\xff" * 8  # no dynamic header
    footer[40:48] = footer[48:56] = length.to_bytes(8, "big")
    footer[60:64] = (2).to_bytes(4, "big")
    footer[68:84] = bytes(16)
    footer[64:68] = bytes(4)
    footer[64:68] = (~sum(footer) & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(footer)


def open_volume(
    request: dict[str, Any], files: dict[str, BinaryIO], name: str, child_footer: bytes
) -> tuple[Any, Volume, bytes]:
    import pyvhdi  # type: ignore[import-not-found]  # here, so that its absence is told in one place

    told = request["volumes"][name]
    volume = Volume(files, told["ranges"])
    if told["raw"]:
        tail = raw_as_fixed(volume.length, child_footer)
        volume = Volume(files, told["ranges"], tail)
    else:
        copy = volume.at(0, 512)
        if volume.at(volume.length - 512, volume.length)[:8] != b"conectix":
            # A writer that died leaves the primary dead; the copy at the start stands in for it.
            volume = Volume(files, [*told["ranges"][:-1], shortened(told["ranges"][-1])], copy)
        child_footer = copy
    image = pyvhdi.file()
    image.open_file_object(volume)
    return image, volume, child_footer


def shortened(last: list[Any]) -> list[Any]:
    name, offset, length = last
    return [name, offset, length - 512]


def guest_hash(image: Any) -> str:
    digest = hashlib.sha256()
    left = image.media_size
    while left:
        data = image.read(min(left, _CHUNK))
        digest.update(data)
        left -= len(data)
    return digest.hexdigest()


def describe(request: dict[str, Any], files: dict[str, BinaryIO], name: str) -> dict[str, Any]:
    chain = request["chains"][name]
    opened: list[tuple[Any, Volume]] = []
    footer = b""
    for link in chain:
        image, volume, footer = open_volume(request, files, link, footer)
        if opened:
            opened[-1][0].set_parent(image)
        opened.append((image, volume))
    top = opened[0][0]
    differencing = top.disk_type == 4
    return {
        "virtual_size": top.media_size,
        "type": _TYPES.get(top.disk_type, str(top.disk_type)),
        "identifier": top.identifier,
        "parent_identifier": top.parent_identifier if differencing else None,
        "parent_name": top.parent_filename if differencing else None,
        "chain_identifiers": [image.identifier for image, _ in opened],
        "sha256": guest_hash(top) if name in request["hash"] else None,
    }


def main() -> None:
    request = json.load(sys.stdin)
    answer = {}
    with contextlib.ExitStack() as stack:
        files: dict[str, Any] = {
            name: stack.enter_context(open(path, "rb", buffering=0))
            for name, path in request["files"].items()
        }
        for name in request["chains"]:
            try:
                answer[name] = describe(request, files, name)
            except OSError as error:
                answer[name] = {"error": str(error)}
    json.dump(answer, sys.stdout)


main()
