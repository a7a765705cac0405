"""NBD exports of real servers: nbdkit over TCP, qemu-nbd at a Unix socket."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from relun.core import verbs
from relun.core.errors import DeviceError, Interrupted
from relun.core.options import Options
from relun.remote import nbd
from relun.remote.nbd import open_nbd
from remote.proxy import Proxy
from remote.servers import HOST, Nbdkit, NbdServer, QemuNbd

NEW_SR = "11111111-2222-4333-8444-555555555555"
MIB = 1 << 20


@pytest.fixture(params=["nbdkit", "nbdkit-4096", "qemu-nbd"])
def address(request: pytest.FixtureRequest, sr_file: Path) -> Iterator[str]:
    """A LUN behind each server, once with blocks of 4 KiB."""
    blocks = ("--filter=blocksize-policy", "file", str(sr_file), "blocksize-minimum=4096",
              "blocksize-error-policy=error", "blocksize-preferred=4096")  # fmt: skip
    servers: dict[str, Callable[[], NbdServer]] = {
        "nbdkit": lambda: Nbdkit("file", str(sr_file)),
        "nbdkit-4096": lambda: Nbdkit(*blocks),
        "qemu-nbd": lambda: QemuNbd(sr_file),
    }
    with servers[request.param]() as server:
        yield server.address


@pytest.fixture
def proxy(sr_file: Path) -> Iterator[Proxy]:
    """A troublemaker in front of a server.

    Of one thread: with several, nbdkit 1.32.5 may die when a connection is lost among its writes
    (connections.c, raw_send_socket: assertion ``sock >= 0``).
    """
    with Nbdkit("-t", "1", "file", str(sr_file)) as server, Proxy(server.port) as running:
        yield running


def test_reads_and_writes(address: str, sr_file: Path) -> None:
    """At every kind of alignment, compared with the file behind the server."""
    expected = bytearray(sr_file.read_bytes())
    with open_nbd(address, writable=True) as device:
        assert device.size == len(expected)
        assert device.block_size == (4096 if "4096" in os.environ["PYTEST_CURRENT_TEST"] else 512)
        for offset, length in ((0, 512), (0, 0), (1, 1), (511, 2), (4095, 8194), (100, 3 * MIB)):
            assert device.read(offset, length) == bytes(expected[offset : offset + length])
        size = device.size
        for offset, length in ((512, 512), (7, 3), (4090, 4100), (9, 3 * MIB), (size - 5, 5)):
            data = os.urandom(length)
            device.write(offset, data)
            expected[offset : offset + length] = data
        device.flush()
    assert sr_file.read_bytes() == bytes(expected)


def test_resign_and_undo(address: str, sr_file: Path) -> None:
    """A whole round, back to every byte."""
    before = sr_file.read_bytes()
    with open_nbd(address, writable=True) as device:
        verbs.resign([device], Options(sr_uuid=NEW_SR))
        assert verbs.verify([device]) == ()
        assert sr_file.read_bytes() != before
        verbs.undo([device])
    assert sr_file.read_bytes() == before


def test_read_only(sr_file: Path) -> None:
    """A read-only export is not opened for writing."""
    with QemuNbd(sr_file, "--read-only") as server:
        with pytest.raises(DeviceError, match="device-readonly"):
            open_nbd(server.address, writable=True)
        open_nbd(server.address).close()


def test_no_flush(sr_file: Path) -> None:
    """A server that cannot flush gets no writes."""
    plugin = ("eval", f"get_size=stat -c %s {sr_file}", "pread=head -c $3 /dev/zero")
    refused = pytest.raises(DeviceError, match="device-no-flush")
    with Nbdkit(*plugin, "pwrite=cat >/dev/null", "can_flush=exit 3") as server, refused:
        open_nbd(server.address, writable=True)


def test_errors_of_the_server(sr_file: Path) -> None:
    """They come with the address and the server's reason."""
    options = ("--filter=error", "file", str(sr_file))
    errors = ("error-pwrite-rate=100%", "error-pwrite=ENOSPC")
    with Nbdkit(*options, *errors) as server:
        device = open_nbd(server.address, writable=True)
        with pytest.raises(DeviceError) as caught:
            device.write(512, b"x")
        device.close()
    assert caught.value.code == "device-io"
    assert caught.value.fields["device"] == server.address
    assert "No space left" in caught.value.fields["reason"]


def test_nobody_there(tmp_path: Path) -> None:
    """No server, no socket, no such export."""
    for address in (f"nbd://{HOST}:1", f"nbd+unix:///?socket={tmp_path}/none"):
        with pytest.raises(DeviceError, match="remote-connect"):
            open_nbd(address)
    image = tmp_path / "image"
    image.write_bytes(bytes(MIB))
    with QemuNbd(image) as server:
        wrong = server.address.replace("/lun?", "/other?")
        with pytest.raises(DeviceError, match="remote-connect"):
            open_nbd(wrong)


def test_lost_while_reading(proxy: Proxy, sr_file: Path) -> None:
    """With nothing at stake the connection is made anew."""
    with open_nbd(f"nbd://{HOST}:{proxy.port}", writable=True) as device:
        for trouble in (proxy.cut, proxy.reset):
            trouble()
            assert device.read(0, 4096) == sr_file.read_bytes()[:4096]
        device.write(0, b"x")
        device.flush()
        proxy.cut()
        assert device.read(0, 1) == b"x"
    assert proxy.connections == 4


def test_lost_before_a_flush(proxy: Proxy) -> None:
    """What was written may be gone, so a flush on a new connection would be a lie."""
    with open_nbd(f"nbd://{HOST}:{proxy.port}", writable=True) as device:
        device.write(0, b"x")
        proxy.cut()
        with pytest.raises(DeviceError, match="remote-lost"):
            device.flush()


def test_resign_whenever_the_connection_is_cut(proxy: Proxy, sr_file: Path) -> None:
    """Refused, interrupted or done: the LUN is what the error says, and recover finishes it."""
    before = sr_file.read_bytes()
    address = f"nbd://{HOST}:{proxy.port}"
    seen = set()
    for count in range(0, 30000, 1900):
        with sr_file.open("r+b") as file:
            file.write(before)
        with open_nbd(address, writable=True) as device:
            proxy.cut_after(count)
            try:
                verbs.resign([device], Options(sr_uuid=NEW_SR))
                seen.add("done")
            except DeviceError:
                seen.add("refused")
            except Interrupted:
                seen.add("interrupted")
            proxy.cut_after(-1)
        with open_nbd(address, writable=True) as device:
            verbs.recover([device])
            verbs.undo([device])
        assert sr_file.read_bytes() == before
    assert {"done", "interrupted"} <= seen


def test_silence(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says nothing more counts as lost."""
    monkeypatch.setattr(nbd, "TIMEOUT", 1.0)
    monkeypatch.setattr(nbd, "_OUTAGE", 1.0)
    with open_nbd(f"nbd://{HOST}:{proxy.port}") as device:
        proxy.silence()
        with pytest.raises(DeviceError, match="remote-connect"):
            device.read(0, 512)
