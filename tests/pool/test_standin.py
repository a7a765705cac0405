"""The stand-in of xapi by itself: its rules, seen by the official XenAPI client."""

import ssl
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import XenAPI

from pool.site import VBD_RECORD, VIF_RECORD, VM_RECORD, PoolLun, PoolSite
from relun.remote.iscsi import open_iscsi
from relun.remote.login import Login
from remote.servers import await_true
from support import golden
from xapi import devices
from xapi.schema import NULL
from xapi.server import PASSWORD, USER

OURS = "iqn.2003-01.local.relun:test"


def refused(call: Callable[..., object], *arguments: Any) -> list[str]:
    """Return xapi's words about a call that it refuses."""
    with pytest.raises(XenAPI.Failure) as caught:
        call(*arguments)
    return [str(part) for part in caught.value.details]


@pytest.fixture
def session(pool_site: PoolSite) -> Iterator[Any]:
    """A session of a client."""
    made = XenAPI.Session(pool_site.url)
    made.xenapi.login_with_password(USER, PASSWORD)
    yield made
    pool_site.mend()
    made.xenapi.session.logout()


@pytest.fixture
def api(session: Any) -> Any:
    """Its calls."""
    return session.xenapi


@pytest.fixture
def lun(pool_site: PoolSite) -> PoolLun:
    """A LUN with several disks and snapshots."""
    return pool_site.lun("chain")


@pytest.fixture
def sr(pool_site: PoolSite, lun: PoolLun) -> str:
    """Its SR, attached."""
    return pool_site.attach(lun)


@pytest.fixture
def vdis(pool_site: PoolSite, sr: str) -> list[str]:
    """The disks of that SR that VMs may have."""
    return pool_site.disks(sr)


@pytest.fixture
def vm(pool_site: PoolSite, vdis: list[str]) -> str:
    """A VM with the first two of them."""
    return pool_site.vm("files", vdis[:2], ("LAN", "DMZ"))


# --- records


def test_values_on_the_wire(api: Any, vm: str) -> None:
    record = api.VM.get_record(vm)
    assert record["memory_static_max"] == str(4 << 30)
    assert record["HVM_shadow_multiplier"] == 1.0
    assert (record["is_a_template"], record["power_state"]) == (False, "Halted")
    assert isinstance(record["snapshot_time"], xmlrpc.client.DateTime)
    assert record["other_config"].keys() == {"auto_poweron", "base_template_name", "mac_seed"}
    assert (len(record["VBDs"]), len(record["VIFs"]), record["VGPUs"]) == (3, 2, [])
    assert {api.VBD.get_VM(vbd) for vbd in record["VBDs"]} == {vm}
    assert api.VM.get_by_name_label("files") == [vm]
    assert api.VM.get_all_records()[vm] == record
    assert api.VM.get_by_uuid(record["uuid"]) == vm


def test_a_record_must_be_whole_and_of_the_right_types(api: Any) -> None:
    without = {key: value for key, value in VM_RECORD.items() if key != "PV_args"}
    code, text = refused(api.VM.create, without)
    assert code == "INTERNAL_ERROR"
    assert "PV_args" in text
    for field, value in {"VCPUs_max": "many", "is_a_template": "no", "platform": {"a": 1}}.items():
        assert refused(api.VM.create, {**VM_RECORD, field: value}) == ["FIELD_TYPE_ERROR", field]
    number = api.VM.create({**VM_RECORD, "VCPUs_max": 3, "power_state": "Running"})
    assert api.VM.get_VCPUs_max(number) == "3"
    assert api.VM.get_power_state(number) == "Halted"


def test_fields_that_clients_do_not_set(api: Any, vm: str, sr: str, vdis: list[str]) -> None:
    assert refused(api.VM.set_power_state, vm, "Running")[0] == "MESSAGE_METHOD_UNKNOWN"
    assert refused(api.VM.set_resident_on, vm, NULL)[0] == "MESSAGE_METHOD_UNKNOWN"
    assert refused(api.SR.set_uuid, sr, "x")[0] == "MESSAGE_METHOD_UNKNOWN"
    for call, value in (
        (api.VDI.set_read_only, True),
        (api.VDI.set_managed, False),
        (api.VDI.set_virtual_size, "1"),
    ):
        assert refused(call, vdis[0], value) == ["PERMISSION_DENIED", ""]
    api.VM.add_to_other_config(vm, "key", "value")
    assert refused(api.VM.add_to_other_config, vm, "key", "x")[0] == "MAP_DUPLICATE_KEY"
    api.VM.remove_from_other_config(vm, "key")
    api.VM.remove_from_other_config(vm, "key")
    api.VM.add_tags(vm, "new")
    assert api.VM.get_tags(vm) == ["backup", "new"]


def test_what_is_not_there(api: Any) -> None:
    assert refused(api.VM.get_record, "OpaqueRef:x") == ["HANDLE_INVALID", "VM", "OpaqueRef:x"]
    assert refused(api.SR.get_by_uuid, "x") == ["UUID_INVALID", "SR", "x"]
    assert refused(api.VM.fly, NULL) == ["MESSAGE_METHOD_UNKNOWN", "VM.fly"]
    assert refused(api.SR.forget)[0] == "MESSAGE_PARAMETER_COUNT_MISMATCH"


# --- SR, PBD, VDI


def test_sr_from_introduce_to_forget(pool_site: PoolSite, api: Any, lun: PoolLun) -> None:
    before = pool_site.snapshot()
    uuid = golden.manifest("chain")["sr_uuid"]
    sr = api.SR.introduce(uuid, "name", "", "LVMoISCSI", "user", True, {})
    again: Any = (uuid, "name", "", "lvmoiscsi", "user", True, {})
    assert refused(api.SR.introduce, *again) == ["SR_UUID_EXISTS", uuid]
    assert refused(api.SR.scan, sr) == ["SR_HAS_NO_PBDS", sr]
    pbds = []
    for host in pool_site.pool.hosts:
        record = {"SR": sr, "host": host.reference, "device_config": lun.config}
        pbds.append(api.PBD.create(record))
        assert refused(api.PBD.create, record) == ["PBD_EXISTS", sr, host.reference, pbds[-1]]
    assert api.SR.get_PBDs(sr) == pbds
    api.PBD.plug(pbds[0])
    api.PBD.plug(pbds[0])
    assert refused(api.SR.forget, sr) == ["SR_HAS_PBD", sr]
    assert refused(api.PBD.destroy, pbds[0])[0] == "OPERATION_NOT_ALLOWED"
    assert "forget" not in api.SR.get_allowed_operations(sr)
    api.SR.scan(sr)
    assert api.SR.get_VDIs(sr)
    api.PBD.unplug(pbds[0])
    api.PBD.unplug(pbds[0])
    api.PBD.destroy(pbds[2])
    api.SR.forget(sr)
    assert pool_site.snapshot() == before
    assert not pool_site.traces()


def test_scan_finds_what_the_lun_holds(api: Any, sr: str) -> None:
    facts = golden.manifest("chain")
    records = {record["uuid"]: record for record in api.VDI.get_all_records().values()}
    assert {api.VDI.get_uuid(vdi) for vdi in api.SR.get_VDIs(sr)} == set(records)
    disks = {name[len("VHD-") :]: disk for name, disk in facts["vdis"].items()}
    assert set(disks) == set(records)
    for uuid, disk in disks.items():
        assert records[uuid]["virtual_size"] == str(disk["virtual_size"])
        assert records[uuid]["managed"] != bool(disk["hidden"])
        assert records[uuid]["SR"] == sr
    snapshots = {uuid: record for uuid, record in records.items() if record["is_a_snapshot"]}
    assert snapshots
    assert all(record["managed"] for record in snapshots.values())
    names = {record["name_label"] for record in records.values()}
    assert "vm-a disk 0 – é" in names


def test_names_are_written_to_the_lun(
    pool_site: PoolSite, api: Any, lun: PoolLun, sr: str, vdis: list[str]
) -> None:
    uuid = api.VDI.get_uuid(vdis[0])
    api.VDI.set_name_label(vdis[0], "R&D <new>")
    for pbd in api.SR.get_PBDs(sr):
        api.PBD.unplug(pbd)
    api.SR.forget(sr)
    pool_site.attach(lun)
    assert api.VDI.get_name_label(api.VDI.get_by_uuid(uuid)) == "R&D <new>"


def test_what_is_gone_from_the_lun_is_forgotten(
    pool_site: PoolSite, api: Any, lun: PoolLun, sr: str
) -> None:
    """A scan also removes records, and takes VBDs of them along."""
    with pool_site.pool.db.lock:
        gone = pool_site.pool.db.add("VDI", SR=sr, location="not-there")
    assert gone in api.SR.get_VDIs(sr)
    api.SR.scan(sr)
    assert gone not in api.VDI.get_all()


def test_host_that_cannot_see_the_lun(pool_site: PoolSite, api: Any, lun: PoolLun) -> None:
    blind = pool_site.pool.hosts[1]
    pool_site.hide(lun, blind)
    uuid = golden.manifest("chain")["sr_uuid"]
    sr = api.SR.introduce(uuid, "name", "", "lvmoiscsi", "user", True, {})
    pbds = {
        host: api.PBD.create({"SR": sr, "host": host.reference, "device_config": lun.config})
        for host in pool_site.pool.hosts
    }
    for host, pbd in pbds.items():
        if host is blind:
            text = "The SCSIid parameter is missing or incorrect"
            assert refused(api.PBD.plug, pbd) == ["SR_BACKEND_FAILURE_107", "", text, ""]
        else:
            api.PBD.plug(pbd)
        assert api.PBD.get_currently_attached(pbd) == (host is not blind)
    assert not blind.runner.dom0.traces()


def test_fibre_channel_lun_that_is_not_mapped(pool_site: PoolSite, api: Any, lun: PoolLun) -> None:
    pool_site.hide(lun, pool_site.master)
    uuid = golden.manifest("chain")["sr_uuid"]
    sr = api.SR.introduce(uuid, "name", "", "lvmohba", "user", True, {})
    config = {"SCSIid": lun.scsi_id}
    first, second = [
        api.PBD.create({"SR": sr, "host": host.reference, "device_config": config})
        for host in pool_site.pool.hosts[:2]
    ]
    code, _empty, text, _stderr = refused(api.PBD.plug, first)
    assert code == "SR_BACKEND_FAILURE_47"
    assert f"no such volume group: VG_XenStorage-{uuid}" in text
    api.PBD.plug(second)


def test_host_that_is_down(pool_site: PoolSite, api: Any, lun: PoolLun, sr: str) -> None:
    down = pool_site.pool.hosts[1]
    pbd = api.SR.get_PBDs(sr)[1]
    pool_site.power_off(down)
    expected = ["HOST_OFFLINE", down.reference]
    assert refused(api.PBD.unplug, pbd) == expected
    assert refused(api.SR.probe, down.reference, lun.config, "lvmoiscsi", {}) == expected
    assert refused(api.host.call_plugin, down.reference, "relun", "version", {}) == expected
    api.SR.scan(sr)


def test_disks_of_protected_vms_stay(pool_site: PoolSite, api: Any, vm: str, sr: str) -> None:
    """High availability: the SR of a protected VM is not unplugged on any host."""
    api.VM.start_on(vm, pool_site.master.reference, False, False)
    other = api.SR.get_PBDs(sr)[2]
    pool_site.pool.record["ha_enabled"] = True
    assert refused(api.PBD.unplug, other) == ["HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", sr]
    api.VM.set_ha_restart_priority(vm, "")
    api.PBD.unplug(other)


def test_chap(pool_site: PoolSite, api: Any) -> None:
    guarded = pool_site.lun("single", chap=("joe", "tigertigertiger"))
    assert guarded.typed == guarded.address.replace("joe@", "joe%tigertigertiger@")
    host = pool_site.master.reference
    assert "<UUID>" in api.SR.probe(host, guarded.config, "lvmoiscsi", {})
    wrong = guarded.config | {"chappassword": "lionlionlion"}
    assert refused(api.SR.probe, host, wrong, "lvmoiscsi", {})[0] == "SR_BACKEND_FAILURE_68"


def test_passwords_are_secrets_and_go_with_their_pbds(pool_site: PoolSite, api: Any) -> None:
    guarded = pool_site.lun("single", chap=("joe", "tigertigertiger"))
    before = pool_site.snapshot()
    sr = pool_site.attach(guarded)
    configs = [record["device_config"] for record in api.PBD.get_all_records().values()]
    assert len({config["chappassword_secret"] for config in configs}) == 3
    assert not any("tiger" in value for config in configs for value in config.values())
    for pbd in api.SR.get_PBDs(sr):
        api.PBD.unplug(pbd)
    api.SR.forget(sr)
    assert pool_site.snapshot() == before


def test_local_sr_is_on_one_host(pool_site: PoolSite, api: Any, lun: PoolLun) -> None:
    uuid = golden.manifest("chain")["sr_uuid"]
    sr = api.SR.introduce(uuid, "name", "", "lvmoiscsi", "user", False, {})
    records = [
        {"SR": sr, "host": host.reference, "device_config": lun.config}
        for host in pool_site.pool.hosts[:2]
    ]
    first = api.PBD.create(records[0])
    api.PBD.plug(first)
    second = api.PBD.create(records[1])
    assert refused(api.SR.scan, sr) == ["SR_HAS_MULTIPLE_PBDS", first, second]
    other = pool_site.master.reference
    assert refused(api.PBD.plug, second) == ["SR_NOT_SHARABLE", sr, other]
    assert refused(api.SR.set_shared, sr, False)[0] == "SR_HAS_MULTIPLE_PBDS"


def test_the_bytes_are_those_that_the_target_serves(lun: PoolLun) -> None:
    with open_iscsi(lun.address, Login(initiator=OURS), writable=False) as device:
        assert device.read(0, 65536) == lun.file.read_bytes()[:65536]
        assert device.size == lun.file.stat().st_size
        assert device.describe().scsi_id == lun.scsi_id
    assert lun.unchanged()


# --- VM


def test_vm_from_start_to_destroy(api: Any, vm: str, vdis: list[str], sr: str) -> None:
    assert refused(api.VM.hard_shutdown, vm)[0] == "VM_BAD_POWER_STATE"
    api.VM.start(vm, False, False)
    record = api.VM.get_record(vm)
    assert (record["power_state"], record["ha_always_run"]) == ("Running", True)
    assert vm in api.host.get_resident_VMs(record["resident_on"])
    assert int(record["domid"]) > 0
    for vbd in record["VBDs"]:
        assert api.VBD.get_currently_attached(vbd)
        assert refused(api.VBD.destroy, vbd)[0] == "OPERATION_NOT_ALLOWED"
    for vif in record["VIFs"]:
        assert refused(api.VIF.destroy, vif)[0] == "OPERATION_NOT_ALLOWED"
    expected = ["VM_BAD_POWER_STATE", vm, "halted, suspended", "running"]
    assert refused(api.VM.destroy, vm) == expected
    assert refused(api.VM.start, vm, False, False) == [
        "VM_BAD_POWER_STATE", vm, "halted", "running",
    ]  # fmt: skip
    assert refused(api.VDI.forget, vdis[0])[0] == "VDI_IN_USE"
    (pbd,) = [
        each for each in api.SR.get_PBDs(sr) if api.PBD.get_host(each) == record["resident_on"]
    ]
    code, *used = refused(api.PBD.unplug, pbd)
    assert (code, set(used)) == ("VDI_IN_USE", set(vdis[:2]))
    api.VM.hard_shutdown(vm)
    record = api.VM.get_record(vm)
    assert (record["power_state"], record["resident_on"], record["domid"]) == ("Halted", NULL, "-1")
    assert not any(api.VBD.get_currently_attached(vbd) for vbd in record["VBDs"])
    assert record["ha_always_run"] is False
    api.PBD.unplug(pbd)
    api.VM.destroy(vm)
    assert (api.VBD.get_all(), api.VIF.get_all(), api.VM_metrics.get_all()) == ([], [], [])
    assert set(vdis) <= set(api.VDI.get_all())


def test_two_vms_do_not_write_to_one_disk(pool_site: PoolSite, api: Any, vdis: list[str]) -> None:
    first, second = (pool_site.vm(name, vdis[:1]) for name in ("first", "second"))
    api.VM.start(first, False, False)
    assert refused(api.VM.start, second, False, False) == ["VDI_IN_USE", vdis[0]]
    assert api.VM.get_power_state(second) == "Halted"
    api.VM.hard_shutdown(first)
    api.VM.start(second, False, False)


def test_a_vm_starts_where_its_disks_are(pool_site: PoolSite, api: Any, vm: str, sr: str) -> None:
    hosts = [host.reference for host in pool_site.pool.hosts]
    for pbd in api.SR.get_PBDs(sr):
        if api.PBD.get_host(pbd) != hosts[1]:
            api.PBD.unplug(pbd)
    assert refused(api.VM.start_on, vm, hosts[0], False, False) == ["VM_REQUIRES_SR", vm, sr]
    api.VM.start(vm, False, False)
    assert api.VM.get_resident_on(vm) == hosts[1]
    api.VM.hard_shutdown(vm)
    pool_site.pool.db.get("host", hosts[1])["enabled"] = False
    assert refused(api.VM.start, vm, False, False) == ["NO_HOSTS_AVAILABLE"]
    assert refused(api.VM.start_on, vm, hosts[1], False, False) == ["HOST_DISABLED", hosts[1]]


def test_what_does_not_start(pool_site: PoolSite, api: Any, vm: str, vdis: list[str]) -> None:
    api.VM.set_is_a_template(vm, True)
    assert refused(api.VM.start, vm, False, False) == ["VM_IS_TEMPLATE", vm, "start"]
    api.VM.set_is_a_template(vm, False)
    api.VM.set_blocked_operations(vm, {"start": "because"})
    assert refused(api.VM.start, vm, False, False) == ["OPERATION_BLOCKED", vm, "because"]
    api.VM.set_blocked_operations(vm, {})
    records = api.VDI.get_all_records()
    hidden = next(vdi for vdi, record in records.items() if not record["managed"])
    vbd = api.VBD.create({**VBD_RECORD, "VM": vm, "VDI": hidden, "userdevice": "7", "mode": "RO"})
    assert refused(api.VM.start, vm, False, False) == ["VDI_NOT_MANAGED", vbd]
    api.VBD.destroy(vbd)
    greedy = pool_site.vm("greedy", vdis[2:3], VCPUs_max="1")
    assert refused(api.VM.start, greedy, False, False)[0] == "VALUE_NOT_SUPPORTED"
    assert refused(api.VM.set_ha_restart_priority, vm, "maybe")[0] == "INVALID_VALUE"
    api.VM.start(vm, False, False)


def test_memory_and_processors(api: Any, vm: str) -> None:
    gib = 1 << 30
    limits = [str(n * gib) for n in (1, 3, 2, 3)]
    api.VM.set_memory_limits(vm, *limits)
    assert api.VM.get_memory_dynamic_min(vm) == str(2 * gib)
    assert refused(api.VM.set_memory_limits, vm, *reversed(limits))[0].startswith("MEMORY_")
    assert refused(api.VM.set_VCPUs_max, vm, "1")[0] == "VALUE_NOT_SUPPORTED"
    api.VM.set_VCPUs_at_startup(vm, "1")
    api.VM.set_VCPUs_max(vm, "1")
    api.VM.start(vm, False, False)
    assert refused(api.VM.set_memory_limits, vm, *limits)[0] == "VM_BAD_POWER_STATE"


def test_guests(pool_site: PoolSite, api: Any, vdis: list[str]) -> None:
    pool_site.guest("quick", address="192.0.2.5")
    pool_site.guest("mute", agent=None)
    pool_site.guest("stubborn", obeys=False)
    vms = [pool_site.vm(name, [vdi]) for name, vdi in zip(("quick", "mute", "stubborn"), vdis)]
    quick, mute, stubborn = vms
    own = {"VM": quick, "device": "1", "network": pool_site.network("DMZ")}
    cut = api.VIF.create({**VIF_RECORD, **own, "locking_mode": "disabled"})
    assert api.VM.get_guest_metrics(quick) == NULL
    for each in vms:
        api.VM.start(each, False, False)
    for each in (quick, stubborn):
        await_true(lambda vm=each: api.VM.get_guest_metrics(vm) != NULL, "no agent")  # type: ignore[misc]
    metrics = api.VM_guest_metrics.get_record(api.VM.get_guest_metrics(quick))
    assert metrics["networks"] == {"0/ip": "192.0.2.5", "0/ipv4/0": "192.0.2.5"}
    assert metrics["PV_drivers_version"]
    assert metrics["live"]
    assert api.VM.get_guest_metrics(mute) == NULL
    assert refused(api.VM.clean_shutdown, mute) == ["VM_LACKS_FEATURE", mute]
    assert refused(api.VIF.unplug, api.VM.get_VIFs(mute)[0]) == ["VM_MISSING_PV_DRIVERS", mute]
    gone = refused(api.VM.clean_shutdown, stubborn)
    assert gone == ["VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT", stubborn]
    api.VIF.unplug(cut)
    api.VM.clean_shutdown(quick)
    assert api.VM.get_power_state(quick) == "Halted"
    api.VM.start(quick, True, False)  # paused: nothing runs in it
    assert api.VM.get_guest_metrics(quick) == NULL


# --- VBD, VIF, network


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"userdevice": "0"}, "DEVICE_ALREADY_EXISTS"),
        ({"userdevice": "xvda"}, "DEVICE_ALREADY_EXISTS"),
        ({"userdevice": "zero"}, "INVALID_DEVICE"),
        ({"type": "CD"}, "VBD_CDS_MUST_BE_READONLY"),
        ({"empty": True}, "VBD_NOT_REMOVABLE_MEDIA"),
        ({"VDI": "OpaqueRef:x"}, "HANDLE_INVALID"),
        ({"VM": "OpaqueRef:x"}, "HANDLE_INVALID"),
    ],
)
def test_vbds_that_are_not_made(
    api: Any, vm: str, vdis: list[str], change: dict[str, Any], code: str
) -> None:
    count = len(api.VBD.get_all())
    record = {**VBD_RECORD, "VM": vm, "VDI": vdis[1], "userdevice": "5"}
    assert refused(api.VBD.create, {**record, **change})[0] == code
    assert len(api.VBD.get_all()) == count
    assert api.VBD.get_currently_attached(
        api.VBD.create({**record, "userdevice": "autodetect", "currently_attached": True})
    ) is False  # fmt: skip


def test_read_only_disks(pool_site: PoolSite, api: Any, vm: str, vdis: list[str]) -> None:
    pool_site.pool.db.get("VDI", vdis[2])["read_only"] = True
    record = {**VBD_RECORD, "VM": vm, "VDI": vdis[2], "userdevice": "5"}
    assert refused(api.VBD.create, record) == ["VDI_READONLY", vdis[2]]
    vbd = api.VBD.create({**record, "mode": "RO"})
    api.VBD.set_mode(vbd, "RW")
    assert refused(api.VM.start, vm, False, False) == ["VDI_READONLY", vdis[2]]


def test_plugging_disks(pool_site: PoolSite, api: Any, vm: str, vdis: list[str]) -> None:
    record = {**VBD_RECORD, "VM": vm, "VDI": vdis[2], "userdevice": "5"}
    vbd = api.VBD.create(record)
    assert refused(api.VBD.plug, vbd) == ["VM_BAD_POWER_STATE", vm, "running", "halted"]
    api.VBD.destroy(vbd)
    api.VM.start(vm, False, False)
    vbd = api.VBD.create(record)
    await_true(lambda: api.VM.get_guest_metrics(vm) != NULL, "no agent")
    assert api.VBD.get_allowed_operations(vbd) == ["attach", "plug"]
    api.VBD.plug(vbd)
    assert api.VBD.get_device(vbd) == "xvdf"
    assert refused(api.VBD.plug, vbd) == ["DEVICE_ALREADY_ATTACHED", vbd]
    assert api.VDI.get_VBDs(vdis[2]) == [vbd]
    api.VBD.unplug(vbd)
    assert refused(api.VBD.unplug, vbd) == ["DEVICE_ALREADY_DETACHED", vbd]
    api.VBD.destroy(vbd)


def test_drives(api: Any, vm: str, vdis: list[str]) -> None:
    (drive,) = [vbd for vbd in api.VM.get_VBDs(vm) if api.VBD.get_type(vbd) == "CD"]
    assert refused(api.VBD.eject, drive) == ["VBD_IS_EMPTY", drive]
    api.VBD.insert(drive, vdis[3])
    assert refused(api.VBD.insert, drive, vdis[3]) == ["VBD_NOT_EMPTY", drive]
    api.VBD.eject(drive)
    assert api.VBD.get_VDI(drive) == NULL


def test_forgetting_an_sr_takes_its_vbds(api: Any, vm: str, sr: str) -> None:
    for pbd in api.SR.get_PBDs(sr):
        api.PBD.unplug(pbd)
    api.SR.forget(sr)
    assert [api.VBD.get_type(vbd) for vbd in api.VM.get_VBDs(vm)] == ["CD"]


def test_vifs(pool_site: PoolSite, api: Any, vm: str) -> None:
    first, second = api.VM.get_VIFs(vm)
    seed = api.VM.get_other_config(vm)["mac_seed"]
    macs = [api.VIF.get_MAC(vif) for vif in (first, second)]
    assert macs == [devices.make_mac(number, seed) for number in (0, 1)]
    assert all(int(mac[:2], 16) & 3 == 2 for mac in macs)  # locally administered, one receiver
    assert api.VIF.get_MAC_autogenerated(first)
    record = {**VIF_RECORD, "VM": vm, "device": "2", "network": pool_site.network("LAN")}
    for change, expected in (
        ({"device": "0"}, ["DEVICE_ALREADY_EXISTS", "0"]),
        ({"device": "eth0"}, ["INVALID_DEVICE", "eth0"]),
        ({"MAC": "none"}, ["MAC_INVALID", "none"]),
        ({"network": NULL}, ["HANDLE_INVALID", "network", NULL]),
    ):
        assert refused(api.VIF.create, {**record, **change}) == expected
    vif = api.VIF.create({**record, "MAC": "02:00:00:00:00:01", "currently_attached": True})
    assert (api.VIF.get_MAC_autogenerated(vif), api.VIF.get_currently_attached(vif)) == (
        False, False,
    )  # fmt: skip
    api.VIF.set_locking_mode(vif, "disabled")
    api.VIF.move(vif, pool_site.network("DMZ"))
    assert vif in api.network.get_VIFs(pool_site.network("DMZ"))
    api.VIF.destroy(vif)


def test_a_mac_by_xapis_own_rule() -> None:
    """After gen_mac and mac_from_int_array of xen-api, worked out by hand with md5sum."""
    assert devices.make_mac(0, "seed") == "fe:4c:0f:30:75:c6"


def test_internal_networks(pool_site: PoolSite, api: Any, vdis: list[str]) -> None:
    """VMs on a network without NICs run on one host."""
    isolated = pool_site.network("isolated", nics=False)
    vms = [pool_site.vm(name, [vdi], ("isolated",)) for name, vdi in zip("ab", vdis)]
    hosts = [host.reference for host in pool_site.pool.hosts]
    api.VM.start_on(vms[0], hosts[2], False, False)
    expected = ["VM_REQUIRES_NETWORK", vms[1], isolated]
    assert refused(api.VM.start_on, vms[1], hosts[0], False, False) == expected
    api.VM.start(vms[1], False, False)
    assert api.VM.get_resident_on(vms[1]) == hosts[2]
    assert refused(api.network.destroy, isolated)[0] == "NETWORK_CONTAINS_VIF"
    for vm in vms:
        api.VM.hard_shutdown(vm)
    api.network.destroy(isolated)
    assert not api.VIF.get_all()


# --- several at once


class Running:
    """A call in a thread of its own, with a session of its own."""

    def __init__(self, site: PoolSite, method: str, *arguments: Any) -> None:
        session = XenAPI.Session(site.url)
        session.xenapi.login_with_password(USER, PASSWORD)
        self.error: list[str] = []
        self._thread = threading.Thread(target=self._run, args=(session, method, arguments))
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether it has an answer."""
        return not self._thread.is_alive()

    def wait(self) -> list[str]:
        """Wait for the answer; return the error, empty if there is none."""
        self._thread.join(30)
        assert self.ended
        return self.error

    def _run(self, session: Any, method: str, arguments: tuple[Any, ...]) -> None:
        try:
            session.xenapi_request(method, arguments)
        except XenAPI.Failure as failure:
            self.error = list(failure.details)


def test_long_calls_hold_up_nobody(pool_site: PoolSite, api: Any, sr: str, vm: str) -> None:
    pbds = api.SR.get_PBDs(sr)
    held = pool_site.hold("sr_scan", pool_site.master)
    scan = Running(pool_site, "SR.scan", sr)
    assert held.reached.wait(10)
    assert list(api.SR.get_record(sr)["current_operations"].values()) == ["scan"]
    api.VM.start(vm, False, False)
    unplug = Running(pool_site, "PBD.unplug", pbds[1])
    await_true(lambda: bool(pool_site.pool.faults.named("PBD.unplug")), "no call")
    assert not unplug.ended
    assert api.PBD.get_currently_attached(pbds[1])
    held.release()
    assert (scan.wait(), unplug.wait()) == ([], [])
    assert not api.PBD.get_currently_attached(pbds[1])
    assert api.SR.get_record(sr)["current_operations"] == {}


def test_plugging_on_several_hosts_goes_on_beside(pool_site: PoolSite, api: Any, sr: str) -> None:
    pbds = api.SR.get_PBDs(sr)
    for pbd in pbds:
        api.PBD.unplug(pbd)
    held = pool_site.hold("sr_attach", pool_site.master)
    plug = Running(pool_site, "PBD.plug", pbds[0])
    assert held.reached.wait(10)
    api.PBD.plug(pbds[1])
    assert api.PBD.get_currently_attached(pbds[1])
    forget = Running(pool_site, "SR.forget", sr)
    held.release()
    assert plug.wait() == []
    assert forget.wait() == ["SR_HAS_PBD", sr]


def test_who_waits_too_long_is_told(pool_site: PoolSite, api: Any, sr: str) -> None:
    pool_site.pool.db.patience = 0.0
    held = pool_site.hold("sr_scan", pool_site.master)
    scan = Running(pool_site, "SR.scan", sr)
    assert held.reached.wait(10)
    code, kind, reference, operation, _task = refused(api.PBD.plug, api.SR.get_PBDs(sr)[0])
    assert (code, kind) == ("OTHER_OPERATION_IN_PROGRESS", "SR")
    assert (reference, operation) == (sr, "scan")
    held.release()
    assert scan.wait() == []


def test_one_of_two_introduces_it(pool_site: PoolSite, api: Any) -> None:
    arguments: Any = (
        "9ab1c2d3-0000-4000-8000-000000000000",
        "n",
        "",
        "lvmoiscsi",
        "user",
        True,
        {},
    )
    both = [Running(pool_site, "SR.introduce", *arguments) for _administrator in range(2)]
    errors = sorted(each.wait() for each in both)
    assert errors == [[], ["SR_UUID_EXISTS", arguments[0]]]
    assert len(api.SR.get_all()) == 1


# --- faults, the record, sessions, addresses


def test_faults(pool_site: PoolSite, session: Any, api: Any) -> None:
    code = ("SR_BACKEND_FAILURE_47", "", "The SR is not available", "")
    arguments = ["", "n", "", "lvmoiscsi", "user", True, {}]
    pool_site.fail("SR.introduce", at=2, code=code)
    first = api.SR.introduce(*arguments)
    assert refused(api.SR.introduce, *arguments) == list(code)
    assert api.SR.get_all() == [first]
    fault = pool_site.fail("SR.introduce", after=True)
    assert refused(api.SR.introduce, *arguments)[0] == "INTERNAL_ERROR"
    assert (len(api.SR.get_all()), fault.hits) == (2, 1)
    pool_site.drop("SR.introduce", after=True)
    # The standard transport sends a request again when the connection ends: two more SRs.
    api.SR.introduce(*arguments)
    assert len(api.SR.get_all()) == 4
    every = pool_site.fail("*", times=0)
    for _time in range(3):
        assert refused(api.SR.get_all)[0] == "INTERNAL_ERROR"
    assert every.hits == 3
    pool_site.mend()
    assert len(api.SR.get_all()) == 4


def test_a_call_without_an_answer(pool_site: PoolSite, api: Any) -> None:
    hung = pool_site.hang("pool.get_all")
    call = Running(pool_site, "pool.get_all")
    assert hung.reached.wait(10)
    time.sleep(0.05)
    assert not call.ended
    assert len(api.pool.get_all()) == 1
    pool_site.mend()
    call.wait()


def test_all_calls_are_noted(pool_site: PoolSite, session: Any, api: Any, lun: PoolLun) -> None:
    del pool_site.calls[:]
    api.SR.probe(pool_site.master.reference, lun.config, "lvmoiscsi", {})
    api.VM.get_all()
    assert [call.name for call in pool_site.calls] == ["SR.probe", "VM.get_all"]  # not the driver's
    assert pool_site.calls[0].arguments[1] == lun.config
    assert {call.session for call in pool_site.calls} == {session._session}


def test_sessions(pool_site: PoolSite) -> None:
    client = XenAPI.Session(pool_site.url)
    wrong = refused(client.xenapi.login_with_password, USER, "wrong")
    assert wrong[0] == "SESSION_AUTHENTICATION_FAILED"
    client.xenapi.login_with_password(USER, PASSWORD)
    assert len(pool_site.sessions) == 1
    reference = client._session
    client.xenapi.session.logout()
    assert not pool_site.sessions
    with xmlrpc.client.ServerProxy(pool_site.url) as proxy:
        answer: Any = proxy.VM.get_all(reference)
    assert answer["ErrorDescription"] == ["SESSION_INVALID", reference]


def test_a_slave_names_its_master(pool_site: PoolSite) -> None:
    url = pool_site.url_of(pool_site.pool.hosts[2])
    assert url.startswith("http://127.0.0.3:")
    client = XenAPI.Session(url)
    login = client.xenapi.login_with_password
    assert refused(login, USER, PASSWORD) == ["HOST_IS_SLAVE", "127.0.0.1"]


def test_tls(make_pool_site: Callable[..., PoolSite]) -> None:
    site = make_pool_site(hosts=2, tls=True)
    for host in site.pool.hosts:
        url = site.url_of(host)
        assert url.startswith("https://")
        with pytest.raises(ssl.SSLCertVerificationError):
            client(url).xenapi.login_with_password(USER, PASSWORD)
    trusting = client(site.url, site.ca)
    trusting.xenapi.login_with_password(USER, PASSWORD)
    assert len(trusting.xenapi.host.get_all()) == 2
    trusting.xenapi.session.logout()


def client(url: str, ca: Path | None = None) -> Any:
    """Return a client that trusts one certificate."""
    context = ssl.create_default_context(cafile=ca)
    return XenAPI.Session(url, transport=xmlrpc.client.SafeTransport(context=context))


def test_lvm_over_fibre_channel(pool_site: PoolSite, api: Any, lun: PoolLun) -> None:
    found = api.SR.probe(pool_site.master.reference, {"SCSIid": lun.scsi_id}, "lvmohba", {})
    assert golden.manifest("chain")["sr_uuid"] in found
