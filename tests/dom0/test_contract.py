"""The acceptance list of the contract with xapi and CloudStack, item by item.

Each test's first line is the item it holds. What CloudStack does as a whole is in test_cloudstack.
"""

import os
import socket
import subprocess
import xmlrpc.client
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import XenAPI

from dom0.cloudstack import CloudStack, sm_list
from support import builder, compare, golden
from xapi.server import PASSWORD, USER
from xapi.site import Lun, Site
from xapi.smapi import request

SUCCESS = (
    "Error reporting error, unknown key The SR has been successfully resigned. "
    "Use the {} type to attach it"
)
SENTENCE = "successfully resigned"
TYPES = {"relvmoiscsi": "lvmoiscsi", "relvmohba": "lvmohba"}


def create(
    site: Site, config: dict[str, str], kind: str = "relvmoiscsi", shared: bool = True
) -> list[str]:
    """SR.create by the official client; return the error's description."""
    session = site.client()
    host = site.pool.hosts[-1].reference
    with pytest.raises(XenAPI.Failure) as caught:
        session.xenapi.SR.create(host, config, "0", "name", "", kind, "user", shared, {})
    assert not site.pool.db.table("SR"), "a failed create leaves no SR"
    assert not site.pool.db.table("PBD")
    return [str(part) for part in caught.value.details]


def probe(site: Site, lun: Lun, host: int = -1, kind: str = "lvmoiscsi") -> str:
    """SR.probe of the host's own type."""
    reference = site.pool.hosts[host].reference
    return str(site.client().xenapi.SR.probe(reference, lun.config, kind, {}))


def unchanged(lun: Lun, image: str = "single") -> bool:
    """Tell whether no byte of a LUN differs from the image it is a copy of."""
    return not compare.differences(str(lun.file), golden.image(image))


# --- the driver, seen by xapi


def test_file_on_every_host(make_site: Callable[..., Site]) -> None:
    """Executable file `ReLVMoISCSISR` in sm-dir on every host."""
    site = make_site()
    site.install()
    for host in site.pool.hosts:
        assert os.access(host.runner.dom0.sm_dir / "ReLVMoISCSISR", os.X_OK)
    slave = site.pool.hosts[1]
    (slave.runner.dom0.sm_dir / "ReLVMoISCSISR").unlink()
    site.pool.restart_toolstack(slave)
    assert not CloudStack(site).supports_resign or "relvmoiscsi" not in sm_list(site.client())


def test_not_executable_is_no_driver(make_site: Callable[..., Site]) -> None:
    """Executable file: without the bit xapi rejects it and says so."""
    site = make_site(hosts=1)
    copy = site.master.runner.dom0.sm_dir / "ReLVMoISCSISR"
    site.install(drivers=False)
    copy.write_text("")
    copy.chmod(0o644)
    site.pool.restart_toolstack(site.master)
    assert "relvmoiscsi" not in site.master.drivers
    assert any("Rejecting SM plugin: ReLVMoISCSI" in line for line in site.master.runner.log)


@pytest.mark.parametrize("kind", TYPES)
def test_observer(site: Site, kind: str) -> None:
    """Python 3 source, works under `python3 -m observer`."""
    for host in site.pool.hosts:
        host.runner.observed = True
        site.pool.restart_toolstack(host)
        assert kind in host.drivers
    code, _empty, text, stderr = create(site, site.lun("single").config, kind)
    assert (code, text, stderr) == ("SR_BACKEND_FAILURE_1", SUCCESS.format(TYPES[kind]), "")


def test_link_of_a_link_as_on_sm_4(make_site: Callable[..., Site]) -> None:
    """Works as a file in one place and a link to it in another, whichever xapi calls."""
    site = make_site("package", hosts=1)
    site.install()
    dom0 = site.master.runner.dom0
    link = dom0.sm_dir / "ReLVMoISCSISR"
    real = dom0.root / "usr" / "libexec" / "sm" / "drivers" / "ReLVMoISCSISR"
    real.symlink_to(os.readlink(link))
    link.unlink()
    link.symlink_to(real)
    for called in (link, real):
        info = site.master.runner.call(
            called, {"command": "sr_get_driver_info", "device_config": {}}
        )
        assert "resigning" in info["name"]


def test_whitelist_is_the_last_definition(make_site: Callable[..., Site]) -> None:
    """`relvmoiscsi` in the LAST sm-plugins definition."""
    site = make_site(hosts=1)
    site.install()
    assert "relvmoiscsi" in site.master.drivers
    later = site.master.runner.dom0.root / "etc" / "xapi.conf.d" / "zz-other.conf"
    later.write_text("sm-plugins='ext nfs lvmoiscsi linstor'\n")
    site.pool.restart_toolstack(site.master)
    assert "relvmoiscsi" not in site.master.drivers
    assert site.master.runner.log[-1].startswith("Skipping SMAPIv1 plugin ReLVMo")


def test_restart_needed(make_site: Callable[..., Site]) -> None:
    """Toolstack restarted on every host: before that the type is unknown."""
    site = make_site()
    site.install(drivers=False)
    for host in site.pool.hosts:
        host.runner.dom0.install(plugin=False, whitelist=False)
    lun = site.lun("single")
    assert create(site, lun.config)[0] == "SR_UNKNOWN_DRIVER"
    for host in site.pool.hosts:
        site.pool.restart_toolstack(host)
    assert SENTENCE in create(site, lun.config)[2]


def test_driver_info(site: Site) -> None:
    """Driver info complete, required_api_version 1.0, no SR_PROBE needed, SR_CREATE declared."""
    for kind in TYPES:
        info = site.master.drivers[kind].info
        own = site.master.drivers[TYPES[kind]].info
        assert info["required_api_version"] == "1.0"
        assert info["capabilities"] == ["SR_CREATE"]
        assert info["name"].startswith(own["name"])
        keys = [option["key"] for option in info["configuration"]]
        assert keys[: len(own["configuration"])] == [o["key"] for o in own["configuration"]]
        assert keys[-3:] == ["resign", "drop-snapshots", "label"]
        for key in ("name", "description", "vendor", "copyright", "driver_version"):
            assert isinstance(info[key], str)
            assert info[key]
            assert "\n" not in info[key]


def test_stdout_is_the_reply_alone(site: Site) -> None:
    """Replies on stdout only, exit 0, nothing else printed to stdout."""
    runner = site.master.runner
    driver = site.master.drivers["relvmoiscsi"].path
    lun = site.lun("single")
    create(site, lun.config)
    create(site, {**lun.config, "resign": "no"})
    created = [asked for asked in runner.requests if "<methodName>sr_create" in asked]
    information = request({"command": "sr_get_driver_info", "device_config": {}})
    for argument in (information, *created, "<nonsense", ""):
        ran = runner.run(driver, argument)
        assert ran.code == 0
        assert ran.stderr == ""
        assert ran.stdout.isascii()
        assert ran.stdout.startswith(("<?xml", "<methodResponse>"))
        assert ran.stdout.count("<methodResponse>") == 1
        try:
            xmlrpc.client.loads(ran.stdout)
        except xmlrpc.client.Fault as fault:
            assert fault.faultString


# --- seen by CloudStack


def test_name_is_what_cloudstack_greps_for(site: Site) -> None:
    """Name or description contains `resigning of duplicates`, on one line."""
    assert CloudStack(site).supports_resign
    lines = [line for line in sm_list(site.client()).splitlines() if "of duplicates" in line]
    assert all("resigning of duplicates" in line for line in lines)
    assert all("name-label" in line for line in lines)


def test_cloudstack_sees_nothing_without_the_pack(make_site: Callable[..., Site]) -> None:
    """The words stand in no driver but relun's."""
    site = make_site()
    site.install(drivers=False)
    assert not CloudStack(site).supports_resign


@pytest.mark.parametrize("kind", TYPES)
def test_success(site: Site, kind: str) -> None:
    """Create ends by fault n not in {16,24,38,39,144} whose text contains the sentence."""
    lun = site.lun("single")
    code, first, text, stderr = create(site, lun.config, kind)
    assert code == "SR_BACKEND_FAILURE_1"
    assert (first, stderr) == ("", "")
    assert text == SUCCESS.format(TYPES[kind])
    assert not site.traces() or kind == "relvmohba"  # a Fibre Channel LUN's device stays


def test_uuid_is_the_one_that_xapi_gave(one_site: Site) -> None:
    """The SR has the uuid of the request, so a repeated night's copy can be told from it."""
    lun = one_site.lun("single")
    create(one_site, lun.config)
    asked = [a for a in one_site.master.runner.requests if "<methodName>sr_create" in a][-1]
    ((members,), _method) = xmlrpc.client.loads(asked)
    given: Any = members
    assert given["sr_uuid"] in probe(one_site, lun)


def test_probe_afterwards(site: Site) -> None:
    """Sr-probe lvmoiscsi on any host shows exactly one `<UUID>`, new, 36 chars."""
    lun = site.lun("single")
    before = probe(site, lun)
    create(site, lun.config)
    for host in (0, 1):
        answer = probe(site, lun, host)
        assert answer.count("<UUID>") == 1
        uuid = answer.split("<UUID>")[1].split("</UUID>")[0].strip()
        assert len(uuid) == 36
        assert uuid not in before


def test_no_map_no_session_no_count(site: Site) -> None:
    """No multipath map, no session, no refcount left on the master."""
    for kind in TYPES:
        lun = site.lun("single")
        assert SENTENCE in create(site, lun.config, kind)[2]
        site.multipathing()
        lun = site.lun("single")
        assert SENTENCE in create(site, lun.config, kind)[2]
        left = {name for found in site.traces() for name in found}
        assert left <= ({"devices"} if kind == "relvmohba" else set())
    assert SENTENCE not in probe(site, lun, 0, "lvmohba")
    assert "<UUID>" in probe(site, lun, 0, "lvmohba")


def test_shared_runs_on_the_master(one_site: Site) -> None:
    """Works with shared=true => runs on master; host connected to CloudStack may be another."""
    lun = one_site.lun("single")
    slave = one_site.pool.hosts[1]
    create(one_site, lun.config)
    assert not any("sr_create" in asked for asked in slave.runner.requests)
    assert any("sr_create" in asked for asked in one_site.master.runner.requests)
    assert "<name>SRmaster</name><value>true</value>" in one_site.master.runner.requests[-1]
    other = one_site.lun("single")
    assert SENTENCE in create(one_site, other.config, shared=False)[2]  # on the slave itself


def test_secret(site: Site) -> None:
    """Accepts device_config chappassword_secret."""
    lun = site.lun("single", chap=("scott", "tiger"))
    chap = {"chapuser": "scott", "chappassword": "tiger"}
    assert SENTENCE in create(site, {**lun.config, **chap})[2]
    assert "<name>chappassword_secret</name>" in site.master.runner.requests[-1]
    assert "tiger" not in site.master.runner.requests[-1]
    assert not any("tiger" in line for line in site.master.runner.dom0.log("SMlog"))


@pytest.fixture
def reply_timeout() -> Iterator[Callable[[float], None]]:
    """Sets how long clients wait for a reply, in seconds."""
    yield socket.setdefaulttimeout
    socket.setdefaulttimeout(None)


def test_within_wait(one_site: Site, reply_timeout: Callable[[float], None]) -> None:
    """Completes within CloudStack `wait`: how long its client waits, 1800 s if not set.

    The largest LUN here has 300 disks; the client waits for its reply a thirtieth of that.
    """
    reply_timeout(60)
    assert SENTENCE in " ".join(create(one_site, one_site.lun("many").config))
    reply_timeout(0.001)  # that it would not have waited any longer
    with pytest.raises(TimeoutError):
        create(one_site, one_site.lun("single").config)


def test_second_run(site: Site) -> None:
    """Second run on an already resigned LUN is safe."""
    lun = site.lun("single")
    create(site, lun.config)
    kept = site.folder / "kept.img"
    golden._run("cp", "--sparse=always", str(lun.file), str(kept))
    code, _empty, text, _stderr = create(site, lun.config)
    assert code == "SR_BACKEND_FAILURE_5602"
    assert "was resigned by relun already" in text
    assert not compare.differences(str(lun.file), str(kept))
    assert not site.traces()


# --- safety: refused before any write


def assert_refused(site: Site, lun: Lun, code: str, said: str, **config: str) -> None:
    """Refused with this code and these words; no byte was changed, nothing left behind."""
    kept = site.folder / f"kept{lun.file.name}"
    golden._run("cp", "--sparse=always", str(lun.file), str(kept))
    description = create(site, {**lun.config, **config})
    assert description[0] == code
    assert SENTENCE not in "".join(description)
    assert said in "".join(description)
    assert not compare.differences(str(lun.file), str(kept))
    assert not site.traces()


def test_other_pbd(one_site: Site) -> None:
    """Refuse if any PBD other than our own has this SCSIid, plugged or not."""
    session = one_site.client()
    lun = one_site.lun("single")
    for config, sm_config in (
        (lun.config, {}),
        ({"SCSIid": "other"}, {"SCSIid": lun.scsi_id}),
        ({"SCSIid": "other"}, {"devserial": "scsi-other,scsi-" + lun.scsi_id}),
    ):
        sr = session.xenapi.SR.introduce(
            "00000000-0000-4000-8000-000000000001", "x", "", "lvmoiscsi", "user", True, sm_config
        )
        record = {"SR": sr, "host": one_site.master.reference, "device_config": config}
        pbd = session.xenapi.PBD.create(record)
        with pytest.raises(XenAPI.Failure) as caught:
            session.xenapi.SR.create(
                one_site.master.reference,
                lun.config,
                "0",
                "x",
                "",
                "relvmoiscsi",
                "user",
                True,
                {},
            )
        assert caught.value.details == ["SR_DEVICE_IN_USE"]
        assert unchanged(lun)
        assert not one_site.traces()
        session.xenapi.PBD.destroy(pbd)
        session.xenapi.SR.forget(sr)


def test_own_map_of_somebody_else(one_site: Site) -> None:
    """Refuse while the LUN has a multipath map: detaching would take it from its user."""
    one_site.multipathing()
    lun = one_site.lun("single")
    maps = one_site.master.runner.dom0.root / "dev" / "mapper"
    maps.mkdir(parents=True)
    (maps / lun.scsi_id).symlink_to(lun.file)
    assert create(one_site, lun.config) == ["SR_DEVICE_IN_USE"]
    assert unchanged(lun)
    assert list(maps.iterdir())


def test_held_device(one_site: Site) -> None:
    """Refuse if a live user holds the device."""
    lun = one_site.lun("single")
    holder = subprocess.Popen(["sleep", "60"], stdin=open(lun.file, "rb"))  # noqa: SIM115
    try:
        assert_refused(one_site, lun, "SR_BACKEND_FAILURE_5603", "open in another process")
    finally:
        holder.kill()
        holder.wait()


def test_several_pvs(one_site: Site) -> None:
    """Refuse several PVs."""
    declared = builder.Sr(builder.fleet(2), pvs=(builder.Pv(), builder.Pv()))
    built = builder.build(declared, one_site.folder / "two.img")
    lun = one_site.export(Path(built.paths[0]))
    assert_refused(one_site, lun, "SR_BACKEND_FAILURE_5600", "no LUN here holds the PV")


def _damage(lun: Lun, volume: str, offset: int, data: bytes) -> None:
    at, _length = next(iter(golden.lv_runs(golden.manifest("single"), volume)))
    with open(lun.file, "r+b") as file:
        file.seek(at + offset)
        file.write(data)


def test_unreadable_mgt(one_site: Site) -> None:
    """Refuse an unreadable MGT."""
    lun = one_site.lun("single")
    _damage(lun, "MGT", 0, b"X" * 512)
    assert_refused(one_site, lun, "SR_BACKEND_FAILURE_5600", "first sector of MGT")


def test_damaged_image_and_label(one_site: Site) -> None:
    """Refuse a damaged LUN, with the place of the damage."""
    lun = one_site.lun("single")
    volume = next(iter(golden.manifest("single")["vdis"]))
    _damage(lun, volume, 512, b"\0" * 1024)
    assert_refused(one_site, lun, "SR_BACKEND_FAILURE_5600", f"{volume} at byte ")
    other = one_site.lun("single")
    with open(other.file, "r+b") as file:
        file.seek(512 + 16)
        file.write(b"\0\0\0\0")
    assert_refused(one_site, other, "SR_BACKEND_FAILURE_5600", "wrong checksum")


def test_no_sr(one_site: Site) -> None:
    """A LUN without an SR: empty, foreign, plain LVM."""
    empty = one_site.folder / "empty.img"
    with open(empty, "wb") as file:
        file.truncate(64 << 20)
    assert_refused(one_site, one_site.export(empty), "SR_BACKEND_FAILURE_5601", "lun-empty")
    foreign = one_site.folder / "foreign.img"
    foreign.write_bytes(b"\x55" * (1 << 20))
    assert_refused(one_site, one_site.export(foreign), "SR_BACKEND_FAILURE_5601", "lun-foreign")
    ext = one_site.lun("ext")
    assert_refused(one_site, ext, "SR_BACKEND_FAILURE_5600", "sr-filesystem")


@pytest.mark.parametrize("image", ["raw", "qcow2", "chain", "wrapped", "twomda"])
def test_images_that_are_handled(one_site: Site, image: str) -> None:
    """Image formats QCOW2 and raw are handled; so are chains and odd metadata."""
    lun = one_site.lun(image)
    assert SENTENCE in create(one_site, lun.config)[2]
    assert golden.manifest(image)["sr_uuid"] not in probe(one_site, lun)


def test_pending_journals(one_site: Site) -> None:
    """Refuse what SM would have to undo first."""
    lun = one_site.lun("journals")
    assert_refused(one_site, lun, "SR_BACKEND_FAILURE_5600", "journal-undo")


def test_missing_scsi_id(site: Site) -> None:
    """A missing SCSIid is the 107 answer with the LUN list, as the host's own driver gives it."""
    lun = site.lun("single")
    config = {key: value for key, value in lun.config.items() if key != "SCSIid"}
    own = create(site, config, "lvmoiscsi")
    assert own[0] == "SR_BACKEND_FAILURE_107"
    assert lun.scsi_id in own[3]
    assert create(site, config) == own
    assert lun.scsi_id in create(site, {}, "relvmohba")[3]
    no_target = {"targetIQN": lun.iqn}
    assert create(site, no_target)[0] == "SR_BACKEND_FAILURE_95"
    no_iqn = {"target": lun.config["target"]}
    assert create(site, no_iqn)[0] == "SR_BACKEND_FAILURE_96"
    assert unchanged(lun)
    assert [set(left) for left in site.traces()] in ([], [{"devices"}])


def test_map_that_cannot_be_made(one_site: Site) -> None:
    """A multipath map that does not come: nothing written, no session left, for both types."""
    one_site.multipathing()
    one_site.fault("no-map")
    for kind in TYPES:
        lun = one_site.lun("single")
        description = create(one_site, lun.config, kind)
        assert description[0] == "SR_BACKEND_FAILURE_202"
        assert unchanged(lun)
        assert [set(left) for left in one_site.traces()] in ([], [{"devices"}])


def test_wrong_chap_and_target(one_site: Site) -> None:
    """Wrong CHAP and a target that is away: SM's own codes, nothing written, nothing left."""
    one_site.multipathing()
    lun = one_site.lun("single", chap=("scott", "tiger"))
    chap = {"chapuser": "scott", "chappassword": "lion"}
    assert_refused(one_site, lun, "SR_BACKEND_FAILURE_68", "CHAP", **chap)
    one_site.fault("target-down")
    assert_refused(one_site, lun, "SR_BACKEND_FAILURE_141", "Unable to connect")


@pytest.mark.parametrize(
    ("key", "value"), [("resign", "false"), ("resign", "perhaps"), ("drop-snapshots", "some")]
)
def test_config_values(one_site: Site, key: str, value: str) -> None:
    """A value that cannot be is refused."""
    lun = one_site.lun("single")
    assert_refused(one_site, lun, "SR_BACKEND_FAILURE_5605", key, **{key: value})


def test_names_on_the_lun_cannot_fake_success(one_site: Site) -> None:
    """Failures must NOT contain the sentence, whatever a LUN's names say."""
    name = "successfully resigned"
    lun = one_site.lun("single")
    config = {"resign": name}
    assert_refused(one_site, lun, "SR_BACKEND_FAILURE_5605", "successfully_resigned", **config)


# --- safety: a failure leaves a LUN that probe knows


def test_killed_at_every_write_is_finished_by_the_next_create(one_site: Site) -> None:
    """A crashed resign is finished by the next sr-create of the same type on the same LUN."""
    hidden = finished = 0
    for at in range(1, 40):
        lun = one_site.lun("single")
        one_site.fault("pwrite", {"at": at, "do": "torn" if at % 2 else "kill"})
        code, reason, *_rest = create(one_site, lun.config)
        one_site.fault("pwrite", None)
        if code == "SR_BACKEND_FAILURE_1":
            break
        assert reason == "received signal: 9"
        was_hidden = "<UUID>" not in probe(one_site, lun)
        hidden += was_hidden
        for folder in ("session", "sr-ref"):  # as after the host's reboot
            for path in (one_site.master.runner.dom0.root / folder).iterdir():
                path.unlink()
        code, _empty, text, _stderr = create(one_site, lun.config)
        assert (code, text) == ("SR_BACKEND_FAILURE_1", SUCCESS.format("lvmoiscsi")) or (
            code == "SR_BACKEND_FAILURE_5602" and not was_hidden  # killed after the commit
        )
        finished += 1
        answer = probe(one_site, lun)
        assert answer.count("<UUID>") == 1
        assert golden.manifest("single")["sr_uuid"] not in answer
        os.unlink(lun.file)
    else:
        pytest.fail("the fault never went away")
    assert finished > hidden > 0


def test_writes_that_go_on_failing(one_site: Site) -> None:
    """Where neither forward nor back is possible the fault says so; the next create finishes."""
    lun = one_site.lun("single")
    for at in range(1, 40):
        one_site.fault("pwrite", {"at": at, "do": "error", "times": 1000})
        code, _empty, text, _stderr = create(one_site, lun.config)
        one_site.fault("pwrite", None)
        assert SENTENCE not in text
        if code == "SR_BACKEND_FAILURE_5604":
            break
        assert code in ("SR_BACKEND_FAILURE_5603", "SR_BACKEND_FAILURE_5600")
        assert "<UUID>" in probe(one_site, lun)
    assert code == "SR_BACKEND_FAILURE_5604"
    assert "next sr-create" in text
    assert not one_site.traces()
    assert SENTENCE in create(one_site, lun.config)[2]


def test_a_host_that_cannot_be_left_clean(one_site: Site) -> None:
    """A LUN that cannot be detached is told, with the new uuid; success would be a lie."""
    lun = one_site.lun("single")
    one_site.fault("no-logout")
    code, _empty, text, _stderr = create(one_site, lun.config)
    assert code == "SR_BACKEND_FAILURE_5606"
    assert SENTENCE not in text
    assert "The LUN is resigned" in text
    one_site.fault("no-logout", None)
    uuid = probe(one_site, lun, 0).split("<UUID>")[1][:36]
    assert uuid in text


# --- the conversation with LVM


def test_no_lvm_command_while_the_clone_is_attached(site: Site) -> None:
    """Between attach and detach no SM or LVM command runs; SM's lock is held while ids change."""
    lun = site.lun("single")
    assert SENTENCE in create(site, lun.config)[2]
    dom0 = site.master.runner.dom0
    assert [line for line in dom0.log("lvm") if lun.scsi_id not in line] == []
    if (
        site.world != "old-flat"
    ):  # there load() looks for the fresh uuid before anything is attached
        assert dom0.log("lvm") == []
    name = "lvm" if site.world == "old-flat" else "devicemapper"
    assert dom0.log("locks").count("+" + name) == dom0.log("locks").count("-" + name) > 0


# --- the clients


def test_secret_and_wrong_login(one_site: Site) -> None:
    """The official client logs in, and not with another password."""
    session = XenAPI.Session(one_site.server.url)
    with pytest.raises(XenAPI.Failure):
        session.xenapi.login_with_password(USER, PASSWORD + "x")
    session.xenapi.login_with_password(USER, PASSWORD)
    assert len(session.xenapi.host.get_all()) == 2
    session.xenapi.session.logout()


def test_sigterm(one_site: Site) -> None:
    """A signal before the ids change stops it; after that it is finished. Nothing is left."""
    answers = {}
    for at in (1, 4, 8):
        lun = one_site.lun("single")
        one_site.fault("pwrite", {"at": at, "do": "term"})
        code, _empty, text, _stderr = create(one_site, lun.config)
        one_site.fault("pwrite", None)
        answers[at] = code
        assert (code == "SR_BACKEND_FAILURE_1") == (SENTENCE in text)
        assert "<UUID>" in probe(one_site, lun)
        assert unchanged(lun) == (code != "SR_BACKEND_FAILURE_1")
        assert not one_site.traces()
    assert answers[1] == "SR_BACKEND_FAILURE_5600"
    assert answers[8] == "SR_BACKEND_FAILURE_1"
