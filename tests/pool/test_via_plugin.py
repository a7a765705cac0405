"""A clone that the pool's master resigns itself: Fibre Channel, or a storage network of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pool.dom0 import install_plugin
from pool.originals import login
from pool.site import PoolLun, PoolSite
from relun.core.errors import RelunError
from relun.core.identity import uuid5
from relun.core.options import Options
from relun.pool.attach import AttachOptions, Target, attach
from relun.pool.errors import PoolRefused
from relun.pool.marks import Attached

NEW_SR = "11111111-2222-4333-8444-555555555555"
Scene = tuple[PoolSite, PoolLun, PoolLun]


@pytest.fixture
def there(make_pool_site: Callable[..., PoolSite]) -> Scene:
    """A pool whose master has the plugin and sees an original and its clone."""
    site = make_pool_site(hosts=2)
    original = site.lun("single")
    site.attach(original)
    clone = site.clone(original)
    # A daemon that has the file open as well is somebody else for the plugin.
    for lun in (original, clone):
        site.tgt.remove_lun(site._targets[lun.iqn], lun.number)
    install_plugin(site.master, original, clone)
    return site, original, clone


def by_id(lun: PoolLun) -> Target:
    """The target that a SCSI id means."""
    return Target(lun.scsi_id, via_plugin=True)


def attached(site: PoolSite, target: Target, *options: AttachOptions) -> Attached:
    """Attach it in a session of its own."""
    with login(site) as connection:
        return attach(connection, target, options[0] if options else AttachOptions())


def refusal(site: PoolSite, target: Target, *options: AttachOptions) -> RelunError:
    """Return the error that it ends in."""
    with pytest.raises(RelunError) as caught:
        attached(site, target, *options)
    assert not caught.value.changed
    assert site.sessions == []
    return caught.value


def test_by_scsi_id(there: Scene) -> None:
    """As lvmohba; with all options; again it changes nothing."""
    site, _original, clone = there
    options = AttachOptions(Options(sr_uuid=NEW_SR, label="{name} of the copy", drop_cbt=True))
    done = attached(site, by_id(clone), options)
    assert done.sr_uuid == NEW_SR
    record = site.snapshot()["SR"][done.reference]
    assert (record["type"], record["uuid"]) == ("lvmohba", NEW_SR)
    assert record["name_label"].endswith(" of the copy")
    assert done.hosts == ("host1", "host2")
    (vdi,) = done.vdis
    assert vdi.uuid == uuid5(NEW_SR, vdi.old_uuid)
    assert done.round_trips == 0
    before, content = site.snapshot(), clone.file.read_bytes()
    again = attached(site, by_id(clone), options)
    assert again.already
    assert again[:6] == done[:6]  # the pool has the original's VDIs, so the old uuids are known
    assert site.snapshot() == before
    assert clone.file.read_bytes() == content


def test_by_address(there: Scene) -> None:
    """Its SCSI id is SM's word; the PBDs get the address, as lvmoiscsi."""
    site, _original, clone = there
    done = attached(site, Target(clone.address, via_plugin=True))
    assert done.scsi_id == clone.scsi_id
    assert site.snapshot()["SR"][done.reference]["type"] == "lvmoiscsi"
    missing = clone.address[: clone.address.rindex("/")] + "/9"
    error = refusal(site, Target(missing, via_plugin=True))
    assert (error.code, error.fields["lun"]) == ("pool-lun-missing", 9)
    nbd = Target("nbd://127.0.0.1/lun", via_plugin=True)
    assert refusal(site, nbd).code == "pool-target"


def test_resigned_before(there: Scene) -> None:
    """An earlier call broke off after the resign: it goes on, and does not take that back."""
    site, _original, clone = there
    site.fail("SR.probe")
    site.fail("host.call_plugin", at=4, times=0)  # the undo
    with pytest.raises(RelunError) as caught:
        attached(site, by_id(clone))
    assert caught.value.changed
    site.mend()
    content = clone.file.read_bytes()
    site.fail("SR.scan")
    assert refusal(site, by_id(clone)).code == "pool-call"
    assert clone.file.read_bytes() == content
    site.mend()
    done = attached(site, by_id(clone))
    assert clone.file.read_bytes() == content
    assert done.vdis[0].old_uuid == ""  # nobody knows it: neither journal nor mark


def test_every_call_that_fails(there: Scene) -> None:
    """Pool and LUN are as they were."""
    site, _original, clone = there
    before = site.snapshot()
    number = 1
    while True:
        ends = []
        for after in (False, True):
            fault = site.fail(at=number + 1, after=after)  # the login is the first
            try:
                ends.append(attached(site, by_id(clone)).already)
            except PoolRefused:
                assert site.snapshot() == before, (number, after)
                assert clone.unchanged(), (number, after)
            finally:
                site.mend()
            assert fault.hits, (number, after)
            if ends:
                break
        if ends:
            break
        number += 1
    assert number > 15


def test_what_is_refused(there: Scene) -> None:
    """The original, a LUN that is not there, a host without the plugin."""
    site, original, clone = there
    assert refusal(site, by_id(original)).code == "pool-original"
    error = refusal(site, Target("36f47acc1000000000000000000000fff", via_plugin=True))
    assert (error.code, error.fields["reason"]) == ("pool-plugin", "device-missing")
    label = AttachOptions(Options(id_map={NEW_SR: NEW_SR.replace("1", "2")}))
    error = refusal(site, by_id(clone), label)
    assert (error.code, error.fields["reason"]) == ("pool-plugin", "map-unused")
    Path(site.master.runner.dom0.plugins / "relun").unlink()
    error = refusal(site, by_id(clone))
    assert (error.code, error.fields["host"]) == ("pool-plugin-missing", "host1")
    assert original.unchanged()
    assert clone.unchanged()
