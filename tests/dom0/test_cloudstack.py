"""CloudStack's walk through a resign, on every world, and its retry after what can go wrong."""

import fcntl
import os
from typing import Any

import pytest

from dom0.cloudstack import CloudStack, CloudStackError
from support import golden
from xapi.site import Lun, Site

SINGLE = golden.manifest("single")
SINGLE_SIZE = next(iter(SINGLE["vdis"].values()))["virtual_size"]


def assert_resigned(answer: Any, lun: Lun, site: Site) -> None:
    """The clone's one disk, with ids of its own, and nothing left behind."""
    assert answer.size == SINGLE_SIZE
    assert answer.format == "VHD"
    assert len(answer.path) == 36
    assert answer.path not in str(SINGLE)
    assert not site.traces()
    assert not site.pool.db.table("SR")
    assert not site.pool.db.table("PBD")


def test_walk(site: Site) -> None:
    cloudstack = CloudStack(site)
    assert cloudstack.supports_resign
    lun = site.lun("single")
    answer = cloudstack.resignature(lun)
    assert_resigned(answer, lun, site)
    assert cloudstack.calls[:5] == [
        "SR.create",  # without SCSIid: error 107 and the list
        "SR.probe",
        "SR.get_all_records",
        "SR.create",  # relvmoiscsi
        "SR.probe",
    ]
    # Attached for use, the clone shows the same disk.
    sr = cloudstack.get_iscsi_sr(lun, resign=False)
    vdis = cloudstack.session.xenapi.SR.get_VDIs(sr)
    assert [cloudstack.session.xenapi.VDI.get_uuid(vdi) for vdi in vdis] == [answer.path]
    cloudstack.remove_sr(sr)
    assert not site.traces()


def test_several_luns_behind_one_iqn(site: Site) -> None:
    original = site.lun("single", "iqn.array")
    clone = site.lun("single", "iqn.array")
    clone_of_clone = site.lun("single", "iqn.other")
    cloudstack = CloudStack(site)
    in_use = cloudstack.get_iscsi_sr(original, resign=False)
    before = site.traces()
    with pytest.raises(CloudStackError, match="SR_DEVICE_IN_USE"):  # path /iqn/0 is the original
        cloudstack._resign(original.config, "x")
    assert cloudstack._resign(clone.config, "x")
    assert site.traces() == before  # the original's session, count and devices
    cloudstack.remove_sr(in_use)
    assert_resigned(cloudstack.resignature(clone_of_clone), clone_of_clone, site)


def test_clone_of_a_resigned_lun_whose_sr_was_forgotten(site: Site) -> None:
    """A volume from a cached template's clone is cloned again: relun's journal comes along."""
    cloudstack = CloudStack(site)
    first = site.lun("single")
    answer = cloudstack.resignature(first)
    copied = site.folder / "clone-of-clone.img"
    golden._run("cp", "--sparse=always", str(first.file), str(copied))
    second = site.export(copied)
    again = cloudstack.resignature(second)
    assert_resigned(again, second, site)
    assert again.path != answer.path


def test_chap(site: Site) -> None:
    lun = site.lun("single", chap=("scott", "tiger"))
    with pytest.raises(CloudStackError, match="SR_BACKEND_FAILURE_68"):
        CloudStack(site, chap=("scott", "wrong")).resignature(lun)
    assert not site.traces()
    assert_resigned(CloudStack(site, chap=("scott", "tiger")).resignature(lun), lun, site)


@pytest.mark.parametrize("connected", [0, 1])
def test_multipathing(one_site: Site, connected: int) -> None:
    one_site.multipathing()
    lun = one_site.lun("single")
    assert_resigned(CloudStack(one_site, connected).resignature(lun), lun, one_site)


def _target_down(site: Site, lun: Lun) -> Any:
    site.fault("target-down")
    return lambda: site.fault("target-down", None)


def _lun_away(site: Site, lun: Lun) -> Any:
    entry = site.fabric["hba"][-1]
    entry["hidden"] = [str(site.master.runner.dom0.root)]  # the connected host still sees it
    site.fault("nothing")

    def mend() -> None:
        entry.pop("hidden")
        site.fault("nothing", None)

    return mend


def _lun_held(site: Site, lun: Lun) -> Any:
    fd = os.open(lun.file, os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return lambda: os.close(fd)


def _write_fails(site: Site, lun: Lun) -> Any:
    site.fault("pwrite", {"at": 1, "do": "error", "times": 1})
    return lambda: site.fault("pwrite", None)


def _not_installed_on_one_host(site: Site, lun: Lun) -> Any:
    link = site.master.runner.dom0.sm_dir / "ReLVMoISCSISR"
    target = os.readlink(link)
    link.unlink()
    site.pool.restart_toolstack(site.master)

    def mend() -> None:
        link.symlink_to(target)
        site.pool.restart_toolstack(site.master)

    return mend


FAULTS = (_target_down, _lun_away, _lun_held, _write_fails, _not_installed_on_one_host)


def test_retry_after_a_failure_on_the_same_lun(site: Site) -> None:
    cloudstack = CloudStack(site)
    for fault in FAULTS:
        lun = site.lun("single")
        mend = fault(site, lun)
        with pytest.raises(CloudStackError) as caught:
            cloudstack.resignature(lun)
        assert "successfully resigned" not in str(caught.value), fault
        assert not site.master.runner.dom0.log("formatted"), fault
        assert not site.traces(), fault
        mend()
        assert_resigned(cloudstack.resignature(lun), lun, site)


def test_every_write_that_fails_leaves_a_lun_that_the_retry_takes(one_site: Site) -> None:
    """A LUN without a VG would be formatted by the next attempt, so none may be left so."""
    cloudstack = CloudStack(one_site)
    failures = 0
    for at in range(1, 60):
        lun = one_site.lun("single")
        one_site.fault("pwrite", {"at": at, "do": "error", "times": 1})
        try:
            cloudstack.resignature(lun)
        except CloudStackError:
            failures += 1
        else:
            break
        finally:
            one_site.fault("pwrite", None)
        assert_resigned(cloudstack.resignature(lun), lun, one_site)
        os.unlink(lun.file)
    assert failures
    assert at > failures
    assert not one_site.master.runner.dom0.log("formatted")


def test_killed_at_any_write_then_a_fresh_clone(one_site: Site) -> None:
    """CloudStack throws the volume away and clones again; host and pool must be usable."""
    cloudstack = CloudStack(one_site)
    for at in (1, 3, 5):
        lun = one_site.lun("single")
        one_site.fault("pwrite", {"at": at, "do": "kill"})
        with pytest.raises(CloudStackError):
            cloudstack.resignature(lun)
        one_site.fault("pwrite", None)
        fresh = one_site.lun("single")
        cloudstack.resignature(fresh)
        assert not one_site.pool.db.table("SR")
