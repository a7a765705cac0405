"""One disk of the original VM swapped for its copy, and back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pool.failing import WAYS, calls_of, each_call, standing
from pool.originals import Scene, as_before, login, staged
from relun.pool.connection import Connection
from relun.pool.errors import PoolRefused, PoolUnfinished
from relun.pool.marks import READ_ONLY
from relun.pool.swap import Swapped, swap_disk
from remote.servers import Tgt


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, tgt: Tgt) -> Iterator[Scene]:
    yield from staged(tmp_path_factory.mktemp("stage"), tgt)


@pytest.fixture
def there(stage: Scene) -> Iterator[Scene]:
    yield from as_before(stage)


@pytest.fixture
def connection(there: Scene) -> Iterator[Connection]:
    with login(there.site) as made:
        yield made


def disk(there: Scene, number: int = 1) -> str:
    """The uuid of an original disk."""
    return str(there.record("VDI", list(there.vdis.values())[number])["uuid"])


def swap(connection: Connection, there: Scene, back: bool = False, number: int = 1) -> Swapped:
    return swap_disk(connection, "files", disk(there, number), there.clone.sr_uuid, back)


def vbds(snapshot: dict[str, Any]) -> list[dict[str, Any]]:
    """The VBDs of a database without what is another one's after a VBD was made anew."""
    own = ("uuid", "metrics")
    found = [
        {key: value for key, value in vbd.items() if key not in own}
        for vbd in snapshot["VBD"].values()
    ]
    return sorted(found, key=lambda vbd: (vbd["VM"], vbd["userdevice"]))


def rest(snapshot: dict[str, Any]) -> dict[str, Any]:
    """The database without VBDs."""
    return {kind: records for kind, records in snapshot.items() if not kind.startswith("VBD")}


def test_there_and_back(there: Scene, connection: Connection) -> None:
    before = there.site.snapshot()
    name = list(there.vdis)[1]
    done = swap(connection, there)
    first, second, drive = there.parts("VBD", there.vm)
    assert second["VDI"] == there.copy_of(name)
    kept = {key: value for key, value in second.items() if key not in ("uuid", "VDI", "metrics")}
    (old,) = [vbd for vbd in before["VBD"].values() if vbd["userdevice"] == "1"]
    assert kept == {key: value for key, value in old.items() if key in kept}
    assert (done.userdevice, done.already) == ("1", False)
    assert done.before_uuid == disk(there)
    assert done.now_uuid == there.record("VDI", second["VDI"])["uuid"]
    assert (first["userdevice"], drive["userdevice"]) == ("0", "3")
    after = there.site.snapshot()
    assert {ref: after["VDI"][ref]["uuid"] for ref in before["VDI"]} == {
        ref: each["uuid"] for ref, each in before["VDI"].items()
    }
    assert swap(connection, there).already
    back = swap(connection, there, back=True)
    assert (back.now_uuid, back.before_uuid) == (done.before_uuid, done.now_uuid)
    assert swap(connection, there, back=True).already
    assert vbds(there.site.snapshot()) == vbds(before)


def test_by_name(there: Scene, connection: Connection) -> None:
    vdi = there.record("VDI", list(there.vdis.values())[1])
    vdi["name_label"] = "data"
    assert swap_disk(connection, "files", "data", there.clone.name).before_uuid == vdi["uuid"]
    vdis = list(there.vdis.values())
    there.record("VDI", vdis[0])["name_label"] = "data"
    with pytest.raises(PoolRefused) as caught:
        swap_disk(connection, "files", "data", there.clone.name)
    assert caught.value.code == "pool-several"


def test_what_is_refused(there: Scene, connection: Connection) -> None:
    sr, vm = there.clone.sr_uuid, there.record("VM", there.vm)
    before = there.site.snapshot()
    with pytest.raises(PoolRefused) as caught:
        swap_disk(connection, "files", "nothing", sr)
    assert caught.value.code == "pool-disk-missing"
    vm["power_state"] = "Running"
    with pytest.raises(PoolRefused) as caught:
        swap(connection, there)
    assert caught.value.code == "pool-vm-running"
    vm["power_state"] = "Halted"
    assert there.site.snapshot() == before
    copy = there.record("VDI", there.copy_of(list(there.vdis)[1]))
    copy["read_only"] = True
    with pytest.raises(PoolRefused) as caught:
        swap(connection, there)
    assert caught.value.code == "pool-disks-read-only"
    copy["read_only"] = False
    marks = there.record("SR", there.clone.reference)["other_config"]
    marks[READ_ONLY] = "true"
    with pytest.raises(PoolRefused) as caught:
        swap(connection, there)
    assert caught.value.code == "pool-disks-read-only"
    del marks[READ_ONLY]
    copy.update(uuid="11111111-0000-4000-8000-000000000000")
    with pytest.raises(PoolRefused) as caught:
        swap(connection, there)
    assert caught.value.code == "pool-disks-missing"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
def test_each_call_failing_leaves_the_disk(
    there: Scene, connection: Connection, way: str, back: bool
) -> None:
    if back:
        swap(connection, there)

    def work() -> None:
        swap(connection, there, back)

    def revert() -> None:
        swap(connection, there, not back)

    names = calls_of(there.site, work)
    revert()
    failed = []
    for name, error, before, after in each_call(there.site, len(names), work, way):
        assert rest(after) == rest(before)
        if error is None:
            revert()
            assert vbds(there.site.snapshot()) == vbds(before), name
            continue
        failed.append(name)
        assert standing(error) == ()
        assert not error.changed
        assert vbds(after) == vbds(before), name
    assert {"VBD.destroy", "VBD.create"} <= set(failed)
    work()


@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
def test_a_vm_without_its_disk_is_told_and_mended(
    there: Scene, connection: Connection, back: bool
) -> None:
    """The same command again finishes the swap; so does the one that takes it back."""
    before = there.site.snapshot()
    there.site.fail("VBD.create", times=0)
    with pytest.raises(PoolUnfinished) as caught:
        swap(connection, there)
    there.site.mend()
    told = f"the VM files without its disk 1, which was the VDI {disk(there)}"
    assert caught.value.standing == (told,)
    assert [vbd["userdevice"] for vbd in there.parts("VBD", there.vm)] == ["0", "3"]
    done = swap(connection, there, back)
    assert not done.already
    if not back:
        swap(connection, there, back=True)
    after = there.site.snapshot()
    assert vbds(after) == vbds(before)
    assert after["VM"] == before["VM"]


def test_two_administrators_at_once(there: Scene, connection: Connection) -> None:
    """The loser takes back nothing of the winner's."""
    ended: list[object] = []
    met = threading.Barrier(2)

    def one() -> None:
        with login(there.site) as own:
            met.wait()
            try:
                ended.append(swap(own, there))
            except PoolRefused as error:
                ended.append(error.code)

    threads = [threading.Thread(target=one) for _number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    swapped = [each for each in ended if isinstance(each, Swapped)]
    assert [each.already for each in swapped].count(False) == 1
    assert [each for each in ended if each not in swapped] in ([], ["pool-busy"])
    copy = there.copy_of(list(there.vdis)[1])
    assert [vbd["VDI"] for vbd in there.parts("VBD", there.vm)].count(copy) == 1
    assert len(there.parts("VBD", there.vm)) == 3
