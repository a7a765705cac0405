"""Devices: regular files, block devices over a loop device, and everything that can go wrong."""

import errno
import fcntl
import os
import subprocess
from typing import Any, Iterator, List

import pytest

from relun.core import sysfs
from relun.core.device import BlockDevice, Device, Traffic, open_device
from relun.core.errors import DeviceError
from relun.core.sysfs import BlockNode

SIZE = 4 << 20


_PATTERN = b"".join(i.to_bytes(8, "little") for i in range(SIZE // 8))


def pattern() -> bytes:
    """Return SIZE bytes of which no two blocks are alike."""
    return _PATTERN


@pytest.fixture
def image(tmpdir: Any) -> str:
    """The path of a small image file."""
    path = tmpdir.join("lun.img")
    path.write_binary(pattern())
    return str(path)


def losetup(*options: str) -> str:
    """Run losetup, return its output."""
    if os.geteuid() != 0:
        pytest.skip("a loop device needs root")
    command = ("losetup", *options)
    return subprocess.check_output(command, stdin=subprocess.DEVNULL).decode("ascii").strip()


@pytest.fixture(params=[512, 4096])
def loop(request: Any, image: str) -> Iterator[str]:
    """A loop device over the image, with each logical block size."""
    path = losetup("--find", "--show", "--sector-size", str(request.param), image)
    yield path
    losetup("--detach", path)


def failing(kind: int = errno.EIO) -> Any:
    """Return a function that fails as the kernel does."""

    def fail(*_args: Any) -> Any:
        raise OSError(kind, os.strerror(kind))

    return fail


def refusal(path: str, writable: bool = True) -> DeviceError:
    """Return the error that opening ends in."""
    with pytest.raises(DeviceError) as caught:
        open_device(path, writable)
    assert not caught.value.changed
    assert caught.value.fields["device"] == path
    return caught.value


def check_reads_and_writes(path: str) -> None:
    """Read and write at every kind of alignment; compare with a plain bytearray."""
    expected = bytearray(pattern())
    with open_device(path, writable=True) as device:
        assert device.size == SIZE
        for offset, length in ((0, 512), (0, 0), (1, 1), (511, 2), (4095, 8194), (100, 2 << 20)):
            assert device.read(offset, length) == bytes(expected[offset : offset + length])
        assert device.read(SIZE - 3, 3) == bytes(expected[-3:])
        for offset, length in ((512, 512), (7, 3), (4090, 4100), (9, 2 << 20), (SIZE - 5, 5)):
            data = os.urandom(length)
            device.write(offset, data)
            expected[offset : offset + length] = data
        device.write(8, b"")
        assert device.read(0, SIZE) == bytes(expected)
        device.flush()
        device.refresh_readers()
    with open(path, "rb") as file:
        assert file.read() == bytes(expected)


def test_file(image: str) -> None:
    check_reads_and_writes(image)


def test_block_device(loop: str) -> None:
    check_reads_and_writes(loop)


def test_block_size_is_the_logical_one(loop: str) -> None:
    with open_device(loop) as device:
        assert isinstance(device, BlockDevice)
        name = os.path.basename(loop)
        with open("/sys/block/{}/queue/logical_block_size".format(name)) as file:
            assert device.block_size == int(file.read())


def test_traffic_is_counted(image: str) -> None:
    with open_device(image, writable=True) as device:
        device.read(0, 100)
        device.write(0, b"four")
        device.write(9, b"five!")
        device.flush()
        assert device.traffic == Traffic(bytes_read=100, bytes_written=9, writes=2, flushes=1)


@pytest.mark.parametrize(
    "offset, length", [(-1, 1), (0, -1), (SIZE, 1), (SIZE - 1, 2), (1 << 70, 1)]
)
def test_read_beyond_the_device(image: str, offset: int, length: int) -> None:
    with open_device(image) as device, pytest.raises(DeviceError) as caught:
        device.read(offset, length)
    assert (caught.value.code, caught.value.fields["size"]) == ("device-bounds", SIZE)


@pytest.mark.parametrize("offset", [-1, SIZE, SIZE - 1])
def test_write_beyond_the_device(image: str, offset: int) -> None:
    with open_device(image, writable=True) as device, pytest.raises(DeviceError) as caught:
        device.write(offset, b"xx")
    assert caught.value.code == "device-bounds"
    with open(image, "rb") as file:
        assert file.read() == pattern()


def test_file_that_shrank(image: str) -> None:
    with open_device(image) as device:
        os.truncate(image, 1000)
        with pytest.raises(DeviceError) as caught:
            device.read(900, 200)
    assert (caught.value.code, caught.value.fields["got"]) == ("device-short", 100)


def test_kernel_that_does_less_than_asked(image: str, monkeypatch: Any) -> None:
    pread, pwrite = os.pread, os.pwrite
    monkeypatch.setattr(os, "pread", lambda fd, length, at: pread(fd, min(length, 100), at))
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: pwrite(fd, data[:7], at))
    with open_device(image, writable=True) as device:
        assert device.read(50, 1000) == pattern()[50:1050]
        device.write(50, b"x" * 100)
        assert device.read(49, 102) == pattern()[49:50] + b"x" * 100 + pattern()[150:151]


@pytest.mark.parametrize("call, what", [("pread", "read"), ("pwrite", "write"), ("fsync", "flush")])
def test_failing_medium(image: str, monkeypatch: Any, call: str, what: str) -> None:
    with open_device(image, writable=True) as device:
        monkeypatch.setattr(os, call, failing())
        actions = {
            "read": lambda: device.read(512, 512),
            "write": lambda: device.write(512, b"x"),
            "flush": device.flush,
        }
        with pytest.raises(DeviceError) as caught:
            actions[what]()
        assert (caught.value.code, caught.value.fields["what"]) == ("device-io", what)
        assert caught.value.fields["reason"] == os.strerror(errno.EIO)
        assert device.traffic == Traffic()


def test_error_without_a_number(image: str, monkeypatch: Any) -> None:
    def fail(_fd: int) -> None:
        raise OSError("odd")

    with open_device(image, writable=True) as device:
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(DeviceError) as caught:
            device.flush()
    assert caught.value.fields["reason"] == "odd"


def ranges_of(path: str, start: int, end: int) -> "List[tuple[int, int]]":
    """Return the data ranges of a device."""
    with open_device(path) as device:
        return device.data_ranges(start, end)


def test_data_ranges_of_a_file(tmpdir: Any, monkeypatch: Any) -> None:
    path = str(tmpdir.join("sparse.img"))
    mib, end = 1 << 20, 16 << 20
    with open(path, "wb") as file:
        file.truncate(end)
    assert ranges_of(path, 0, end) == []
    with open(path, "r+b") as file:
        for offset in (mib, 8 * mib):
            file.seek(offset)
            file.write(b"x" * 65536)
    assert ranges_of(path, 0, end) == [(mib, mib + 65536), (8 * mib, 8 * mib + 65536)]
    assert ranges_of(path, mib + 4096, mib + 8192) == [(mib + 4096, mib + 8192)]
    assert ranges_of(path, 2 * mib, 4 * mib) == []
    assert ranges_of(path, 2 * mib, 8 * mib + 4096) == [(8 * mib, 8 * mib + 4096)]
    monkeypatch.setattr(os, "lseek", failing())
    with pytest.raises(DeviceError) as caught:
        ranges_of(path, 0, end)
    assert caught.value.code == "device-io"


def test_block_device_may_hold_data_anywhere(loop: str) -> None:
    assert ranges_of(loop, 4096, 8192) == [(4096, 8192)]


def test_what_cannot_be_opened(tmpdir: Any) -> None:
    assert refusal(str(tmpdir.join("absent"))).code == "device-missing"
    assert refusal("/dev/null").code == "device-kind"
    assert refusal(str(tmpdir)).code == "device-kind"


def test_file_in_use_by_another(image: str) -> None:
    with open(image, "rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert refusal(image).code == "device-busy"
        open_device(image).close()  # reading does not need it
    open_device(image, writable=True).close()


def test_file_that_is_open_elsewhere(image: str, monkeypatch: Any) -> None:
    with open(image, "rb"):
        error = refusal(image)
        assert (error.code, error.fields["reason"]) == ("device-busy", "open in another process")
        open_device(image).close()
    path = losetup("--find", "--show", image)
    try:
        assert refusal(image).code == "device-busy"
    finally:
        losetup("--detach", path)
    open_device(image, writable=True).close()
    monkeypatch.setattr(fcntl, "fcntl", failing(errno.EINVAL))  # as NFS does: nothing can be told
    open_device(image, writable=True).close()


@pytest.mark.parametrize(
    "kind, writable, code",
    [
        (errno.EBUSY, True, "device-busy"),
        (errno.EROFS, True, "device-readonly"),
        (errno.EACCES, True, "device-readonly"),
        (errno.EPERM, True, "device-readonly"),
        (errno.EACCES, False, "device-missing"),
        (errno.ENXIO, True, "device-missing"),
    ],
)
def test_refusal_by_the_kernel(
    image: str, monkeypatch: Any, kind: int, writable: bool, code: str
) -> None:
    monkeypatch.setattr(os, "open", failing(kind))
    error = refusal(image, writable)
    assert (error.code, error.fields["reason"]) == (code, os.strerror(kind))


def test_block_device_in_use_by_another(loop: str) -> None:
    other = os.open(loop, os.O_RDONLY | os.O_EXCL)
    try:
        assert refusal(loop).code == "device-busy"
        open_device(loop).close()
    finally:
        os.close(other)
    open_device(loop, writable=True).close()


def test_read_only_block_device(image: str) -> None:
    path = losetup("--find", "--show", "--read-only", image)
    try:
        assert refusal(path).code == "device-readonly"
        with open_device(path) as device:
            assert device.read(8, 8) == pattern()[8:16]
            with pytest.raises(DeviceError) as caught:
                device.write(0, b"x")
            assert caught.value.code == "device-io"
    finally:
        losetup("--detach", path)


def test_block_device_that_is_set_read_only(loop: str, monkeypatch: Any) -> None:
    # Older kernels let it be opened for writing: only the flag tells.
    ioctl = fcntl.ioctl

    def read_only(fd: int, request: int, *args: Any) -> Any:
        return (1).to_bytes(4, "little") if request == 0x125E else ioctl(fd, request, *args)

    monkeypatch.setattr(fcntl, "ioctl", read_only)
    error = refusal(loop)
    assert (error.code, error.fields["reason"]) == (
        "device-readonly",
        "block device is set read-only",
    )


@pytest.mark.parametrize(
    "node, code, field, value",
    [
        (BlockNode("sdb", multipath="/dev/mapper/3600"), "device-path", "map", "/dev/mapper/3600"),
        (BlockNode("sdb", mounted_on="/mnt"), "device-mounted", "where", "/mnt"),
        (BlockNode("sdb", holders=("dm-1", "md0")), "device-held", "holders", "dm-1, md0"),
    ],
)
def test_block_device_that_is_held(
    loop: str, monkeypatch: Any, node: BlockNode, code: str, field: str, value: str
) -> None:
    monkeypatch.setattr(sysfs, "describe", lambda path: node)
    error = refusal(loop)
    assert (error.code, error.fields[field]) == (code, value)
    open_device(loop).close()


def test_block_device_that_does_less_than_asked(loop: str, monkeypatch: Any) -> None:
    with open_device(loop, writable=True) as device:
        assert isinstance(device, BlockDevice)
        raw = device._file

        def some(view: Any) -> int:
            return max(4096, len(view) // 8192 * 4096)

        class Short:
            """The raw file, doing half of what it is asked to."""

            def seek(self, offset: int) -> int:
                return raw.seek(offset)

            def readinto(self, view: Any) -> Any:
                return raw.readinto(view[: some(view)])

            def write(self, view: Any) -> Any:
                return raw.write(view[: some(view)])

        monkeypatch.setattr(device, "_file", Short())
        assert device.read(100, 20000) == pattern()[100:20100]
        with pytest.raises(DeviceError) as caught:
            device.write(0, bytes(16384))
        assert caught.value.fields["reason"].startswith("short write: 8192 of 16384")
        monkeypatch.setattr(Short, "readinto", lambda self, view: None)
        with pytest.raises(DeviceError) as caught:
            device.read(0, 512)
        assert (caught.value.code, caught.value.fields["got"]) == ("device-short", 0)
        monkeypatch.undo()


def test_neighbours_are_never_written_from_a_short_read(loop: str, monkeypatch: Any) -> None:
    """Of the block that a small write lies in, what was not read must not be overwritten."""
    with open_device(loop, writable=True) as device:
        assert isinstance(device, BlockDevice)
        before = device.read(0, 8192)
        monkeypatch.setattr(device, "_read_blocks", lambda start, span: span // 2)
        with pytest.raises(DeviceError) as caught:
            device.write(100, b"x" * 7)
        assert caught.value.code == "device-io"
        monkeypatch.undo()
        assert device.read(0, 8192) == before


def test_who_a_device_is(loop: str, image: str) -> None:
    with open_device(loop) as device:
        node = device.describe()
        assert node is not None
        assert node.name == os.path.basename(loop)
        status = os.stat(loop)
        assert node.number == "{}:{}".format(os.major(status.st_rdev), os.minor(status.st_rdev))
    with open_device(image) as file:
        assert file.describe() is None


def test_cache_that_cannot_be_dropped(loop: str, monkeypatch: Any) -> None:
    with open_device(loop) as device:
        monkeypatch.setattr(fcntl, "ioctl", failing(errno.EACCES))
        with pytest.raises(DeviceError) as caught:
            device.refresh_readers()
        assert (caught.value.code, caught.value.fields["what"]) == ("device-io", "BLKFLSBUF")


def test_device_of_ones_own_must_bring_its_three_ways() -> None:
    with Device("memory", 512) as device:
        device.refresh_readers()
        actions: List[Any] = [
            lambda: device.read(0, 1),
            lambda: device.write(0, b"x"),
            device.flush,
        ]
        for action in actions:
            with pytest.raises(NotImplementedError):
                action()


def test_read_many(image: str) -> None:
    """Neighbours come in one read, in whatever order they are asked for; the others alone."""
    asked: List[Any] = []
    with open_device(image) as device:
        inner = device._read

        def counted(offset: int, length: int) -> bytes:
            asked.append((offset, length))
            return inner(offset, length)

        device._read = counted  # type: ignore[method-assign]
        ranges = [(9000, 50), (4096, 512), (5120, 512), (4608, 10), (6145, 5), (8 << 10, 1 << 16)]
        ranges += [(4096, 512), (100, 0)]
        found = device.read_many(ranges)
        assert found == [pattern()[offset : offset + length] for offset, length in ranges]
        assert device.read_many([]) == []
    assert asked == [(100, 0), (4096, 1536), (6145, 5), (8 << 10, 1 << 16)]
