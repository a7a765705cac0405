"""iSCSI LUNs of a real target: reading, writing, who they are, who may use them."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from relun.core import verbs
from relun.core.errors import DeviceError, Refused
from relun.core.options import Options
from relun.core.target import expect_serial
from relun.remote import iscsi, scsi
from relun.remote import lun as lun_module
from relun.remote.discovery import luns_of_portal
from relun.remote.libiscsi import Command, Redirected, Session
from relun.remote.login import Login
from remote.conftest import OTHERS, OURS, QUICK, Exported, export
from remote.servers import HOST, IQN, SECOND_HOST, Tgt
from support.builder import Sr, build, fleet

NEW_SR = "11111111-2222-4333-8444-555555555555"
MIB = 1 << 20


def refusal(lun: Exported, login: Login = OURS, writable: bool = True) -> DeviceError:
    """Return the error that opening ends in."""
    with pytest.raises(DeviceError) as caught:
        lun.open(writable, login=login)
    assert not caught.value.changed
    return caught.value


def test_reads_and_writes(exported: Exported) -> None:
    """At every kind of alignment, compared with the file behind the target."""
    expected = bytearray(exported.file.read_bytes())
    with exported.open() as device:
        assert device.size == len(expected)
        assert device.block_size in (512, 4096)
        for offset, length in ((0, 512), (0, 0), (1, 1), (511, 2), (4095, 8194), (100, 3 * MIB)):
            assert device.read(offset, length) == bytes(expected[offset : offset + length])
        size = device.size
        for offset, length in ((512, 512), (7, 3), (4090, 4100), (9, 3 * MIB), (size - 5, 5)):
            data = os.urandom(length)
            device.write(offset, data)
            expected[offset : offset + length] = data
        device.flush()
        assert device.traffic.writes == 5
        assert device.traffic.flushes == 1
    assert exported.file.read_bytes() == bytes(expected)


def test_many_at_once(exported: Exported) -> None:
    """Ranges that overlap, touch, repeat and stand alone; the last write wins."""
    expected = bytearray(exported.file.read_bytes())
    places = ((MIB, 10), (MIB + 5, 10), (0, 512), (512, 512), (9000, 4096), (3 * MIB, 1), (5, 0))
    writes = [(offset, os.urandom(length)) for offset, length in places]
    with exported.open() as device:
        before = device.wire.round_trips
        device.write_many(writes)
        assert device.wire.round_trips - before == 2  # what is around the edits, the edits
        for offset, data in writes:
            expected[offset : offset + len(data)] = data
        ranges = [(offset, len(data)) for offset, data in writes] + [(MIB - 3, 600), (MIB, 10)]
        assert device.read_many(ranges) == [bytes(expected[a : a + n]) for a, n in ranges]
        assert device.wire.round_trips - before == 3
        for outside in ([(-1, b"x")], [(device.size, b"x")]):
            with pytest.raises(DeviceError, match="device-bounds"):
                device.write_many(outside)
        device.flush()
    assert exported.file.read_bytes() == bytes(expected)


def test_resign_and_undo(exported: Exported) -> None:
    """The result is the same as on the file itself, byte for byte."""
    before = exported.file.read_bytes()
    copy = exported.file.with_suffix(".copy")
    copy.write_bytes(before)
    from relun.core.device import open_device

    with open_device(str(copy), writable=True) as device:
        verbs.resign([device], Options(sr_uuid=NEW_SR))
    with exported.open() as device:
        verbs.resign([device], Options(sr_uuid=NEW_SR))
        assert exported.file.read_bytes() == copy.read_bytes()
        assert verbs.verify([device]) == ()
        verbs.undo([device])
    assert exported.file.read_bytes() == before


def test_round_trips_do_not_grow_with_the_disks(tgt: Tgt, tmp_path: Path) -> None:
    """So a slow line costs a LUN with many disks hardly more than one with few."""
    trips = []
    for count in (4, 80):
        file = Path(build(Sr(fleet(count)), tmp_path / f"{count}.img").path)
        for exported in export(tgt, file, 512):
            with exported.open() as device:
                verbs.resign([device], Options(sr_uuid=NEW_SR))
                trips.append(device.wire.round_trips)
    assert trips[1] <= trips[0] + 6
    assert trips[1] < 60


def test_who_it_is(lun: Exported) -> None:
    """Serial number and SCSI id are those of the VPD pages."""
    with lun.open(writable=False) as device:
        node = device.describe()
        assert node.serial == f"LAB{lun.target:05d}"
        assert node.scsi_id == f"3600a0b80{lun.target:08x}{1:016x}"
        expect_serial(device, node.serial)
        expect_serial(device, node.scsi_id)
        with pytest.raises(Refused, match="serial-differs"):
            expect_serial(device, "LAB99999")


def test_discovery(lun: Exported) -> None:
    """A portal's address stands for all disks behind it, the controller left out."""
    lun.tgt.lun(lun.target, lun.file, unit=7)
    found = luns_of_portal(f"iscsi://{HOST}:{lun.tgt.port}", OURS, QUICK)
    assert found == [lun.tgt.address(lun.name, unit) for unit in (1, 7)]


@pytest.fixture
def guarded(tgt: Tgt, sr_file: Path) -> Iterator[Exported]:
    """A LUN with mutual CHAP."""
    names = {"user": "backup", "password": "secret-of-twelve", "target_user": "array",
             "target_password": "another-of-them"}  # fmt: skip
    target = tgt.target("guarded", **names)
    tgt.lun(target, sr_file)
    yield Exported(tgt, target, "guarded", sr_file)
    tgt.remove(target)


CHAP = OURS._replace(user="backup", password="secret-of-twelve")
MUTUAL = CHAP._replace(target_user="array", target_password="another-of-them")


def test_chap(guarded: Exported) -> None:
    """CHAP and mutual CHAP open the LUN; anything else is refused in words."""
    for login in (CHAP, MUTUAL):
        with guarded.open(login=login) as device:
            assert device.read(512, 8) == b"LABELONE"
    for wrong in (
        OURS,
        CHAP._replace(password="wrong-of-twelve"),
        CHAP._replace(user="somebody"),
        MUTUAL._replace(target_password="wrong-of-twelve"),
    ):
        error = refusal(guarded, wrong)
        assert error.code in ("remote-login", "remote-connect")
        for secret in (wrong.password, wrong.target_password):
            assert not secret or secret not in str(error)
    assert refusal(guarded, CHAP._replace(password="wrong-of-twelve")).code == "remote-login"


def reserve_out(action: int, kind: int = 0, key: int = 0, new_key: int = 0) -> Command:
    """Return PERSISTENT RESERVE OUT."""
    cdb = struct.pack(">BBBxxIB", 0x5F, action, kind, 24, 0)
    return Command(cdb, struct.pack(">QQ8x", key, new_key))


@pytest.fixture
def somebody(lun: Exported) -> Iterator[Session]:
    """Another initiator, logged in."""
    session = Session(f"{HOST}:{lun.tgt.port}", IQN + lun.name, OTHERS, 99, 5)
    session.run(1, [Command(scsi.TEST_UNIT_READY)])
    yield session
    session.close()


def run(session: Session, command: Command) -> None:
    """Send one command that must be done."""
    session.run(1, [command])
    assert command.status == scsi.GOOD, command.sense


def test_reservation(lun: Exported, somebody: Session) -> None:
    """A LUN that another initiator has reserved is refused, with the holder named."""
    run(somebody, reserve_out(0, new_key=0xABCDEF))
    run(somebody, reserve_out(1, kind=5, key=0xABCDEF))
    error = refusal(lun)
    assert error.code == "device-reserved"
    assert "0x0000000000abcdef" in error.fields["holder"]
    assert error.fields["kind"] == "write exclusive, registrants only"
    lun.open(writable=False).close()  # this kind lets others read
    run(somebody, reserve_out(2, kind=5, key=0xABCDEF))
    lun.open().close()


def test_reservation_while_at_work(lun: Exported, somebody: Session) -> None:
    """Somebody reserves the LUN behind relun's back: the next write is refused."""
    with lun.open() as device:
        device.write(0, b"mine")
        run(somebody, reserve_out(0, new_key=7))
        run(somebody, reserve_out(1, kind=3, key=7))
        with pytest.raises(DeviceError) as caught:
            device.write(0, b"more")
        assert caught.value.code == "device-reserved"
        with pytest.raises(DeviceError, match="device-reserved"):
            device.read(0, 1)
        run(somebody, reserve_out(2, kind=3, key=7))


def test_redirection(lun: Exported) -> None:
    """A portal that sends the initiator to another one is followed."""
    where = {"Address": SECOND_HOST, "Port": str(lun.tgt.port), "Reason": "Temporary"}
    with Tgt() as front:
        target = front.target(lun.name)
        for name, value in where.items():
            front.admin("target", "update", target, "--name", "Redirect" + name, "--value", value)
        address = front.address(lun.name)
        with iscsi.open_iscsi(address, OURS, True, QUICK) as device:
            assert device.path == address
            assert device.read(0, 4096) == lun.file.read_bytes()[:4096]


def test_redirection_in_a_circle(lun: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends."""

    def session(portal: str, *_more: object) -> Session:
        raise Redirected(portal)

    monkeypatch.setattr(lun_module, "Session", session)
    error = refusal(lun)
    assert error.code == "remote-connect"
    assert "from portal to portal" in error.fields["reason"]


Answer = tuple[int, scsi.Sense]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[int, list[Answer]]:
    """What the LUN answers to the next commands, by operation code, in place of doing them."""
    planned: dict[int, list[Answer]] = {}
    really = Session.run

    def run(session: Session, number: int, commands: Sequence[Command]) -> None:
        left = []
        for command in commands:
            if planned.get(command.cdb[0]):
                command.status, command.sense = planned[command.cdb[0]].pop(0)
                command.done = True
            else:
                left.append(command)
        really(session, number, left)

    monkeypatch.setattr(Session, "run", run)
    return planned


READ, WRITE, FLUSH = 0x88, 0x8A, 0x35
CHECK = scsi.CHECK_CONDITION


def test_conditions_that_pass(lun: Exported, answers: dict[int, list[Answer]]) -> None:
    """Busy, a full queue, not ready yet, attentions: the command is sent again."""
    passing = [
        (scsi.BUSY, scsi.Sense()),
        (scsi.TASK_SET_FULL, scsi.Sense()),
        (scsi.TASK_ABORTED, scsi.Sense()),
        (CHECK, scsi.Sense(2, 4, 1)),
        (CHECK, scsi.Sense(6, 0x3F, 0x0E)),
        (CHECK, scsi.Sense(0xB, 0, 0)),
    ]
    with lun.open() as device:
        for operation in (WRITE, FLUSH, READ):
            answers[operation] = list(passing)
        device.write(0, b"x" * 512)
        device.flush()
        assert device.read(0, 512) == b"x" * 512
    assert not any(answers.values())
    assert lun.file.read_bytes()[:512] == b"x" * 512


def test_conditions_that_stay(lun: Exported, answers: dict[int, list[Answer]]) -> None:
    """They become errors that say what it was."""
    with lun.open() as device:
        for sense, code, words in (
            (scsi.Sense(3, 0x0C, 0), "device-io", "write error"),
            (scsi.Sense(7, 0x27, 0), "device-readonly", "write-protected"),
            (scsi.Sense(7, 0x27, 7), "device-readonly", "no space left"),
            (scsi.Sense(5, 0x25, 0), "device-missing", "no LUN of this number"),
        ):
            answers[WRITE] = [(CHECK, sense)]
            with pytest.raises(DeviceError) as caught:
                device.write(0, bytes(512))
            assert caught.value.code == code
            assert words in caught.value.fields["reason"]
        answers[WRITE] = [(scsi.RESERVATION_CONFLICT, scsi.Sense())]
        with pytest.raises(DeviceError) as caught:
            device.write(0, bytes(512))
        assert caught.value.code == "device-reserved"
        assert caught.value.fields["kind"] == "a SCSI-2 reservation"
        answers[WRITE] = [(scsi.BUSY, scsi.Sense())] * 1000
        with pytest.raises(DeviceError, match="device-io"):
            device.write(0, bytes(512))
    answers.clear()


def test_flush_that_the_target_does_not_know(
    lun: Exported, answers: dict[int, list[Answer]]
) -> None:
    """Without a write cache it is none that is needed; with one, the LUN is not to be changed."""
    unknown = (CHECK, scsi.Sense(5, 0x20, 0))
    with lun.open() as device:
        answers[FLUSH] = [unknown]
        with pytest.raises(DeviceError, match="device-no-flush"):
            device.flush()
    caching = "mode_page=8:0:18:0x10:0:0xff:0xff:0:0:0xff:0xff:0xff:0xff:0x80:0x14:0:0:0:0:0:0"
    name, _equals, value = caching.partition("=")
    lun.tgt.admin("logicalunit", "update", lun.target, "--lun", "1", "--params", f"{name}={value}")
    with lun.open() as device:
        answers[FLUSH] = [unknown]
        device.flush()


def test_read_only(lun: Exported) -> None:
    """Write protection is seen before anything is planned."""
    lun.tgt.admin("logicalunit", "update", lun.target, "--lun", "1", "--params", "readonly=1")
    assert refusal(lun).code == "device-readonly"
    lun.open(writable=False).close()


def test_no_such_lun(lun: Exported) -> None:
    """A number without a LUN, a target that is not there, a portal that is not there."""
    for address, code in (
        (lun.tgt.address(lun.name, 5), "device-missing"),
        (lun.tgt.address(lun.name, 0), "remote-kind"),
        (lun.tgt.address("nobody"), "remote-connect"),
        (f"iscsi://{HOST}:1/{IQN}x/1", "remote-connect"),
        (f"iscsi://{HOST}:{lun.tgt.port}", "address-portal"),
    ):
        with pytest.raises(DeviceError) as caught:
            iscsi.open_iscsi(address, OURS, False, QUICK)
        assert caught.value.code == code, address
        assert caught.value.fields["device"] == address
