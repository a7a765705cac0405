"""Which LUNs belong together."""

import os
from typing import Any, Callable, Dict, List, Sequence

import pytest

from relun.core import verbs
from relun.core.device import FileDevice, open_device
from relun.core.errors import DeviceError, RelunError
from relun.core.grouping import group, membership
from relun.core.options import Options
from support.builder import Built, Pv, Sr, Vhd, build, empty


def groups(paths: Sequence[str]) -> List[List[int]]:
    """Return the groups of LUN files."""
    found = []
    for path in paths:
        with open_device(path) as device:
            found.append(membership(device))
    return group(found)


@pytest.fixture
def two(tmp_path: Any) -> Built:
    """An SR over two LUNs, of which the second has no metadata area."""
    disks = (Vhd("a"), Vhd("b", pv=1))
    return build(Sr(disks, pvs=(Pv(), Pv(mdas=0))), str(tmp_path / "two.img"))


def test_single_luns_stay_apart(tmp_path: Any) -> None:
    """Also two copies of one LUN, LUNs of no SR, and damaged ones."""
    one = build(Sr((Vhd("a"),)), str(tmp_path / "one.img")).path
    copy = build(Sr((Vhd("a"),)), str(tmp_path / "copy.img")).path
    nothing = empty(str(tmp_path / "empty.img"))
    bare = build(Sr((Vhd("a"),), pvs=(Pv(mdas=0),)), str(tmp_path / "bare.img")).path
    assert groups([one, copy, nothing, bare]) == [[0], [1], [2], [3]]


def test_luns_of_one_vg(two: Built, tmp_path: Any) -> None:
    """In any order, between others; one without a metadata area is known by the others' text."""
    other = build(Sr((Vhd("a"),), seed="other"), str(tmp_path / "other.img")).path
    both = build(
        Sr((Vhd("a"), Vhd("b", pv=1)), seed="both", pvs=(Pv(), Pv())), str(tmp_path / "both.img")
    )
    assert groups([two.paths[1], other, two.paths[0]]) == [[0, 2], [1]]
    assert groups([both.paths[0], two.paths[0], both.paths[1]]) == [[0, 2], [1]]
    assert groups([two.paths[0], two.paths[0]]) == [[0, 1]]


def test_members_of_an_interrupted_run(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it broke off: by their markers, or by the label that the journal names."""
    built = build(Sr((Vhd("a"), Vhd("b", pv=1)), pvs=(Pv(), Pv())), str(tmp_path / "two.img"))
    other = build(Sr((Vhd("a"),), seed="other"), str(tmp_path / "other.img")).path
    paths = [built.paths[1], other, built.paths[0]]
    write = FileDevice._write
    left: Dict[str, int] = {}

    def breaking(device: FileDevice, offset: int, data: bytes) -> None:
        left["writes"] -= 1
        if left["writes"] < 0:
            raise OSError(5, "broken off")
        write(device, offset, data)

    monkeypatch.setattr(FileDevice, "_write", breaking)
    interrupted = 0
    for count in range(40):
        left["writes"] = count
        done = changed(built.paths, lambda devices: verbs.resign(devices, Options()))
        left["writes"] = 1 << 30
        assert groups(paths) == [[0, 2], [1]], count
        if done is None:
            break
        interrupted += done.changed
        changed(built.paths, verbs.undo)
    assert interrupted > 5
    assert count < 39


def changed(paths: Sequence[str], act: Callable[[List[Any]], Any]) -> Any:
    """Run a verb; return the error that ended it."""
    devices = [open_device(path, writable=True) for path in paths]
    try:
        act(devices)
    except RelunError as error:
        return error
    finally:
        for device in devices:
            device.close()
    return None


def test_run_of_a_single_lun(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is alone, whatever its journal says."""
    path = build(Sr((Vhd("a"),)), str(tmp_path / "one.img")).path
    hide(path, monkeypatch, 5)
    assert groups([path, path]) == [[0], [1]]


def test_damaged_journal(two: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    """The markers alone still hold together what they can."""
    one = two.paths[0]
    hide_two(two, monkeypatch)
    with open_device(one) as device:
        found = membership(device)
    assert found.run and found.run_labels
    size = os.path.getsize(one)
    with open(one, "r+b") as file:
        head = file.read(12 << 20)
        at = head.index(b"Journal at byte ") + len(b"Journal at byte ")
        file.seek(int(head[at : at + 12].split(b",")[0]))
        file.write(bytes(512))
    assert os.path.getsize(one) == size
    with open_device(one) as device:
        damaged = membership(device)
    assert damaged.run == found.run
    assert not damaged.run_labels


def hide(path: str, monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    """Break a resign off after so many writes."""
    hide_paths([path], monkeypatch, writes)


def hide_two(two: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    """Break a resign of two LUNs off while it applies its edits."""
    hide_paths(two.paths, monkeypatch, 7)


def hide_paths(paths: Sequence[str], monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    """Break a resign off after so many writes."""
    write = FileDevice._write
    left = [writes]

    def breaking(device: FileDevice, offset: int, data: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(5, "broken off")
        write(device, offset, data)

    with monkeypatch.context() as patched:
        patched.setattr(FileDevice, "_write", breaking)
        error = changed(paths, lambda devices: verbs.resign(devices, Options()))
    assert error is not None and error.changed


def test_unreadable(tmp_path: Any) -> None:
    """An error of the device is told."""
    path = str(tmp_path / "one.img")
    build(Sr((Vhd("a"),)), path)
    with open_device(path) as device:
        os.truncate(path, 512)
        with pytest.raises(DeviceError):
            membership(device)
