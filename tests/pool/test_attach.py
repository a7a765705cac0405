"""A clone attached to a pool: by iSCSI from here, on three hosts; and what stands in the way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pool.site import PoolLun, PoolSite
from relun.core import verbs
from relun.core.errors import DeviceError, Interrupted, RelunError
from relun.core.identity import uuid5
from relun.core.options import Options
from relun.pool import turn
from relun.pool.attach import AttachOptions, attach
from relun.pool.connection import Address, Connection, connect
from relun.pool.errors import PoolRefused, PoolUnfinished
from relun.pool.events import Event
from relun.pool.lun import Target, open_lun, target_of
from relun.pool.marks import ATTACHED, ORIGINAL_SR, READ_ONLY, Attached
from relun.remote.login import Login
from support.builder import Sr, Vhd, build
from xapi import faults
from xapi.faults import Call
from xapi.server import PASSWORD, USER

NEW_SR = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
def connection(pool_site: PoolSite) -> Iterator[Connection]:
    """A session with the site's pool."""
    with connect(Address(pool_site.url, USER, PASSWORD)) as made:
        yield made


@pytest.fixture
def clone(pool_site: PoolSite) -> PoolLun:
    """The clone of an SR that the pool has, one disk on it."""
    original = pool_site.lun("single")
    pool_site.attach(original)
    return pool_site.clone(original)


def record(site: PoolSite, kind: str, uuid: str) -> dict[str, Any]:
    """Return the record of an object."""
    (found,) = [each for each in site.snapshot()[kind].values() if each["uuid"] == uuid]
    return dict(found)


def refusal(
    connection: Connection,
    target: Target | str,
    options: AttachOptions = AttachOptions(),  # noqa: B008 - a value
) -> RelunError:
    """Return the error that an attach ends in."""
    with pytest.raises(RelunError) as caught:
        attach(connection, target, options)
    assert not caught.value.changed
    return caught.value


def plugged(site: PoolSite, sr: str) -> list[str]:
    """Return the names of the hosts that have an SR plugged."""
    found = site.snapshot()
    return sorted(
        found["host"][pbd["host"]]["name_label"]
        for pbd in found["PBD"].values()
        if pbd["SR"] == sr and pbd["currently_attached"]
    )


def test_a_clone_beside_its_original(pool_site: PoolSite, connection: Connection) -> None:
    """New ids; names and sizes of the original, whose VDIs stay what they are; marks; figures."""
    original = pool_site.lun("chain")
    old_sr = pool_site.attach(original)
    clone = pool_site.clone(original)
    before = pool_site.snapshot()
    events: list[Event] = []
    done = attach(connection, target_of(clone.typed), listener=events.append)
    after = pool_site.snapshot()
    old_uuid = before["SR"][old_sr]["uuid"]
    assert done.old_sr_uuid == old_uuid
    assert done.sr_uuid != old_uuid
    assert done.scsi_id == clone.scsi_id
    assert done.hosts == ("host1", "host2", "host3")
    assert plugged(pool_site, done.reference) == list(done.hosts)
    old_vdis = {vdi["uuid"]: vdi for vdi in before["VDI"].values()}
    assert len(done.vdis) == 11
    for vdi in done.vdis:
        old = old_vdis[vdi.old_uuid]
        assert vdi.uuid == uuid5(done.sr_uuid, vdi.old_uuid)
        assert (vdi.name, vdi.size) == (old["name_label"], int(old["virtual_size"]))
        assert after["VDI"][vdi.reference]["SR"] == done.reference
    assert {ref: after["VDI"][ref] for ref in before["VDI"]} == before["VDI"]
    sr = after["SR"][done.reference]
    assert sr["name_label"] == done.name == "pool SR chain"
    assert sr["other_config"][ORIGINAL_SR] == old_uuid
    assert sr["other_config"][ATTACHED][:2] == "20"
    assert (sr["type"], sr["shared"], sr["content_type"]) == ("lvmoiscsi", True, "user")
    assert after["pool"] == before["pool"]
    assert not done.already
    assert 0 < done.pool_seconds < done.seconds
    assert done.calls == len(pool_site.calls) - 1  # the login
    assert 10 < done.round_trips < 100
    assert {event.state for event in events} == {"begun", "done"}
    ended = [event.step for event in events if event.state == "done"]
    assert ended == [
        "look",
        "resign",
        "SR.probe",
        "SR.introduce",
        *["SR.add_to_other_config"] * 2,
        *["PBD.create", "PBD.plug"] * 3,
        "SR.scan",
        "check",
    ]


def test_again_it_changes_nothing(
    pool_site: PoolSite, connection: Connection, clone: PoolLun
) -> None:
    """The same command, as often as one likes; also when relun's journal is gone."""
    first = attach(connection, clone.typed)
    before, content = pool_site.snapshot(), clone.file.read_bytes()
    again = attach(connection, clone.typed)
    assert again.already
    assert again[:7] == first[:7]
    with open_lun(target_of(clone.typed), writable=True) as device:
        verbs.seal([device])
    content = clone.file.read_bytes()
    sealed = attach(connection, clone.typed)
    assert sealed.already
    assert sealed[:7] == first[:7]
    assert pool_site.snapshot() == before
    assert clone.file.read_bytes() == content


def test_options(pool_site: PoolSite, connection: Connection, clone: PoolLun) -> None:
    """SR uuid, name, a mark, one host; later the others."""
    options = AttachOptions(
        Options(sr_uuid=NEW_SR), name="last night", read_only=True, hosts=("host1",)
    )
    done = attach(connection, clone.typed, options)
    assert (done.sr_uuid, done.name, done.hosts) == (NEW_SR, "last night", ("host1",))
    assert plugged(pool_site, done.reference) == ["host1"]
    sr = record(pool_site, "SR", NEW_SR)
    assert sr["name_label"] == "last night"
    assert sr["other_config"][READ_ONLY] == "true"
    more = attach(connection, clone.typed, options._replace(hosts=()))
    assert not more.already
    assert plugged(pool_site, done.reference) == ["host1", "host2", "host3"]


def test_a_slave_alone(pool_site: PoolSite, connection: Connection, clone: PoolLun) -> None:
    """Then the SR is not shared: that host is its master. Several hosts need the pool's."""
    error = refusal(connection, clone.typed, AttachOptions(hosts=("host2", "host3")))
    assert (error.code, error.fields["host"]) == ("pool-host-master", "host1")
    error = refusal(connection, clone.typed, AttachOptions(hosts=("nobody",)))
    assert error.code == "pool-host-missing"
    assert clone.unchanged()
    host1, _host2, host3 = pool_site.pool.hosts
    pool_site.hide(clone, host1, host3)
    done = attach(connection, clone.typed, AttachOptions(hosts=("host2",)))
    assert plugged(pool_site, done.reference) == ["host2"]
    assert not record(pool_site, "SR", done.sr_uuid)["shared"]
    assert attach(connection, clone.typed, AttachOptions(hosts=("host2",))).already
    before = pool_site.snapshot()
    error = refusal(connection, clone.typed)
    assert (error.code, error.fields["hosts"]) == ("pool-sr-unshared", ["host2"])
    assert pool_site.snapshot() == before


def test_chap(pool_site: PoolSite, connection: Connection) -> None:
    """The hosts get the login too; a wrong password is refused before anything is done."""
    original = pool_site.lun("single")
    pool_site.attach(original)
    clone = pool_site.clone(original, chap=("alice", "wonderland12"))
    before = pool_site.snapshot()
    wrong = Target(clone.address, Login(user="alice", password="something-else"))
    error = refusal(connection, wrong)
    assert (type(error), error.code) == (DeviceError, "remote-login")
    assert "something-else" not in str(error)
    assert pool_site.snapshot() == before
    done = attach(connection, clone.typed)
    config = next(
        pbd["device_config"]
        for pbd in pool_site.snapshot()["PBD"].values()
        if pbd["SR"] == done.reference
    )
    assert config["chapuser"] == "alice"
    assert "wonderland12" not in str(config)
    assert "wonderland12" not in repr(done)


# --- what is refused


def test_the_original_itself(pool_site: PoolSite, connection: Connection) -> None:
    """Not even with a wish for a new SR uuid."""
    original = pool_site.lun("single")
    pool_site.attach(original, "files")
    before = pool_site.snapshot()
    for options in (AttachOptions(), AttachOptions(Options(sr_uuid=NEW_SR))):
        error = refusal(connection, original.typed, options)
        assert error.code == "pool-original"
        assert "files" in error.fields["sr"]
    assert original.unchanged()
    assert pool_site.snapshot() == before


def test_the_lun_of_another_sr(pool_site: PoolSite, connection: Connection, clone: PoolLun) -> None:
    """An SR of the pool that is unplugged even; its PBD names the LUN."""
    api = pool_site.client().xenapi
    sr = api.SR.introduce(NEW_SR, "other", "", "lvmoiscsi", "user", True, {})
    api.PBD.create({"SR": sr, "host": pool_site.master.reference, "device_config": clone.config})
    error = refusal(connection, clone.typed)
    assert (error.code, error.fields["srs"]) == ("pool-lun-used", [f"other ({NEW_SR})"])
    assert clone.unchanged()


def test_an_sr_uuid_that_the_pool_has(
    pool_site: PoolSite, connection: Connection, clone: PoolLun
) -> None:
    """On another LUN, by wish or because the LUN was resigned to it."""
    attach(connection, clone.typed, AttachOptions(Options(sr_uuid=NEW_SR)))
    second = pool_site.export(clone.source)
    error = refusal(connection, second.typed, AttachOptions(Options(sr_uuid=NEW_SR)))
    assert error.code == "pool-sr-known"
    assert second.unchanged()
    with open_lun(target_of(second.typed), writable=True) as device:
        hint = "/dev/disk/by-id/scsi-" + second.scsi_id
        verbs.resign([device], Options(sr_uuid=NEW_SR, device_hint=hint))
    error = refusal(connection, second.typed)
    assert (error.code, error.fields["luns"]) == ("pool-sr-known", [clone.scsi_id])


def test_what_nothing_proves_to_be_a_copy(
    pool_site: PoolSite, connection: Connection, tmp_path: Path
) -> None:
    """Of an SR that the pool does not know: only when that is said, or LVM's metadata proves it."""
    lun = pool_site.lun("single")
    careful = AttachOptions(known_only=True)
    assert refusal(connection, lun.typed, careful).code == "pool-origin"
    assert lun.unchanged()
    assert attach(connection, lun.typed).vdis
    assert attach(connection, lun.typed, careful).already
    proven = pool_site.export(Path(build(Sr((Vhd("disk"),)), tmp_path / "foreign.img").path))
    assert attach(connection, proven.typed, careful).vdis


def test_an_original_by_its_own_word(
    pool_site: PoolSite, connection: Connection, clone: PoolLun
) -> None:
    """LVM's metadata speaks of this very LUN, and relun's journal is not on it."""
    done = attach(connection, clone.typed)
    with open_lun(target_of(clone.typed), writable=True) as device:
        verbs.seal([device])
    api = pool_site.client().xenapi
    for pbd in api.SR.get_PBDs(done.reference):
        api.PBD.unplug(pbd)
    api.SR.forget(done.reference)
    assert refusal(connection, clone.typed).code == "pool-original-hint"


@pytest.mark.parametrize("address", ["nbd://127.0.0.1/lun", "/dev/sda"])
def test_targets_no_pool_can_reach(connection: Connection, address: str) -> None:
    """Only iSCSI addresses, and SCSI ids by the plugin."""
    assert refusal(connection, Target(address)).code == "pool-target"


def test_an_empty_lun(pool_site: PoolSite, connection: Connection, tmp_path: Path) -> None:
    """The engine's own refusal."""
    (tmp_path / "empty.img").write_bytes(bytes(64 << 20))
    lun = pool_site.export(tmp_path / "empty.img")
    before = pool_site.snapshot()
    error = refusal(connection, lun.typed)
    assert [finding.code for finding in getattr(error, "findings", ())] == ["lun-empty"]
    assert pool_site.snapshot() == before


# --- failures


def test_every_call_that_fails(make_pool_site: Callable[..., PoolSite]) -> None:
    """Before its work, after it, or without an answer: pool and LUN are as they were."""
    site = make_pool_site(hosts=2)
    original = site.lun("single")
    site.attach(original)
    clone = site.clone(original, chap=("alice", "wonderland12"))  # so that PBDs have Secrets
    before = site.snapshot()
    with connect(Address(site.url, USER, PASSWORD)) as connection:
        calls = count_calls(site, connection, clone)
        assert calls > 15
        undone = 0
        for at in range(1, calls + 1):
            for how in ("before", "after", "dropped before", "dropped after"):
                fail = site.drop if how.startswith("dropped") else site.fail
                fault = fail("*", at, after=how.endswith("after"))
                try:
                    done = attach(connection, clone.typed)
                except RelunError as error:
                    assert not error.changed, (at, how, error, getattr(error, "standing", ()))
                    assert error.code in ("pool-call", "pool-host-lun"), (at, how, error)
                    undone += 1
                else:
                    take_away(site, done, clone)  # it was done all the same
                assert fault.hits, (at, how)
                site.mend()
                assert site.snapshot() == before, (at, how)
                assert clone.unchanged(), (at, how)
        assert undone > 4 * (calls - 3)
        assert not attach(connection, clone.typed).already
    assert site.sessions == []


def count_calls(site: PoolSite, connection: Connection, clone: PoolLun) -> int:
    """Return how many calls an attach makes; take it away again."""
    done = attach(connection, clone.typed)
    take_away(site, done, clone)
    return done.calls


def take_away(site: PoolSite, done: Attached, clone: PoolLun) -> None:
    """Undo an attach by hand."""
    api = site.client().xenapi
    for pbd in api.SR.get_PBDs(done.reference):
        api.PBD.unplug(pbd)
        api.PBD.destroy(pbd)
    api.SR.forget(done.reference)
    with open_lun(target_of(clone.typed), writable=True) as device:
        verbs.undo([device])


# What is left when a step cannot be taken back, by the call that takes it back.
UNDOING = {
    "PBD.unplug": "plugged",
    "SR.forget": "SR",
    "undo": "LUN",
}


@pytest.mark.parametrize("undoing", UNDOING)
def test_what_cannot_be_taken_back(
    pool_site: PoolSite,
    connection: Connection,
    clone: PoolLun,
    undoing: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error names all that stands and nothing else; the same call goes on from there."""
    pool_site.fail("SR.scan")
    if undoing == "undo":
        monkeypatch.setattr(verbs, "undo", unreachable)
    else:
        pool_site.fail(undoing, times=0)
    with pytest.raises(PoolUnfinished) as caught:
        attach(connection, clone.typed)
    error = caught.value
    assert error.changed
    assert error.fields["cause"].fields["call"] == "SR.scan"
    assert set(error.standing) == really_standing(pool_site, clone)
    assert any(UNDOING[undoing] in line for line in error.standing)
    pool_site.mend()
    monkeypatch.undo()
    done = attach(connection, clone.typed)
    assert plugged(pool_site, done.reference) == ["host1", "host2", "host3"]
    assert [vdi.uuid for vdi in done.vdis] == [
        uuid5(done.sr_uuid, vdi.old_uuid) for vdi in done.vdis
    ]


def unreachable(_devices: object) -> None:
    """In place of a verb: the LUN cannot be reached."""
    raise DeviceError("remote-connect", device="the LUN", reason="wanted by the test")


def really_standing(site: PoolSite, clone: PoolLun) -> set[str]:
    """Return the lines for what of the clone is in the pool and on the LUN."""
    found = site.snapshot()
    lines = set()
    if not clone.unchanged():
        lines.add(f"LUN {clone.address}, resigned or in progress")
    for pbd in found["PBD"].values():
        if pbd["device_config"]["SCSIid"] == clone.scsi_id:
            sr, host = found["SR"][pbd["SR"]], found["host"][pbd["host"]]["name_label"]
            if pbd["currently_attached"]:
                lines.add(f"SR {sr['uuid']} plugged on {host}")
    for sr in found["SR"].values():
        if ATTACHED in sr["other_config"]:
            lines.add(f'SR {sr["uuid"]} "{sr["name_label"]}" in the pool, with its PBDs')
    return lines


def test_a_host_that_does_not_see_the_lun(
    pool_site: PoolSite, connection: Connection, clone: PoolLun
) -> None:
    """It is named, and all is taken back; without it the others are attached."""
    before = pool_site.snapshot()
    pool_site.hide(clone, pool_site.pool.hosts[2])
    error = refusal(connection, clone.typed)
    assert (error.code, error.fields["host"]) == ("pool-host-lun", "host3")
    assert pool_site.snapshot() == before
    assert clone.unchanged()
    done = attach(connection, clone.typed, AttachOptions(hosts=("host1", "host2")))
    assert plugged(pool_site, done.reference) == ["host1", "host2"]


def test_the_first_host_does_not_see_the_lun(
    pool_site: PoolSite, connection: Connection, clone: PoolLun
) -> None:
    """SM's probe fails there: it is named as any other host is."""
    before = pool_site.snapshot()
    pool_site.hide(clone, pool_site.pool.hosts[0])
    error = refusal(connection, clone.typed)
    assert (error.code, error.fields["host"]) == ("pool-host-lun", "host1")
    assert error.fields["reason"].startswith("SR_BACKEND_FAILURE_")
    assert pool_site.snapshot() == before
    assert clone.unchanged()
    pool_site.fail("SR.probe", code=("INTERNAL_ERROR", "of xapi"))
    assert refusal(connection, clone.typed).code == "pool-call"


def test_the_master_sees_another_lun(
    pool_site: PoolSite, connection: Connection, clone: PoolLun
) -> None:
    """SM's probe does not find the new SR: nothing is introduced."""
    before = pool_site.snapshot()
    entry = next(lun for lun in pool_site.fabric["hba"] if lun["SCSIid"] == clone.scsi_id)
    entry["file"] = str(clone.source)
    pool_site._write()
    error = refusal(connection, clone.typed)
    assert error.code == "pool-probe"
    assert error.fields["found"] == [next(iter(before["SR"].values()))["uuid"]]
    assert pool_site.snapshot() == before
    assert clone.unchanged()


def test_disks_that_do_not_come_up(
    pool_site: PoolSite, connection: Connection, clone: PoolLun
) -> None:
    """Another size, another name, none at all: told, and taken back."""
    before = pool_site.snapshot()

    def spoil(call: Call) -> None:
        if call.name == "VDI.get_all_records_where":
            with pool_site.pool.db.lock:
                for reference, vdi in list(pool_site.pool.db.table("VDI").items()):
                    if reference not in before["VDI"]:
                        spoiling(vdi, reference)

    def gone(_vdi: dict[str, Any], reference: str) -> None:
        pool_site.pool.db.remove("VDI", reference)

    for spoiling, word in (  # noqa: B007 - spoil has it
        (lambda vdi, _ref: vdi.update(virtual_size="1"), "bytes instead of"),
        (lambda vdi, _ref: vdi.update(name_label="x"), "called 'x' instead of"),
        (gone, "did not come up"),
    ):
        pool_site.pool.faults.watch(spoil)
        error = refusal(connection, clone.typed)
        pool_site.mend()
        assert error.code == "pool-vdis"
        (problem,) = error.fields["problems"]
        assert word in problem
        assert pool_site.snapshot() == before
        assert clone.unchanged()


def test_a_lun_in_progress(pool_site: PoolSite, connection: Connection, clone: PoolLun) -> None:
    """It is recovered; another SR uuid than the one begun is refused."""
    interrupt(clone, Options(sr_uuid=NEW_SR))
    content = clone.file.read_bytes()
    other = AttachOptions(Options(sr_uuid=NEW_SR.replace("1", "2")))
    assert refusal(connection, clone.typed, other).code == "pool-sr-other"
    assert clone.file.read_bytes() == content
    events: list[Event] = []
    done = attach(connection, clone.typed, listener=events.append)
    assert done.sr_uuid == NEW_SR
    assert "recover" in [event.step for event in events]
    assert "resign" not in [event.step for event in events]
    assert done.vdis[0].uuid == uuid5(NEW_SR, done.vdis[0].old_uuid)


def test_a_lun_in_progress_that_fails(
    pool_site: PoolSite, connection: Connection, clone: PoolLun
) -> None:
    """It becomes the clone that it was: nothing is hidden any more."""
    before = pool_site.snapshot()
    interrupt(clone, Options())
    pool_site.fail("SR.introduce")
    assert refusal(connection, clone.typed).code == "pool-call"
    assert pool_site.snapshot() == before
    assert clone.unchanged()


def interrupt(clone: PoolLun, options: Options) -> None:
    """Leave a clone in progress: its connection ends when it is hidden."""
    device = open_lun(target_of(clone.typed), writable=True)
    writes = device.write_many
    seen: list[int] = []

    def write_many(wanted: Any) -> None:
        seen.append(len(wanted))
        if len(wanted) > 3:  # the edits: the marker stands by then
            raise DeviceError("device-io", device="", what="write", offset=0, reason="cut")
        writes(wanted)

    device.write_many = write_many  # type: ignore[assignment,method-assign]
    with device, pytest.raises(Interrupted):
        verbs.resign([device], options)


def test_a_resign_that_breaks_off(
    pool_site: PoolSite,
    connection: Connection,
    clone: PoolLun,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The LUN is not left hidden: it is undone at once."""
    before = pool_site.snapshot()
    hidden = []

    def broken(_devices: Any, options: Options) -> None:
        monkeypatch.undo()
        interrupt(clone, options)
        hidden.append(clone.unchanged())
        raise Interrupted("interrupted", device=clone.address)

    monkeypatch.setattr(verbs, "resign", broken)
    error = refusal(connection, clone.typed)
    assert error.code == "pool-resign"
    assert hidden == [False]
    assert pool_site.snapshot() == before
    assert clone.unchanged()


def test_broken_off_anywhere(
    pool_site: PoolSite, clone: PoolLun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pool and LUN gone from a call on, for good: the error names at least all that stands.

    Later the same call goes on from there; with what was resigned, introduced, plugged.
    """
    address = Address(pool_site.url, USER, PASSWORD)
    before = pool_site.snapshot()
    with connect(address) as connection:
        calls = count_calls(pool_site, connection, clone)
        went_on = 0
        for at in range(1, calls - 1):  # the last two give the turn back: the work is done
            pool_site.pool.faults.fail("*", at, (), kind=faults.DROP, times=0)
            monkeypatch.setattr(verbs, "undo", unreachable)
            with pytest.raises(RelunError) as caught:
                attach(connection, clone.typed)
            pool_site.mend()
            monkeypatch.undo()
            standing = set(getattr(caught.value, "standing", ()))
            really = really_standing(pool_site, clone)
            assert really <= standing, at
            assert caught.value.changed == bool(standing)
            left = [sr["uuid"] for sr in pool_site.snapshot()["SR"].values()]
            done = attach(connection, clone.typed)
            assert plugged(pool_site, done.reference) == ["host1", "host2", "host3"]
            assert done.vdis[0].old_uuid == next(iter(before["VDI"].values()))["uuid"]
            went_on += done.sr_uuid in left
            take_away(pool_site, done, clone)
            assert pool_site.snapshot() == before, at
        assert went_on > 5


# --- two at once


def test_two_administrators(pool_site: PoolSite, clone: PoolLun) -> None:
    """One wins; the other is told who is at work, and takes nothing of the winner's back."""
    address = Address(pool_site.url, USER, PASSWORD)
    reached, goes_on = threading.Event(), threading.Event()

    def wait(call: Call) -> None:
        if call.name == "PBD.plug" and not reached.is_set():
            reached.set()
            goes_on.wait(20)

    pool_site.pool.faults.watch(wait)
    won: list[Attached] = []

    def first() -> None:
        with connect(address) as one:
            won.append(attach(one, clone.typed))

    thread = threading.Thread(target=first)
    thread.start()
    assert reached.wait(20)
    content, before = clone.file.read_bytes(), pool_site.snapshot()
    with connect(address) as other:
        error = refusal(other, clone.typed)
        assert error.code == "pool-busy"
        assert clone.scsi_id in error.fields["what"]
        assert clone.file.read_bytes() == content
        assert pool_site.snapshot() == before
        goes_on.set()
        thread.join()
        assert plugged(pool_site, won[0].reference) == ["host1", "host2", "host3"]
        assert attach(other, clone.typed).already


def test_two_that_race(pool_site: PoolSite, clone: PoolLun) -> None:
    """From the same moment on: one attaches it, the other is refused or finds it attached."""
    address = Address(pool_site.url, USER, PASSWORD)
    ends: list[Attached | RelunError] = []
    start = threading.Barrier(4)

    def run() -> None:
        with connect(address) as mine:
            start.wait()
            try:
                ends.append(attach(mine, clone.typed))
            except RelunError as error:
                ends.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = [end for end in ends if isinstance(end, Attached)]
    assert [end.already for end in done].count(False) == 1
    assert len({end.sr_uuid for end in done}) == 1
    codes = {end.code for end in ends if isinstance(end, RelunError)}
    assert codes <= {"pool-busy"}
    assert plugged(pool_site, done[0].reference) == ["host1", "host2", "host3"]
    assert not pool_site.snapshot()["pool"].popitem()[1]["other_config"]


def test_whoever_was_killed_holds_nobody_up(
    pool_site: PoolSite, connection: Connection, clone: PoolLun
) -> None:
    """A session that is gone, a process that is gone; anybody else needs a word of the caller's."""
    api = pool_site.client().xenapi
    (pool,) = api.pool.get_all()
    key = "relun-lun-" + clone.scsi_id
    session = api.session.get_uuid(connection.session)
    gone_process = f"{session} {turn._machine()} 999999999 x 2026-01-01T00:00:00Z"
    gone_session = f"{NEW_SR} elsewhere 1 x 2026-01-01T00:00:00Z"
    for value in (gone_process, gone_session):
        api.pool.add_to_other_config(pool, key, value)
        take_away(pool_site, attach(connection, clone.typed), clone)
    api.pool.add_to_other_config(pool, key, f"{session} elsewhere 1 x 2026-01-01T00:00:00Z")
    error = refusal(connection, clone.typed)
    assert (error.code, error.fields["since"]) == ("pool-busy", "2026-01-01T00:00:00Z")
    attach(connection, clone.typed, AttachOptions(take_over=True))
    assert api.pool.get_other_config(pool) == {}


def test_signals_stop_it_between_steps(
    pool_site: PoolSite, connection: Connection, clone: PoolLun
) -> None:
    """The step that runs ends; what was done is taken back."""
    before = pool_site.snapshot()
    steps: list[str] = []

    def stopped() -> bool:
        return steps.count("done") > 6

    def listen(event: Event) -> None:
        steps.append(event.state)

    with pytest.raises(PoolRefused) as caught:
        attach(connection, clone.typed, listener=listen, cancelled=stopped)
    assert (caught.value.code, caught.value.fields["step"]) == ("pool-stopped", "PBD.plug")
    assert pool_site.snapshot() == before
    assert clone.unchanged()
