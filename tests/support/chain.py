"""Reads the guests' data of an LVM SR with foreign tools only: pvck, libvhdi, qemu-img.

Nothing of relun takes part. VHD chains are opened by libvhdi (a child process of the system's
Python) straight from the image file, QCOW2 chains by qemu-img from extracted volumes. Neither root
nor loop devices are needed.

The names of parents are judged here, not only their data: each must be the name of a volume of
this very SR, in the form that its format wants, and the identifiers of parent and child must agree.
"""

import hashlib
import json
import os
import struct
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from support.layout import Layout, layout, pread

SYSTEM_PYTHON = "/usr/bin/python3"
_SCRIPT = Path(__file__).with_name("vhdi_reader.py")
_NO_IDENTIFIER = "00000000-0000-0000-0000-000000000000"
_PREFIXES = {"VHD-": "vhd", "LV-": "raw", "QCOW2-": "qcow2"}
_KINDS = tuple(_PREFIXES.values())


class Guest(NamedTuple):
    """One image as the foreign tool sees it through its whole chain."""

    volume: str
    kind: str  # vhd, raw, qcow2
    virtual_size: int
    type: str  # VHD: fixed, dynamic, differencing; else empty
    identifier: str  # VHD: footer uuid; else empty
    parent_identifier: str
    parent_name: str  # as it stands in the image
    parent: str  # the volume it names
    sha256: str  # of the whole virtual disk; empty when not asked for


def read_guests(
    *images: str | os.PathLike[str], hashes: bool = True, only: Iterable[str] | None = None
) -> dict[str, Guest]:
    """Open every image of the SR through its chain; return the guests by volume name.

    Raises AssertionError when a tool cannot open one, or a parent's name or identifier is wrong.
    """
    place = layout(*images)
    kinds = {name: kind_of(name) for name in place.volumes}
    chosen = set(place.volumes) if only is None else set(only)
    wanted = {kind: [n for n in kinds if kinds[n] == kind and n in chosen] for kind in _KINDS}
    guests = _vhd_guests(place, wanted["vhd"], hashes)
    guests.update(_raw_guests(place, wanted["raw"], hashes))
    guests.update(_qcow2_guests(place, wanted["qcow2"], hashes))
    return guests


def hashes_of(*images: str | os.PathLike[str]) -> dict[str, str]:
    """Return the SHA-256 of every guest's data by volume name."""
    return {name: guest.sha256 for name, guest in read_guests(*images).items()}


def kind_of(volume: str) -> str:
    """Return vhd, raw or qcow2 by the volume's name; empty when it is no disk."""
    for prefix, kind in _PREFIXES.items():
        if volume.startswith(prefix):
            return kind
    return ""


def mapper_name(vg: str, volume: str) -> str:
    """Return the device-mapper name of a volume: each dash doubled, joined by one."""
    return f"{vg.replace('-', '--')}-{volume.replace('-', '--')}"


# --- VHD


def _vhd_guests(place: Layout, names: list[str], hashes: bool) -> dict[str, Guest]:
    if not names:
        return {}
    parents = {name: _vhd_parent(place, name) for name in place.volumes if kind_of(name) == "vhd"}
    chains = {name: _chain(name, parents) for name in names}
    files = sorted({part.path for parts in place.volumes.values() for part in parts})
    volumes = {
        name: {
            "ranges": [[part.path, part.offset, part.length] for part in place.volumes[name]],
            "raw": kind_of(name) == "raw",
        }
        for chain in chains.values()
        for name in chain
    }
    answer = _vhdi(
        {
            "files": {path: path for path in files},
            "volumes": volumes,
            "chains": chains,
            "hash": names if hashes else [],
        }
    )
    guests = {}
    for name, told in answer.items():
        assert "error" not in told, f"libvhdi, {name}: {told['error']}"
        parent = parents[name]
        _judge_vhd(place, name, told, parent)
        guests[name] = Guest(
            name,
            "vhd",
            told["virtual_size"],
            told["type"],
            told["identifier"],
            told["parent_identifier"] or "",
            told["parent_name"] or "",
            parent,
            told["sha256"] or "",
        )
    return guests


def _judge_vhd(place: Layout, name: str, told: dict[str, Any], parent: str) -> None:
    if told["type"] != "differencing":
        assert not parent, f"{name} is {told['type']} and names a parent {parent}"
        return
    expected = mapper_name(place.vg, parent)
    assert told["parent_name"] == expected, f"{name}: parent name {told['parent_name']}"
    wanted = told["chain_identifiers"][1]
    assert told["parent_identifier"] == wanted, (
        f"{name}: parent identifier {told['parent_identifier']}, {parent} has {wanted}"
    )
    if kind_of(parent) == "raw":
        assert told["parent_identifier"] == _NO_IDENTIFIER, f"{name}: a raw parent has none"
    assert locators(place, name) == [
        ("MacX", f"file://./{expected}"),
        ("W2ku", f".\\{expected}"),
        ("W2ru", f".\\{expected}"),
    ], f"{name}: locators {locators(place, name)}"


def locators(place: Layout, name: str) -> list[tuple[str, str]]:
    """Return a VHD's parent locators as (code, text), by the VHD specification."""
    header = place.read(name, _header_offset(place, name), 1024)
    found = []
    for slot in range(8):
        code, _, length, _, offset = struct.unpack_from(">4sIIIQ", header, 576 + 24 * slot)
        if code != bytes(4):
            coding = "utf-16-le" if code.startswith(b"W2") else "utf-8"
            found.append(
                (code.decode("ascii"), place.read(name, offset, length).decode(coding).rstrip("\0"))
            )
    return found


def _header_offset(place: Layout, name: str) -> int:
    footer = place.read(name, 0, 512)
    if footer[:8] != b"conectix":
        footer = place.read(name, -512, 512)
    assert footer[:8] == b"conectix", f"{name}: no VHD footer at either end"
    return int.from_bytes(footer[16:24], "big")


def _vhd_parent(place: Layout, name: str) -> str:
    """Return the parent volume by the name in the header; empty when there is none.

    The name must be the mapper name of a volume of this very group.
    """
    header = place.read(name, _header_offset(place, name), 1024)
    text = header[64:576].decode("utf-16-be").rstrip("\0")
    if not text:
        return ""
    here = {mapper_name(place.vg, volume): volume for volume in place.volumes}
    assert text in here, f"{name}: its parent {text} is no volume of {place.vg}"
    return here[text]


def _chain(name: str, parents: dict[str, str]) -> list[str]:
    chain = [name]
    while parents.get(chain[-1]):
        chain.append(parents[chain[-1]])
        assert len(chain) <= len(parents) + 1, f"a ring of parents at {name}"
    return chain


def _vhdi(request: dict[str, Any]) -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        [SYSTEM_PYTHON, str(_SCRIPT)],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"libvhdi (python3-libvhdi): {done.stderr}"
    answer: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return answer


# --- raw volumes


def _raw_guests(place: Layout, names: list[str], hashes: bool) -> dict[str, Guest]:
    sums = {name: _raw_hash(place, name) if hashes else "" for name in names}
    return {
        name: Guest(name, "raw", place.size(name), "", "", "", "", "", sums[name]) for name in names
    }


def _raw_hash(place: Layout, name: str) -> str:
    digest = hashlib.sha256()
    for part in place.volumes[name]:
        for offset in range(0, part.length, 1 << 20):
            digest.update(
                pread(part.path, part.offset + offset, min(1 << 20, part.length - offset))
            )
    return digest.hexdigest()


# --- QCOW2


def _qcow2_guests(place: Layout, names: list[str], hashes: bool) -> dict[str, Guest]:
    guests = {}
    with tempfile.TemporaryDirectory(prefix="qcow2-") as folder:
        nodes: dict[str, dict[str, Any]] = {}
        for name in names:
            told = _qcow2_info(place, name, folder)
            parent = _qcow2_parent(place, name, told)
            checked = qemu_img("check", "--output=json", _json(_file_node(place, name, folder)))
            assert not json.loads(checked).get("corruptions"), f"{name}: {checked}"
            guests[name] = Guest(
                name,
                "qcow2",
                told["virtual-size"],
                "",
                "",
                "",
                told.get("backing-filename", ""),
                parent,
                _qcow2_hash(place, name, nodes, folder) if hashes else "",
            )
    return guests


def _qcow2_info(place: Layout, name: str, folder: str) -> dict[str, Any]:
    """Return what qemu-img tells of one image alone, its backing name unopened."""
    info = qemu_img("info", "--output=json", _json(_file_node(place, name, folder)))
    told: dict[str, Any] = json.loads(info)
    return told


def _qcow2_parent(place: Layout, name: str, told: dict[str, Any]) -> str:
    text = told.get("backing-filename", "")
    if not text:
        return ""
    here = {f"/dev/{place.vg}/{volume}": volume for volume in place.volumes}
    here.update({f"/dev/mapper/{mapper_name(place.vg, v)}": v for v in place.volumes})
    assert text in here, f"{name}: its backing file {text} is no volume of {place.vg}"
    return here[text]


def _node(
    place: Layout, name: str, nodes: dict[str, dict[str, Any]], folder: str
) -> dict[str, Any]:
    """Return qemu's description of an image with its whole chain."""
    if name not in nodes:
        node = _file_node(place, name, folder)
        if kind_of(name) == "qcow2":
            parent = _qcow2_parent(place, name, _qcow2_info(place, name, folder))
            if parent:
                node = {**node, "backing": _node(place, parent, nodes, folder)}
        nodes[name] = node
    return nodes[name]


def _file_node(place: Layout, name: str, folder: str) -> dict[str, Any]:
    # qemu takes a backing node only with "file.filename" at its top, so no byte range of the LUN.
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        place.extract(name, path)
    file = {"driver": "file", "filename": path, "locking": "off"}
    if kind_of(name) == "raw":
        return {"driver": "raw", "file": file}
    # "backing": null opens the image alone; a chain replaces it.
    return {"driver": "qcow2", "file": file, "backing": None}


def _qcow2_hash(place: Layout, name: str, nodes: dict[str, dict[str, Any]], folder: str) -> str:
    path = os.path.join(folder, "guest.raw")
    qemu_img("convert", "-O", "raw", _json(_node(place, name, nodes, folder)), path)
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    os.unlink(path)
    return digest.hexdigest()


def qemu_img(*command: str) -> str:
    """Run qemu-img; return what it says. Raises AssertionError when it fails."""
    done = subprocess.run(["qemu-img", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}{done.stdout}{done.args}"
    return done.stdout


def _json(node: dict[str, Any]) -> str:
    return "json:" + json.dumps(node)


def backing_chain(path: str | os.PathLike[str]) -> list[str]:
    """Return the file names of a chain from the leaf down, as qemu-img follows it by itself."""
    told = json.loads(qemu_img("info", "--backing-chain", "--output=json", os.fspath(path)))
    return [link["filename"] for link in told]
