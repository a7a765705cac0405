"""Patches of volumes: whole sectors, and none that holds nothing of an id."""

from typing import Any

import pytest

from relun.core import verbs
from relun.core.identity import Identity
from relun.core.rewrite.images import patches
from support.builder import Qcow2, Sr
from support.clone import NEW_SR, get_lv, made


@pytest.mark.parametrize("name_first", [False, True])
@pytest.mark.parametrize("bits", [12, 16])
def test_sectors_of_a_backing_path(name_first: bool, bits: int, tmpdir: Any) -> None:
    """One patch, of those sectors that the path lies in, beside whatever else they hold."""
    leaf = Qcow2("leaf", parent="base", name_first=name_first, cluster_bits=bits)
    built, devices = made(Sr((Qcow2("base"), leaf), "backing"), tmpdir)
    repository = verbs.inspect(devices)
    name = built.names["leaf"]
    volume = next(volume for volume in repository.volumes if volume.lv.name == name)
    identity = Identity(built.sr_uuid, NEW_SR, {})
    (patch,) = patches(volume, identity)
    head = get_lv(built, devices, name, 0, 1 << 16)
    at, size = int.from_bytes(head[8:16], "big"), int.from_bytes(head[16:20], "big")
    assert patch.offset == at - at % 512
    assert (at + size - 1) // 512 == (patch.offset + len(patch.old) - 1) // 512
    assert len(patch.old) % 512 == 0
    assert patch.old == head[patch.offset : patch.offset + len(patch.old)]
    path = "/dev/VG_XenStorage-{}/QCOW2-{}".format(NEW_SR, identity.vdi(built.uuids["base"]))
    inside = at - patch.offset
    assert patch.new[inside : inside + size] == path.encode("ascii")
    assert patch.new[:inside] == patch.old[:inside]
    assert patch.new[inside + size :] == patch.old[inside + size :]
