"""Device: the one door to a LUN's bytes.

Offsets and lengths are bytes and need not be aligned; a device with larger logical blocks reads and
rewrites the enclosing blocks. Everything above reads, writes and flushes through this interface, so
that a remote device or a recording one in a test plugs in here.
"""

import errno
import fcntl
import os
import stat
import struct

from relun.core.errors import DeviceError
from relun.core.hints import TYPE_CHECKING, Any, List, NamedTuple, Optional, Sequence, Tuple

if TYPE_CHECKING:
    from relun.core.sysfs import BlockNode

_BLKSSZGET = 0x1268  # linux/fs.h: logical block size
_BLKGETSIZE64 = 0x80081272
_BLKROGET = 0x125E
_BLKFLSBUF = 0x1261
_DIRECT_BUFFER = 1 << 20
_PIECE = 1 << 16  # bytes read at once for several ranges
_NEAR = 512  # bytes between two ranges that are read with them: every second sector of MGT changes


class Traffic(NamedTuple):
    """What went over a device since it was opened: bytes and calls."""

    bytes_read: int = 0
    bytes_written: int = 0
    writes: int = 0
    flushes: int = 0


class Device:
    """A LUN: ``size`` in bytes, logical ``block_size`` in bytes, and three ways to touch it."""

    # True where a request spends its time on the way: then independent ones should go together.
    pipelined = False

    def __init__(self, path: str, size: int, block_size: int = 512) -> None:
        self.path = path
        self.size = size
        self.block_size = block_size
        self._bytes_read = self._bytes_written = self._writes = self._flushes = 0

    @property
    def traffic(self) -> Traffic:
        """What went over the device since it was opened."""
        return Traffic(self._bytes_read, self._bytes_written, self._writes, self._flushes)

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``. Raise DeviceError when that cannot be."""
        self._expect_inside(offset, length)
        try:
            data = self._read(offset, length)
        except OSError as error:
            raise self._io_error("read", offset, error) from error
        if len(data) != length:
            raise DeviceError(
                "device-short", device=self.path, offset=offset, length=length, got=len(data)
            )
        self._bytes_read += length
        return data

    def write(self, offset: int, data: bytes) -> None:
        """Write all of ``data`` at ``offset``; durable only after ``flush``."""
        self._expect_inside(offset, len(data))
        try:
            self._write(offset, data)
        except OSError as error:
            raise self._io_error("write", offset, error) from error
        self._bytes_written += len(data)
        self._writes += 1

    def read_many(self, ranges: Sequence[Tuple[int, int]]) -> List[bytes]:
        """Return the bytes of independent ranges (offset, length), as ``read`` does.

        Neighbours are read in one piece: on a LUN each request has its price.
        """
        found = [b""] * len(ranges)
        for start, end, members in _pieces(ranges):
            data = self.read(start, end - start)
            for number in members:
                offset, length = ranges[number]
                found[number] = data[offset - start : offset - start + length]
        return found

    def write_many(self, writes: Sequence[Tuple[int, bytes]]) -> None:
        """Write each data at its offset; the order in which they reach the LUN is not defined.

        Where writes overlap, the last one wins.
        """
        for offset, data in writes:
            self.write(offset, data)

    def flush(self) -> None:
        """Make every write so far durable on the medium."""
        try:
            self._flush()
        except OSError as error:
            raise self._io_error("flush", 0, error) from error
        self._flushes += 1

    def data_ranges(self, start: int, end: int) -> List[Tuple[int, int]]:
        """Return (start, end) of the parts of a range that may hold anything but zeros."""
        return [(start, end)]

    def describe(self) -> "Optional[BlockNode]":
        """Return who the device is: serial, SCSI id, who holds it. None for a file."""
        return None

    def refresh_readers(self) -> None:
        """Drop what other readers' caches (udev, blkid) still hold of the old bytes."""

    def close(self) -> None:
        """Give the device back."""

    def __enter__(self) -> "Device":
        return self

    def __exit__(self, *_exc: Any) -> None:
        self.close()

    def _expect_inside(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise DeviceError(
                "device-bounds", device=self.path, offset=offset, length=length, size=self.size
            )

    def _io_error(self, what: str, offset: int, error: OSError) -> DeviceError:
        return DeviceError(
            "device-io",
            device=self.path,
            what=what,
            offset=offset,
            reason=error.strerror or str(error),
        )

    def _read(self, offset: int, length: int) -> bytes:
        raise NotImplementedError

    def _write(self, offset: int, data: bytes) -> None:
        raise NotImplementedError

    def _flush(self) -> None:
        raise NotImplementedError


class FileDevice(Device):
    """A LUN image in a regular file."""

    def __init__(self, path: str, fd: int, size: int) -> None:
        super().__init__(path, size)
        self._fd = fd

    def _read(self, offset: int, length: int) -> bytes:
        data = os.pread(self._fd, length, offset)
        while 0 < len(data) < length:
            more = os.pread(self._fd, length - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def _write(self, offset: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            done = os.pwrite(self._fd, view, offset)
            view, offset = view[done:], offset + done

    def _flush(self) -> None:
        os.fsync(self._fd)

    def data_ranges(self, start: int, end: int) -> List[Tuple[int, int]]:
        """Return (start, end) of the parts of the file that are not holes."""
        ranges = []
        position = start
        while position < end:
            try:
                low = os.lseek(self._fd, position, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:  # only holes up to the end
                    break
                raise self._io_error("seek", position, error) from error
            if low >= end:
                break
            position = min(os.lseek(self._fd, low, os.SEEK_HOLE), end)
            ranges.append((low, position))
        return ranges

    def close(self) -> None:
        os.close(self._fd)


class BlockDevice(Device):
    """A block device, read and written with O_DIRECT through aligned (mmap) buffers.

    LVM and vhd-util read O_DIRECT as well, and each block node has a page cache of its own, so
    buffered data could be stale. ``mmap`` memory is page aligned; CPython 3.6 has no ``preadv``,
    hence ``readinto`` on a raw file.
    """

    def __init__(self, path: str, fd: int, size: int, block_size: int) -> None:
        import mmap  # files do without

        super().__init__(path, size, block_size)
        self._file = os.fdopen(fd, "r+b" if _writable(fd) else "rb", buffering=0)
        self._view = memoryview(mmap.mmap(-1, _DIRECT_BUFFER))

    def _read(self, offset: int, length: int) -> bytes:
        parts = []
        end = offset + length
        while offset < end:
            start = offset // self.block_size * self.block_size
            span = min(_DIRECT_BUFFER, self._round_up(end) - start)
            got = self._read_blocks(start, span)
            if got <= offset - start:
                break
            take = min(end, start + got) - offset
            parts.append(bytes(self._view[offset - start : offset - start + take]))
            offset += take
        return b"".join(parts)

    def _write(self, offset: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            start = offset // self.block_size * self.block_size
            skip = offset - start
            take = min(len(view), _DIRECT_BUFFER - skip)
            span = self._round_up(offset + take) - start
            if skip or (offset + take) % self.block_size:
                self._read_neighbours(start, span)
            self._view[skip : skip + take] = view[:take]
            self._write_blocks(start, span)
            view, offset = view[take:], offset + take

    def _round_up(self, offset: int) -> int:
        return -(-offset // self.block_size) * self.block_size

    def _read_blocks(self, start: int, span: int) -> int:
        self._file.seek(start)
        return self._file.readinto(self._view[:span]) or 0

    def _read_neighbours(self, start: int, span: int) -> None:
        got = self._read_blocks(start, span)
        if got != span:  # what is missing would be overwritten with what the buffer held before
            raise OSError(errno.EIO, "short read: {} of {} bytes".format(got, span))

    def _write_blocks(self, start: int, span: int) -> None:
        self._file.seek(start)
        done = self._file.write(self._view[:span]) or 0
        if done != span:
            raise OSError(errno.EIO, "short write: {} of {} bytes".format(done, span))

    def _flush(self) -> None:
        os.fsync(self._file.fileno())

    def describe(self) -> "BlockNode":
        """Return what the kernel says of the device."""
        from relun.core import sysfs  # files do without

        return sysfs.describe(self.path)

    def refresh_readers(self) -> None:
        """Drop the page cache of the node, so that blkid and udev read the new bytes."""
        try:
            fcntl.ioctl(self._file.fileno(), _BLKFLSBUF, 0)
        except OSError as error:
            raise self._io_error("BLKFLSBUF", 0, error) from error

    def close(self) -> None:
        # The buffer goes with the object: an error on its way up may still hold a part of it.
        self._file.close()


def _pieces(ranges: Sequence[Tuple[int, int]]) -> List[Tuple[int, int, List[int]]]:
    """Return (start, end, numbers of the ranges inside) of what is read in one piece."""
    pieces: List[Tuple[int, int, List[int]]] = []
    for number in sorted(range(len(ranges)), key=ranges.__getitem__):
        offset, length = ranges[number]
        if pieces and offset <= pieces[-1][1] + _NEAR and offset + length <= pieces[-1][0] + _PIECE:
            start, end, members = pieces.pop()
        else:
            start, end, members = offset, offset, []
        pieces.append((start, max(end, offset + length), [*members, number]))
    return pieces


def open_device(path: str, writable: bool = False) -> Device:
    """Open a file or block device.

    For writing it is opened exclusively: a mounted, mapped or otherwise held device is refused, and
    a path of a multipath map too, with the map's name. Raises DeviceError.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise DeviceError("device-missing", device=path, reason=error.strerror) from error
    if stat.S_ISREG(mode):
        return _open_file(path, writable)
    if stat.S_ISBLK(mode):
        return _open_block(path, writable)
    raise DeviceError("device-kind", device=path)


def _open_file(path: str, writable: bool) -> FileDevice:
    fd = _open(path, os.O_RDWR if writable else os.O_RDONLY)
    if writable and not _lock(fd):
        os.close(fd)
        raise DeviceError("device-busy", device=path, reason="locked by another process")
    if writable and _open_elsewhere(fd):
        os.close(fd)
        raise DeviceError("device-busy", device=path, reason="open in another process")
    return FileDevice(path, fd, os.fstat(fd).st_size)


def _open_block(path: str, writable: bool) -> BlockDevice:
    if writable:
        _refuse_if_held(path)
    flags = os.O_DIRECT | (os.O_RDWR | os.O_EXCL if writable else os.O_RDONLY)
    fd = _open(path, flags)
    block_size = struct.unpack("i", fcntl.ioctl(fd, _BLKSSZGET, bytes(4)))[0]
    size = struct.unpack("Q", fcntl.ioctl(fd, _BLKGETSIZE64, bytes(8)))[0]
    if writable and struct.unpack("i", fcntl.ioctl(fd, _BLKROGET, bytes(4)))[0]:
        os.close(fd)
        raise DeviceError("device-readonly", device=path, reason="block device is set read-only")
    return BlockDevice(path, fd, size, block_size)


def _refuse_if_held(path: str) -> None:
    from relun.core import sysfs  # files do without

    node = sysfs.describe(path)
    if node.multipath:
        raise DeviceError("device-path", device=path, map=node.multipath)
    if node.mounted_on:
        raise DeviceError("device-mounted", device=path, where=node.mounted_on)
    if node.holders:
        raise DeviceError("device-held", device=path, holders=", ".join(node.holders))


def _open(path: str, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_CLOEXEC)
    except OSError as error:
        code = {errno.EBUSY: "device-busy", errno.EROFS: "device-readonly"}.get(
            error.errno or 0, "device-readonly" if _denied(error, flags) else "device-missing"
        )
        raise DeviceError(code, device=path, reason=error.strerror) from error


def _denied(error: OSError, flags: int) -> bool:
    return error.errno in (errno.EACCES, errno.EPERM) and bool(flags & os.O_RDWR)


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _open_elsewhere(fd: int) -> bool:
    """Tell whether somebody else has the file open: a program, a loop device, an iSCSI target.

    The kernel grants a write lease only on a file that nobody else has open (fcntl(2)). Where it
    grants none at all (NFS, another owner) nothing can be told.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError as error:
        return error.errno in (errno.EAGAIN, errno.EBUSY)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def _writable(fd: int) -> bool:
    return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
