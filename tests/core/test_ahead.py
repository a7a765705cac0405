"""A device that is far away: the same result, in few rounds of many requests."""

import errno
import os
import tracemalloc
from typing import Any, List, Sequence, Tuple

import pytest

from relun.core import ahead, verbs
from relun.core.errors import DeviceError, Refused
from relun.core.repository import load
from support import golden
from support.builder import Cbt, Journal, Pv, Qcow2, Raw, Sr, Vhd, fleet
from support.clone import codes, made, resign, sample
from support.memory import MemoryDevice


class Distant(MemoryDevice):
    """Counts how often something is waited for."""

    pipelined = True
    waits = 0

    def read_many(self, ranges: Sequence[Tuple[int, int]]) -> List[bytes]:
        self.waits += 1
        try:
            found = [bytes(self._read(*each)) for each in ranges]
        except OSError as error:
            raise self._io_error("read", ranges[0][0], error) from error
        self._bytes_read += sum(map(len, found))
        return found

    def write_many(self, writes: Sequence[Tuple[int, bytes]]) -> None:
        self.waits += 1
        for offset, data in writes:
            self._write(offset, data)

    def read(self, offset: int, length: int) -> bytes:
        self.waits += 1
        return super().read(offset, length)

    def write(self, offset: int, data: bytes) -> None:
        self.waits += 1
        super().write(offset, data)


@pytest.mark.parametrize("name", golden.names())
def test_same_as_near(name: str) -> None:
    """Every sample LUN is read and resigned as if it were near."""
    near, far = sample(name), Distant(golden.image(name), name)
    assert load([far])._replace(luns=()) == load([near])._replace(luns=())
    try:
        resign([near])
    except Refused:
        return
    resign([far])
    # But for the run's token, which is in neither.
    assert far.state() == near.state()


def test_every_kind_of_volume(tmpdir: Any) -> None:
    """On several LUNs, segments included; damaged ones are found damaged all the same."""
    volumes = (
        Vhd("one", segments=2),
        Vhd("two", pv=1),
        Vhd("bad", footers="dead-both"),
        Qcow2("q"),
        Raw("r"),
        Cbt("one"),
        Journal("inflate", "one", "4194304"),
    )
    built, near = made(Sr(volumes, pvs=(Pv(), Pv())), tmpdir)
    far = [Distant(path) for path in built.paths]
    expected, found = load(near), load(far)
    assert found.volumes == expected.volumes
    assert [f._replace(where="") for f in found.findings] == [
        f._replace(where="") for f in expected.findings
    ]
    assert codes(found.findings) != []


def test_a_lun_that_is_too_short(tmpdir: Any) -> None:
    """What cannot be read ahead is left to be told when it is read."""
    built, near = made(Sr((Vhd("one"), Vhd("two"))), tmpdir)
    far = [Distant(path) for path in built.paths]
    for device in (*near, *far):
        device.size -= device.size // 3
    assert codes(load(far).findings) == codes(load(near).findings)


def test_a_pv_that_is_missing(tmpdir: Any) -> None:
    """The same for volumes on a LUN that was not given."""
    built, near = made(Sr((Vhd("one"), Vhd("two", pv=1)), pvs=(Pv(), Pv())), tmpdir)
    assert codes(load([Distant(built.paths[0])]).findings) == codes(load(near[:1]).findings)


def test_waits_do_not_grow_with_the_number_of_disks(tmpdir: Any) -> None:
    """Ten times the disks, hardly more rounds."""
    waits = []
    for count in (5, 50):
        built, _near = made(Sr(fleet(count)), tmpdir, "lun{}".format(count))
        far = Distant(built.paths[0])
        resign([far])
        waits.append(far.waits)
    assert waits[1] <= waits[0] + 4


def test_batches(monkeypatch: Any) -> None:
    """A few volumes at a time are found to be the same as all of them together."""
    together, few = Distant(golden.image("chain"), "lun"), Distant(golden.image("chain"), "lun")
    expected = load([together])
    monkeypatch.setattr(ahead, "_BATCH", 3)
    assert load([few])._replace(luns=()) == expected._replace(luns=())
    assert few.waits > together.waits


def test_long_locators_are_left_alone(monkeypatch: Any) -> None:
    """They are read when their image is: a hostile LUN may have 512 KiB of them for each."""
    usual, long = Distant(golden.image("chain"), "lun"), Distant(golden.image("chain"), "lun")
    expected = load([usual])
    monkeypatch.setattr(ahead, "_LOCATORS", 0)
    assert load([long])._replace(luns=()) == expected._replace(luns=())
    assert long.waits > usual.waits


def test_memory_does_not_grow_with_the_number_of_disks(tmpdir: Any) -> None:
    """The heads of QCOW2 images, 64 KiB each, are not held all at once."""
    _built, near = made(Sr(tuple(Qcow2(str(number)) for number in range(600))), tmpdir)
    tracemalloc.start()
    repository = load(near)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not repository.findings
    assert peak - held < 24 << 20


def test_verify_reads_ahead(tmpdir: Any) -> None:
    """The ids of all volumes come in one round."""
    built, (original,) = made(Sr(fleet(20)), tmpdir)
    far = Distant(built.paths[0])
    resign([far])
    loading = Distant(built.paths[0])
    load([loading])
    far.waits = 0
    assert verbs.verify([far], [original]) == ()
    chunks = sum(-(-(end - start) // (1 << 20)) for start, end in far.data_ranges(0, far.size))
    assert far.waits <= loading.waits + chunks + 20


@pytest.mark.parametrize("kind", [MemoryDevice, Distant])
def test_a_bad_sector_that_nobody_asks_for(kind: Any, tmpdir: Any) -> None:
    """Near, it stops nothing that does without it; far away an error may be the connection's."""
    volumes = (*fleet(9), Journal("inflate", "disk-0", "4194304"))
    built, near = made(Sr(volumes, "bad"), tmpdir)
    (device,) = [kind(path) for path in built.paths]
    (name,) = [name for name in built.lvs if name.startswith("inflate_")]
    ((_pv, bad, _size),) = built.lvs[name].runs
    inner = device._read

    def failing(offset: int, length: int) -> bytes:
        if offset <= bad < offset + length:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return bytes(inner(offset, length))

    device._read = failing
    if kind is MemoryDevice:
        assert load([device])._replace(luns=()) == load(near)._replace(luns=())
    else:
        with pytest.raises(DeviceError, match="device-io"):
            load([device])
