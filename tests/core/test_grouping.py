"""Which LUNs belong together."""

import os
import shutil
from typing import Any, Callable, Dict, List, Sequence

import pytest

from relun.core import verbs
from relun.core.device import FileDevice, open_device
from relun.core.errors import DeviceError, RelunError
from relun.core.grouping import Membership, group, membership
from relun.core.options import Options
from support.builder import Built, Pv, Sr, Vhd, build, empty

SAME = "11111111-2222-4333-8444-555555555555"


def members(paths: Sequence[str]) -> List[Membership]:
    """Return what each of some LUN files says of its company."""
    found = []
    for path in paths:
        with open_device(path) as device:
            found.append(membership(device))
    return found


def groups(paths: Sequence[str]) -> List[List[int]]:
    """Return the groups of LUN files."""
    return group(members(paths))


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


@pytest.mark.parametrize("verb", [verbs.recover, verbs.undo])
def test_members_when_what_settles_them_breaks_off(
    verb: Any, two: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of them then have a marker of the new run and some of the old one."""
    hide_two(two, monkeypatch)
    contents = [open(path, "rb").read() for path in two.paths]  # noqa: SIM115
    tokens = set()
    for count in range(60):
        for path, content in zip(two.paths, contents):
            with open(path, "r+b") as file:
                file.write(content)
        with monkeypatch.context() as patched:
            break_after(count, patched)
            done = changed(two.paths, verb)
        if done is None:
            break
        found = members(two.paths)
        if any(each.journal for each in found):  # else an undo that only the one LUN needs
            assert groups(two.paths[::-1]) == [[0, 1]], count
        tokens.add(len({each.run for each in found if each.journal}))
    assert count < 59
    assert {1, 2} <= tokens


def test_two_clones_that_become_the_same_sr(
    two: Built, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their journals are the same; each run's LUNs stay together."""
    copies = [str(tmp_path / name) for name in ("copy-0.img", "copy-1.img")]
    for path, copy in zip(two.paths, copies):
        shutil.copyfile(path, copy)
    for paths in (two.paths, copies):
        with monkeypatch.context() as patched:
            break_after(7, patched)
            assert changed(paths, lambda devices: verbs.resign(devices, Options(sr_uuid=SAME)))
    digests = {found.journal for found in members([*two.paths, *copies])}
    assert len(digests) == 1
    assert groups([two.paths[0], copies[0], two.paths[1], copies[1]]) == [[0, 2], [1, 3]]


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
    with monkeypatch.context() as patched:
        break_after(writes, patched)
        error = changed(paths, lambda devices: verbs.resign(devices, Options()))
    assert error is not None and error.changed


def break_after(writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all writes fail after so many."""
    write = FileDevice._write
    left = [writes]

    def breaking(device: FileDevice, offset: int, data: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(5, "broken off")
        write(device, offset, data)

    monkeypatch.setattr(FileDevice, "_write", breaking)


def test_unreadable(tmp_path: Any) -> None:
    """An error of the device is told."""
    path = str(tmp_path / "one.img")
    build(Sr((Vhd("a"),)), path)
    with open_device(path) as device:
        os.truncate(path, 512)
        with pytest.raises(DeviceError):
            membership(device)
