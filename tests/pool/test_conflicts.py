"""Which LUN is the original, which a clone: by the database, by the hosts, by a look from here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pool.dom0 import install_plugin
from pool.originals import login
from pool.site import PoolLun, PoolSite
from relun.core import verbs
from relun.core.options import Options
from relun.pool.attach import attach
from relun.pool.conflicts import LunCopy, PoolConflicts, conflicts
from relun.pool.errors import PoolRefused
from relun.pool.lun import open_lun, target_of

OTHER = "11111111-2222-4333-8444-555555555555"


def look(site: PoolSite, *luns: PoolLun) -> PoolConflicts:
    """Find conflicts, reading these LUNs from here. The database stays as it is."""
    before = site.snapshot()
    with login(site) as connection:
        found = conflicts(connection, [target_of(lun.typed) for lun in luns])
    assert site.snapshot() == before
    assert site.sessions == []
    return found


def by_role(copies: tuple[LunCopy, ...]) -> dict[str, str]:
    """Return role by SCSI id."""
    return {copy.scsi_id: copy.role for copy in copies}


def test_a_clone_read_from_here(pool_site: PoolSite) -> None:
    """The database outweighs all; an original alone is no conflict, nor is a resigned clone."""
    original = pool_site.lun("single")
    sr = pool_site.attach(original, "files")
    clone = pool_site.clone(original)
    found = look(pool_site, original, clone)
    (conflict,) = found.conflicts
    uuid = pool_site.snapshot()["SR"][sr]["uuid"]
    assert (conflict.sr_uuid, conflict.name) == (uuid, "files")
    assert conflict.known == (original.scsi_id,)
    roles = {original.scsi_id: "original", clone.scsi_id: "clone"}
    assert by_role(conflict.copies) == roles
    assert original.scsi_id in conflict.copies[1].reasons[0]
    assert conflict.copies[1].places == (clone.address,)
    assert found.without_plugin == ("host1", "host2", "host3")
    assert found.looked_at == (original.address, clone.address)
    assert look(pool_site, original).conflicts == ()
    assert [c.role for c in look(pool_site, clone).conflicts[0].copies] == ["clone"]
    with login(pool_site) as connection:
        attach(connection, clone.typed)
    assert look(pool_site, original, clone).conflicts == ()


def test_srs_that_the_pool_does_not_know(pool_site: PoolSite) -> None:
    """Then the LUNs themselves must tell: here by the device that LVM's metadata speaks of."""
    first = pool_site.lun("single")
    second = pool_site.clone(first)
    (conflict,) = look(pool_site, first, second).conflicts
    assert (conflict.name, conflict.known) == ("", ())
    assert set(by_role(conflict.copies).values()) == {"unresolved"}
    with open_lun(target_of(first.typed), writable=True) as device:
        hint = "/dev/mapper/" + first.scsi_id
        verbs.resign([device], Options(sr_uuid=OTHER, device_hint=hint))
    third = pool_site.clone(first)
    (conflict,) = look(pool_site, first, second, third).conflicts
    assert conflict.sr_uuid == OTHER
    assert by_role(conflict.copies) == {first.scsi_id: "original", third.scsi_id: "clone"}


def test_pbds_that_differ(pool_site: PoolSite) -> None:
    """The database alone: an SR whose hosts look at different LUNs."""
    original = pool_site.lun("single")
    sr = pool_site.attach(original)
    clone = pool_site.clone(original)
    pbds = pool_site.pool.db.find("PBD", SR=sr, host=pool_site.pool.hosts[2].reference)
    pool_site.pool.db.get("PBD", pbds[0])["device_config"]["SCSIid"] = clone.scsi_id
    (conflict,) = look(pool_site).conflicts
    assert set(conflict.known) == {original.scsi_id, clone.scsi_id}
    reasons = {copy.scsi_id: copy.reasons[0] for copy in conflict.copies}
    assert reasons[original.scsi_id] == "the PBD on host1, host2 names this LUN"
    assert reasons[clone.scsi_id] == "the PBD on host3 names this LUN"


def test_luns_in_progress_and_unreadable(pool_site: PoolSite, tmp_path: Path) -> None:
    """Told apart from conflicts; the others are looked at all the same."""
    original = pool_site.lun("single")
    pool_site.attach(original)
    gone = pool_site.clone(original)
    clone = pool_site.clone(original)
    pool_site.tgt.remove_lun(pool_site._targets[gone.iqn], gone.number)
    hidden = pool_site.clone(original)
    hide(hidden)
    found = look(pool_site, gone, hidden, clone)
    assert by_role(found.in_progress) == {hidden.scsi_id: "in-progress"}
    assert [unread.place for unread in found.unread] == [gone.address]
    assert by_role(found.conflicts[0].copies) == {clone.scsi_id: "clone"}


def hide(lun: PoolLun) -> None:
    """Leave a LUN in progress: all writes fail once the marker stands."""
    from pool.test_attach import interrupt

    interrupt(lun, Options())


def test_by_the_plugin(make_pool_site: Callable[..., PoolSite]) -> None:
    """What the hosts see, each by itself; those without the plugin are named."""
    site = make_pool_site(hosts=3)
    original = site.lun("single")
    site.attach(original)
    clone, hidden = site.clone(original), site.clone(original)
    hide(hidden)
    install_plugin(site.pool.hosts[0], original, hidden)
    install_plugin(site.pool.hosts[1], clone)
    found = look(site)
    assert found.without_plugin == ("host3",)
    assert not found.unread
    (conflict,) = found.conflicts
    assert by_role(conflict.copies) == {clone.scsi_id: "clone"}
    (place,) = conflict.copies[0].places
    assert place.endswith(f"scsi-{clone.scsi_id} on host2")
    assert by_role(found.in_progress) == {hidden.scsi_id: "in-progress"}
    # From here as well: one entry a LUN.
    (conflict,) = look(site, clone).conflicts
    assert len(conflict.copies[0].places) == 2
    roles = {"original": original, "clone": clone}
    (conflict,) = look(site, original, clone).conflicts
    assert by_role(conflict.copies) == {lun.scsi_id: role for role, lun in roles.items()}


def test_a_pool_that_does_not_answer(pool_site: PoolSite) -> None:
    """Told, not taken for a pool without conflicts."""
    with login(pool_site) as connection:
        pool_site.fail("PBD.get_all_records")
        with pytest.raises(PoolRefused) as caught:
            conflicts(connection)
        assert caught.value.code == "pool-call"
        for count in (0, 2):
            steps: list[object] = []
            with pytest.raises(PoolRefused) as caught:
                conflicts(
                    connection,
                    listener=steps.append,
                    cancelled=lambda steps=steps, count=count: len(steps) > count,  # type: ignore[misc]
                )
            assert caught.value.code == "pool-stopped"
        pool_site.fail("host.call_plugin", code=("HOST_OFFLINE", "host1"))
        found = conflicts(connection)
        assert [unread.place for unread in found.unread] == ["host1"]
