"""Reading ahead changes nothing of what is found, however damaged; only how often is asked."""

from typing import Any, List, Sequence, Tuple

import pytest

from relun.core import verbs
from support import golden
from support.builder import Cbt, Journal, Plain, Pv, Qcow2, Raw, Sr, Vhd
from support.clone import TREE, clones, made, resign, retext, sample, states
from support.memory import MemoryDevice

VOLUMES = (
    *TREE,
    Vhd("dead", footers="dead-both"),
    Vhd("wide", segments=3),
    Raw("raw"),
    Raw("noheader", prefix="VHD-"),
    Qcow2("qcow2"),
    Qcow2("far", parent="qcow2", name_first=True, cluster_bits=18),
    Cbt("left"),
    Journal("clone", "left", payload=("base", "right")),
    Journal("jvhd", "left"),
    Plain("unknown"),
)


class Far(MemoryDevice):
    """A device for which every round counts."""

    pipelined = True

    def __init__(self, path: str) -> None:
        super().__init__(path, path)
        self.rounds = 0

    def read(self, offset: int, length: int) -> bytes:
        self.rounds += 1
        return super().read(offset, length)

    def read_many(self, ranges: Sequence[Tuple[int, int]]) -> List[bytes]:
        self.rounds += 1
        return [self.get(offset, length) for offset, length in ranges]


def seen(devices: Sequence[MemoryDevice]) -> Any:
    """Return all that was found, but for the devices themselves."""
    repository = verbs.inspect(devices)
    return (repository.kind, repository.sr_uuid, repository.findings, repository.volumes)


@pytest.mark.parametrize("name", golden.names())
def test_samples_are_the_same(name: str) -> None:
    far = Far(golden.image(name))
    near = sample(name)
    near.path = far.path
    assert seen([far]) == seen([near])


def test_rounds_do_not_grow_with_the_disks() -> None:
    near, far = sample("many"), Far(golden.image("many"))
    before = near.traffic.bytes_read
    verbs.inspect([near])
    verbs.inspect([far])
    assert far.rounds < 20
    assert near.traffic.bytes_read - before > 1 << 20


@pytest.mark.parametrize("cut", [0, 4 << 20, 14 << 20])
def test_damaged_volumes_on_several_luns_are_the_same(cut: int, tmpdir: Any) -> None:
    built, _devices = made(Sr(VOLUMES, "ahead", pvs=(Pv(), Pv())), tmpdir)
    near, far = clones(built), [Far(path) for path in built.paths]
    for device in (near[1], far[1]):
        device.size -= cut
    assert seen(near) == seen(far)


def test_volume_without_extents_is_left_to_the_reader(tmpdir: Any) -> None:
    built, near = made(Sr(TREE, "zero"), tmpdir)
    far = [Far(built.path)]
    for device in (*near, *far):
        retext(device, lambda text: text.replace(b'"striped"', b'"zero"'))
        retext(device, lambda text: text.replace(b"stripes = [", b"strips = ["))
    assert seen(near) == seen(far)


def test_resign_is_the_same(tmpdir: Any) -> None:
    volumes = (*TREE, Vhd("wide", segments=3), Qcow2("qcow2"), Cbt("left"))
    built, near = made(Sr(volumes, "ahead", pvs=(Pv(), Pv())), tmpdir)
    far = [Far(path) for path in built.paths]
    resign(near)
    resign(far)
    assert states(near) == states(far)
