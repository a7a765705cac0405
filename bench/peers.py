"""What relun is measured against: a bare loop of the same I/O, vgimportclone, an interpreter.

Every measurement leaves its image as it found it (``restore``), and nothing dirty behind.
"""

import mmap
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from relun.core import verbs
from relun.core.device import open_device
from relun.core.options import Options
from support import lvm

SR_UUID = "11111111-2222-4333-8444-555555555555"
_BLOCK = 4096


class Step(NamedTuple):
    """One recorded call on a device: ``data`` for a write, ``length`` for a read, else a flush."""

    kind: str  # read, write, flush
    offset: int = 0
    length: int = 0
    data: bytes = b""


def resign(path: str) -> Any:
    """Resign one LUN in this process, from opening to closing; return the device."""
    device = open_device(path, writable=True)
    try:
        verbs.resign([device], Options(sr_uuid=SR_UUID))
    finally:
        device.close()
    return device


def record(path: str) -> tuple[list[Step], Any]:
    """Resign one LUN; return every call that reached file or node, and what the device counted."""
    device: Any = open_device(path, writable=True)
    steps: list[Step] = []
    with device:
        (_record_blocks if hasattr(device, "_read_blocks") else _record_file)(device, steps)
        verbs.resign([device], Options(sr_uuid=SR_UUID))
    return steps, device.traffic


def _record_file(device: Any, steps: list[Step]) -> None:
    read, write, flush = device._read, device._write, device._flush

    def recorded_read(offset: int, length: int) -> bytes:
        steps.append(Step("read", offset, length))
        return bytes(read(offset, length))

    def recorded_write(offset: int, data: bytes) -> None:
        steps.append(Step("write", offset, len(data), bytes(data)))
        write(offset, data)

    def recorded_flush() -> None:
        steps.append(Step("flush"))
        flush()

    device._read, device._write = recorded_read, recorded_write
    device._flush = recorded_flush


def _record_blocks(device: Any, steps: list[Step]) -> None:
    read, write, flush = device._read_blocks, device._write_blocks, device._flush

    def recorded_read(start: int, span: int) -> int:
        steps.append(Step("read", start, span))
        return int(read(start, span))

    def recorded_write(start: int, span: int) -> None:
        steps.append(Step("write", start, span, bytes(device._view[:span])))
        write(start, span)

    def recorded_flush() -> None:
        steps.append(Step("flush"))
        flush()

    device._read_blocks, device._write_blocks = recorded_read, recorded_write
    device._flush = recorded_flush


def replay(path: str, steps: Sequence[Step]) -> None:
    """Issue the recorded calls on a file with nothing between them."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    for kind, offset, length, data in steps:
        if kind == "read":
            os.pread(fd, length, offset)
        elif kind == "write":
            os.pwrite(fd, data, offset)
        else:
            os.fsync(fd)
    os.close(fd)


def replay_direct(path: str, steps: Sequence[Step]) -> None:
    """Issue the recorded calls on a block device, with O_DIRECT through one aligned buffer."""
    fd = os.open(path, os.O_RDWR | os.O_EXCL | os.O_DIRECT | os.O_CLOEXEC)
    with mmap.mmap(-1, max(step.length for step in steps)) as buffer, memoryview(buffer) as view:
        for kind, offset, length, data in steps:
            if kind == "read":
                os.preadv(fd, [view[:length]], offset)
            elif kind == "write":
                view[:length] = data
                os.pwritev(fd, [view[:length]], offset)
            else:
                os.fsync(fd)
    os.close(fd)


def written(steps: Iterable[Step]) -> list[tuple[int, int]]:
    """Return the (offset, length) of every write."""
    return [(step.offset, step.length) for step in steps if step.kind == "write"]


def restore(path: str, original: str, ranges: Iterable[tuple[int, int]]) -> None:
    """Bring byte ranges back to the original's and leave nothing dirty."""
    with open(path, "r+b", buffering=0) as file, open(original, "rb", buffering=0) as source:
        for offset, length in ranges:
            os.pwrite(file.fileno(), os.pread(source.fileno(), length, offset), offset)
        os.fsync(file.fileno())


def restore_head(path: str, original: str, length: int) -> None:
    """Bring the first ``length`` bytes back, touching only the blocks that differ."""
    with open(path, "rb") as file, open(original, "rb") as source:
        now, then = file.read(length), source.read(length)
    differing = [
        (at, _BLOCK)
        for at in range(0, length, _BLOCK)
        if now[at : at + _BLOCK] != then[at : at + _BLOCK]
    ]
    restore(path, original, differing)


def timed(action: Callable[[], object]) -> float:
    """Return the seconds an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def process(command: Sequence[str], environment: dict[str, str] | None = None) -> float:
    """Return the seconds a process takes from start to end; it must succeed."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{command}: exit {done.returncode}\n{done.stdout!r}\n{done.stderr!r}")
    return seconds


def vgimportclone(tools: lvm.Lvm) -> float:
    """Return the seconds of one vgimportclone process on the attached device.

    The private lvm.conf limits it to that device, so that it does not scan the machine.
    """
    command = ["vgimportclone", "--basevgname", f"VG_XenStorage-{SR_UUID}", tools.devices[0]]
    return process(command, tools.environment())
