"""Conflicts: one PV on several LUNs, and who is the original, by the strongest evidence."""

from typing import Any, Dict, List, Optional, Sequence, Tuple

import pytest

from relun.core import verbs
from relun.core.conflicts import Conflict
from relun.core.errors import DeviceError, Interrupted
from relun.core.journal.marker import parse_marker
from relun.core.sysfs import BlockNode
from support import builder
from support.builder import Built, Pv, Sr, plain_group
from support.clone import TREE, Devices, clones, made, resign, retext
from support.memory import MemoryDevice

HINT = "360000000000000000e00000000010001"  # of the builder's PVs: /dev/disk/by-id/scsi-<this>
Node = Optional[BlockNode]


def luns(folder: Any, count: int = 2) -> Tuple[Built, Devices]:
    """Return clones of one LUN, named a, b, c."""
    built, _devices = made(Sr(TREE, "c"), folder)
    return built, [MemoryDevice(built.path, "abc"[n]) for n in range(count)]


def conflicts(devices: Sequence[MemoryDevice], nodes: Sequence[Node] = ()) -> List[Conflict]:
    given = list(nodes) + [None] * (len(devices) - len(nodes))
    return list(verbs.conflicts([(verbs.inspect([d]), n) for d, n in zip(devices, given)]))


def roles(devices: Sequence[MemoryDevice], nodes: Sequence[Node] = ()) -> Dict[str, str]:
    (conflict,) = conflicts(devices, nodes)
    return {copy.path: copy.role for copy in conflict.copies}


def newer(device: MemoryDevice) -> None:
    retext(device, lambda text: text.replace(b"seqno = ", b"seqno = 9", 1))


def test_nothing_in_common(tmpdir: Any) -> None:
    one = made(Sr(TREE, "one"), tmpdir, "one")[1]
    two = made(Sr(TREE, "two"), tmpdir, "two")[1]
    empty = [MemoryDevice(builder.empty(str(tmpdir.join("empty"))))]
    assert conflicts(one + two + empty + empty) == []
    assert conflicts([]) == []


def test_nothing_tells_them_apart(tmpdir: Any) -> None:
    built, devices = luns(tmpdir)
    (conflict,) = conflicts(devices)
    assert conflict.pv_uuid == built.pv_uuids[0]
    assert (conflict.vg_name, conflict.sr_uuid) == (built.vg, built.sr_uuid)
    assert [copy.role for copy in conflict.copies] == ["unresolved"] * 2
    assert all("same" in copy.reasons[0] for copy in conflict.copies)


def test_volumes_in_use_are_the_strongest_evidence(tmpdir: Any) -> None:
    _built, devices = luns(tmpdir)
    newer(devices[0])
    nodes = [BlockNode("sda", scsi_id=HINT), BlockNode("sdb", logical_volumes=("VG-LV",))]
    assert roles(devices, nodes) == {"a": "clone", "b": "original"}
    (conflict,) = conflicts(devices, nodes)
    assert "VG-LV" in conflict.copies[1].reasons[0]
    assert conflict.copies[0].reasons == ("b is the original",)


def test_volumes_in_use_on_both(tmpdir: Any) -> None:
    """Half of the SR's volumes through the one, half through the other."""
    _built, devices = luns(tmpdir)
    nodes = [BlockNode(name, logical_volumes=("VG-LV",)) for name in ("sda", "sdb")]
    (conflict,) = conflicts(devices, nodes)
    assert [copy.role for copy in conflict.copies] == ["unresolved"] * 2
    assert "several" in conflict.copies[0].reasons[0]


@pytest.mark.parametrize(
    "hint, scsi_id",
    [("/dev/disk/by-id/scsi-" + HINT, HINT), ("/dev/mapper/" + HINT, HINT), ("b", "")],
)
def test_metadata_names_the_device(hint: str, scsi_id: str, tmpdir: Any) -> None:
    _built, devices = luns(tmpdir)
    old = ("/dev/disk/by-id/scsi-" + HINT).encode("ascii")
    for device in devices:
        retext(device, lambda text: text.replace(old, hint.encode("ascii")))
    newer(devices[0])
    nodes = [BlockNode("sda", scsi_id="3600other"), BlockNode("sdb", scsi_id=scsi_id)]
    assert roles(devices, nodes) == {"a": "clone", "b": "original"}


def test_end_of_another_id_is_no_name(tmpdir: Any) -> None:
    _built, devices = luns(tmpdir)
    nodes = [BlockNode("sda", scsi_id=HINT[5:]), BlockNode("sdb")]
    assert set(roles(devices, nodes).values()) == {"unresolved"}


def test_metadata_names_both(tmpdir: Any) -> None:
    """Two paths of one LUN, or a copy that kept its SCSI id."""
    _built, devices = luns(tmpdir)
    nodes = [BlockNode("sda", scsi_id=HINT), BlockNode("sdb", scsi_id=HINT)]
    assert set(roles(devices, nodes).values()) == {"unresolved"}
    newer(devices[0])
    assert roles(devices, nodes) == {"a": "original", "b": "clone"}


def test_newer_metadata(tmpdir: Any) -> None:
    _built, devices = luns(tmpdir, 3)
    newer(devices[1])
    assert roles(devices) == {"a": "clone", "b": "original", "c": "clone"}
    newer(devices[2])
    assert set(roles(devices).values()) == {"unresolved"}


def test_resigned_is_no_conflict_any_more(tmpdir: Any) -> None:
    _built, devices = luns(tmpdir)
    resign(devices[1:])
    assert conflicts(devices) == []


def hide(device: MemoryDevice) -> None:
    device.lives = device.flush_calls + 3
    with pytest.raises((Interrupted, DeviceError)):
        resign([device])
    device.lives = 1 << 30


def test_lun_in_progress_belongs_to_its_conflict(tmpdir: Any) -> None:
    """The one that is visible is not the original for that alone."""
    built, devices = luns(tmpdir)
    hide(devices[1])
    (conflict,) = conflicts(devices)
    assert (conflict.vg_name, conflict.pv_uuid) == (built.vg, built.pv_uuids[0])
    assert [copy.role for copy in conflict.copies] == ["unresolved", "in-progress"]


def test_all_in_progress(tmpdir: Any) -> None:
    _built, devices = luns(tmpdir)
    for device in devices:
        hide(device)
    (conflict,) = conflicts(devices)
    assert [copy.role for copy in conflict.copies] == ["in-progress"] * 2
    assert (conflict.vg_name, conflict.sr_uuid) == ("", "")


def test_in_progress_without_its_journal(tmpdir: Any) -> None:
    """The marker itself still names the PV."""
    built, devices = luns(tmpdir)
    hide(devices[1])
    marker = parse_marker(devices[1].get(512, 512))
    assert marker is not None
    devices[1].put(marker.region.offset, bytes(1024))
    (conflict,) = conflicts(devices)
    assert conflict.pv_uuid == built.pv_uuids[0]


def test_sr_of_several_luns_has_one_conflict_a_pv(tmpdir: Any) -> None:
    built, devices = made(Sr(TREE, "pair", pvs=(Pv(), Pv())), tmpdir)
    found = conflicts(devices + clones(built))
    assert sorted(c.pv_uuid for c in found) == sorted(built.pv_uuids)
    assert {len(c.copies) for c in found} == {2}


def test_groups_that_are_no_sr_too(tmpdir: Any) -> None:
    built, devices = made(plain_group(), tmpdir)
    (conflict,) = conflicts(devices + clones(built))
    assert (conflict.vg_name, conflict.sr_uuid) == ("vg_system", "")
