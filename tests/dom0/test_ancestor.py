"""The test report of the first resigning driver (ReLVHDoISCSISR, 2015), case by case."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import XenAPI

from dom0.test_contract import SENTENCE, SUCCESS, assert_refused, create, probe
from support import builder
from xapi.site import Lun, Site


def introduce(site: Site, lun: Lun, uuid: str, kind: str = "lvmoiscsi") -> str:
    """Introduce an SR and make a PBD on every host."""
    session = site.client()
    sr: str = session.xenapi.SR.introduce(uuid, "clone", "", kind, "user", True, {})
    for host in session.xenapi.host.get_all():
        session.xenapi.PBD.create({"SR": sr, "host": host, "device_config": lun.config})
    return sr


def attach(site: Site, lun: Lun) -> list[dict[str, Any]]:
    """The classic flow after the resign; return the VDI records."""
    session = site.client()
    uuid = probe(site, lun).split("<UUID>")[1].split("</UUID>")[0].strip()
    sr = introduce(site, lun, uuid)
    for pbd in session.xenapi.SR.get_PBDs(sr):
        session.xenapi.PBD.plug(pbd)
    session.xenapi.SR.scan(sr)
    vdis = [session.xenapi.VDI.get_record(vdi) for vdi in session.xenapi.SR.get_VDIs(sr)]
    for pbd in session.xenapi.SR.get_PBDs(sr):
        session.xenapi.PBD.unplug(pbd)
    session.xenapi.SR.forget(sr)
    return vdis


def snapshots(site: Site, count: int) -> Lun:
    """A LUN with one VDI and so many snapshots of it."""
    base = builder.Record("base", managed=0, read_only=1)
    volumes: list[Any] = [builder.Vhd("base", hidden=True, read_only=True, record=base)]
    volumes.append(builder.Vhd("disk", parent="base"))
    for number in range(count):
        record = builder.Record(f"snap{number}", is_a_snapshot=1, snapshot_of="disk")
        volumes.append(builder.Vhd(f"snap{number}", parent="base", record=record))
    built = builder.build(builder.Sr(tuple(volumes)), site.folder / "snapshots.img")
    return site.export(Path(built.paths[0]))


def test_create_resigns(site: Site) -> None:
    lun = site.lun("single")
    assert create(site, lun.config)[2] == SUCCESS.format("lvmoiscsi")
    vdis = attach(site, lun)
    assert len(vdis) == 1
    assert vdis[0]["managed"]
    assert vdis[0]["sm_config"]["vdi_type"] == "vhd"


def test_probe_is_not_supported(site: Site) -> None:
    lun = site.lun("single")
    with pytest.raises(XenAPI.Failure) as caught:
        probe(site, lun, kind="relvmoiscsi")
    text = "Operation 'sr_probe' not supported by this SR type"
    assert caught.value.details == ["SR_BACKEND_FAILURE", text, "", ""]


def test_other_calls_are_not_implemented(site: Site) -> None:
    """A PBD of an SR introduced by mistake as relvmoiscsi cannot be plugged."""
    lun = site.lun("single")
    session = site.client()
    sr = introduce(site, lun, "00000000-0000-4000-8000-000000000002", "relvmoiscsi")
    for pbd in session.xenapi.SR.get_PBDs(sr):
        with pytest.raises(XenAPI.Failure) as caught:
            session.xenapi.PBD.plug(pbd)
        assert caught.value.details[0] == "INTERNAL_ERROR"
        assert "Smint.Not_implemented_in_backend" in caught.value.details[1]
    with pytest.raises(XenAPI.Failure):
        session.xenapi.SR.scan(sr)
    assert not site.traces()


def test_lun_without_an_sr(site: Site) -> None:
    empty = site.folder / "empty.img"
    with open(empty, "wb") as file:
        file.truncate(64 << 20)
    assert_refused(site, site.export(empty), "SR_BACKEND_FAILURE_5601", "lun-empty")


@pytest.mark.parametrize("count", [1, 12])
def test_one_vdi_with_snapshots_ends_as_one_vdi(one_site: Site, count: int) -> None:
    """Its base stays, unmanaged, until SM's garbage collector merges it: the scan starts that."""
    lun = snapshots(one_site, count)
    assert SENTENCE in create(one_site, lun.config)[2]
    vdis = attach(one_site, lun)
    assert [vdi["is_a_snapshot"] for vdi in vdis if vdi["managed"]] == [False]
    base, disk = sorted(vdis, key=lambda vdi: bool(vdi["managed"]))
    assert disk["sm_config"]["vhd-parent"] == base["uuid"]
    assert one_site.master.runner.dom0.log("gc")


def test_snapshots_kept_when_asked(one_site: Site) -> None:
    lun = snapshots(one_site, 3)
    assert SENTENCE in create(one_site, {**lun.config, "drop-snapshots": "false"})[2]
    assert sum(bool(vdi["is_a_snapshot"]) for vdi in attach(one_site, lun)) == 3


def test_label(one_site: Site) -> None:
    lun = one_site.lun("single")
    assert SENTENCE in create(one_site, {**lun.config, "label": "copy of {name}"})[2]
    assert attach(one_site, lun)[0]["name_label"].startswith("copy of ")


def test_multipath_on(site: Site) -> None:
    site.multipathing()
    lun = site.lun("single")
    assert create(site, lun.config)[2] == SUCCESS.format("lvmoiscsi")
    assert not site.traces()
    assert len(attach(site, lun)) == 1


def test_fibre_channel(site: Site) -> None:
    lun = site.lun("single")
    assert create(site, {"SCSIid": lun.scsi_id}, "relvmohba")[2] == SUCCESS.format("lvmohba")
    assert "<UUID>" in probe(site, lun, kind="lvmohba")


def test_original_and_clone_together(make_site: Callable[..., Site]) -> None:
    """Both are attached at once, and no uuid stands in the pool twice."""
    site = make_site("package")
    site.install()
    session = site.client()
    original, clone = site.lun("chain"), site.lun("chain")
    assert SENTENCE in create(site, clone.config)[2]
    for lun in (original, clone):
        uuid = probe(site, lun).split("<UUID>")[1].split("</UUID>")[0].strip()
        sr = introduce(site, lun, uuid)
        for pbd in session.xenapi.SR.get_PBDs(sr):
            session.xenapi.PBD.plug(pbd)
        session.xenapi.SR.scan(sr)
    assert {len(session.xenapi.SR.get_VDIs(sr)) > 0 for sr in session.xenapi.SR.get_all()} == {True}
