"""iSCSI sessions in trouble: lost connections, resets, silence, LUNs that were away."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from relun.core import verbs
from relun.core.device import open_device
from relun.core.errors import DeviceError, Interrupted
from relun.core.options import Options
from relun.remote.iscsi import IscsiDevice
from remote.conftest import Exported
from remote.proxy import Proxy
from remote.servers import IQN

NEW_SR = "11111111-2222-4333-8444-555555555555"
Trouble = Callable[[Proxy], None]


@pytest.fixture
def proxy(lun: Exported) -> Iterator[Proxy]:
    """Troublemaker in front of the target."""
    with Proxy(lun.tgt.port) as running:
        yield running


@pytest.fixture
def device(lun: Exported, proxy: Proxy) -> Iterator[IscsiDevice]:
    """The LUN behind it."""
    with lun.open(port=proxy.port) as opened:
        yield opened


@pytest.mark.parametrize("trouble", [Proxy.cut, Proxy.reset])
def test_lost_connection(
    lun: Exported, proxy: Proxy, device: IscsiDevice, trouble: Trouble
) -> None:
    """The session is made anew; reads, writes and flushes go on."""
    before = lun.file.read_bytes()
    trouble(proxy)
    assert device.read(0, 4096) == before[:4096]
    trouble(proxy)
    device.write(7, b"hello")
    trouble(proxy)
    device.flush()
    assert proxy.connections == 4
    assert lun.file.read_bytes() == before[:7] + b"hello" + before[12:]


def test_writes_lost_by_a_reset_are_written_anew(
    lun: Exported, proxy: Proxy, device: IscsiDevice
) -> None:
    """A target that was away may have lost its cache: a flush brings everything back."""
    before = lun.file.read_bytes()
    device.write(0, b"A" * 700)
    device.write(512, b"B" * 10)
    lun.file.open("r+b").write(before[:4096])  # what a cache without a battery does
    proxy.cut()
    device.flush()
    expected = b"A" * 512 + b"B" * 10 + b"A" * 178 + before[700:]
    assert lun.file.read_bytes() == expected
    lun.file.open("r+b").write(before[:4096])
    proxy.cut()
    device.flush()  # they were durable: nothing is written anew
    assert lun.file.read_bytes() == before


def test_target_restarted(lun: Exported) -> None:
    """The daemon goes away with all sessions and comes back a moment later."""
    from remote.servers import Tgt

    with Tgt() as own:
        target = own.target("again")
        own.lun(target, lun.file)
        with Exported(own, target, "again", lun.file).open() as device:
            device.write(0, b"before")
            own.restart()
            number = own.target("again")
            node = device.describe()
            own.lun(number, lun.file, scsi_id=node.scsi_id[1:], scsi_sn=node.serial)
            device.flush()
            assert device.read(0, 6) == b"before"


def test_another_lun_after_a_reset(lun: Exported, proxy: Proxy, device: IscsiDevice) -> None:
    """The address leads to another LUN now: nothing is written to it."""
    device.write(0, b"mine")
    lun.tgt.remove_lun(lun.target)
    other = lun.file.with_suffix(".other")
    other.write_bytes(bytes(lun.file.stat().st_size))
    lun.tgt.lun(lun.target, other, scsi_id="600a0b80" + "9" * 24)
    proxy.cut()
    with pytest.raises(DeviceError) as caught:
        device.write(4096, b"mine")
        device.flush()
    assert caught.value.code == "device-changed"
    assert not any(other.read_bytes())


def test_target_that_stays_away(lun: Exported, proxy: Proxy, device: IscsiDevice) -> None:
    """Patience ends with an error that says so."""
    proxy.refuse()
    proxy.cut()
    with pytest.raises(DeviceError) as caught:
        device.read(0, 512)
    assert caught.value.code == "remote-connect"


def test_silence(lun: Exported, proxy: Proxy, device: IscsiDevice) -> None:
    """A target that says nothing more counts as lost; back again, work goes on."""
    import threading

    before = lun.file.read_bytes()
    proxy.silence()
    back = threading.Timer(3.0, lambda: proxy.silence(False))
    back.start()
    assert device.read(0, 512) == before[:512]
    back.join()
    assert proxy.connections >= 2


def test_resign_whenever_the_connection_is_cut(lun: Exported, proxy: Proxy) -> None:
    """Cut after any number of bytes, a resign comes to its end as if nothing had been."""
    before = lun.file.read_bytes()
    copy = lun.file.with_suffix(".copy")
    copy.write_bytes(before)
    with open_device(str(copy), writable=True) as file:
        verbs.resign([file], Options(sr_uuid=NEW_SR))
    expected = copy.read_bytes()
    cuts = 0
    for count in range(0, 40000, 1700):
        lun.file.open("r+b").write(before)
        with lun.open(port=proxy.port) as device:
            seen = proxy.connections
            proxy.cut_after(count)
            verbs.resign([device], Options(sr_uuid=NEW_SR))
            cuts += proxy.connections - seen
            proxy.cut_after(-1)
        assert lun.file.read_bytes() == expected
    assert cuts > 5


def test_gone_for_good_in_the_middle(lun: Exported, proxy: Proxy) -> None:
    """The target goes away for good while the LUN is hidden: recover finishes later."""
    with lun.open(port=proxy.port) as device:
        flush = device.flush
        flushes = []

        def flush_and_leave() -> None:
            flush()
            flushes.append(1)
            if len(flushes) == 3:  # journal, journal, hidden
                proxy.refuse()
                proxy.cut()

        device.flush = flush_and_leave  # type: ignore[method-assign]
        with pytest.raises(Interrupted):
            verbs.resign([device], Options(sr_uuid=NEW_SR))
    with lun.open() as device:
        assert verbs.recover([device]).action == "recovered"
        assert verbs.verify([device]) == ()


def test_lun_reset_by_somebody_else(lun: Exported, device: IscsiDevice) -> None:
    """A unit attention is no error, and what the reset may have lost is written anew."""
    before = lun.file.read_bytes()
    device.write(0, os.urandom(512))
    written = lun.file.read_bytes()[:512]
    lun.file.open("r+b").write(before[:512])
    reset_lun(lun)
    device.flush()
    assert lun.file.read_bytes()[:512] == written


def reset_lun(lun: Exported) -> None:
    """Reset the LUN as another initiator may."""
    from ctypes import c_int, c_uint32, c_void_p

    from relun.remote.libiscsi import Session
    from remote.conftest import OTHERS
    from remote.servers import HOST

    session = Session(f"{HOST}:{lun.tgt.port}", IQN + lun.name, OTHERS, 98, 5)
    function = session._library.iscsi_task_mgmt_lun_reset_sync
    function.argtypes, function.restype = [c_void_p, c_uint32], c_int
    assert function(session._context, 1) == 0
    session.logout()
    session.close()
