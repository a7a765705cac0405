"""A clone beside its original on one host: what LVM says before, during and after a resign."""

import re
from typing import Any

from lab.lab import SR_UUID, Lab
from lab.lvm import node
from support import chain, compare, golden

NEW_VG = "VG_XenStorage-" + SR_UUID
# The writer's place in the original: the end of its first VHD's volume, before the footer.
_WRITER = """
n=0
while [ ! -e /tmp/stop ]; do
  n=$((n + 1))
  head -c 65536 /dev/urandom | dd of={node} bs=65536 seek={seek} conv=notrunc,fsync status=none
  sleep 0.05
done
rm -f /tmp/stop
echo $n
"""


def renamed(facts: Any, outcome: Any) -> dict[str, str]:
    """The guests' hashes by the volume names that they must have after the resign."""
    hashes = {}
    for volume, vdi in facts["vdis"].items():
        prefix, old = volume[:-36], volume[-36:]
        hashes[prefix + outcome["ids"]["vdi"][old]] = vdi["sha256"]
    return hashes


def test_clone_beside_the_original_that_is_in_use(lab: Lab) -> None:
    facts = golden.manifest("chain")
    vg = facts["vg"]["vg_name"]
    files = [lab.lun_file("chain", name) for name in ("original", "clone")]
    _lun, original = lab.attach("original", files[0])
    lab.lvm.activate(vg)
    disk = next(name for name in facts["vdis"] if not facts["vdis"][name]["hidden"])
    size = golden.lv(facts, disk)["size"]
    seek = size // 65536 - 2
    writer = lab.guest.start(_WRITER.format(node=node(vg, disk), seek=seek))

    lun, clone = lab.attach("clone", files[1])
    (conflict,) = lab.relun("conflicts")["conflicts"]
    roles = {copy["device"]: copy["role"] for copy in conflict["copies"]}
    assert roles == {original: "original", clone: "clone"}
    reasons = {copy["device"]: copy["reasons"] for copy in conflict["copies"]}
    assert any("its volumes are active" in reason for reason in reasons[original])

    outcome = lab.resign("--expect-serial", lun.serial, "--original", original, clone)
    assert lab.lvm.warnings() == ""
    assert lab.relun("conflicts")["conflicts"] == []
    assert lab.relun("verify", clone)["differences"] == []
    lab.lvm.activate(NEW_VG)
    active = [row["lv_full_name"] for row in lab.lvm.lvs() if row["lv_active"] == "active"]
    assert len(active) == len(set(active)) == 2 * len(facts["lvs"])
    lab.lvm.deactivate(NEW_VG)
    lab.target.logout(lun)
    (clone,) = lab.target.login(lun)
    assert lab.lvm.warnings() == ""
    assert {row["vg_name"] for row in lab.lvm.pvs()} == {vg, NEW_VG}
    lab.guest.check("touch /tmp/stop")
    assert int(lab.guest.wait(writer).out) > 3
    lab.target.clear()

    (run, *more) = list(golden.lv_runs(facts, disk))
    assert not more
    written = (run[0] + seek * 65536, 65536)
    changed = compare.differences(golden.image("chain"), str(files[0]))
    assert changed
    assert compare.outside(changed, [written]) == []
    assert chain.hashes_of(files[1]) == renamed(facts, outcome)


_STEPS = """
{relun} >/tmp/relun.out 2>&1 &
pid=$!
# What a command says beside its result, but for what was asked for (no zeroing, no backup).
told() {{
  "$@" 2>&1 >/dev/null | grep -v -e ' not zeroed' -e 'NOT backed up'
  echo "${{PIPESTATUS[0]}}"
}}
state() {{
  {{ read -r stat </proc/$pid/stat; }} 2>/dev/null || return 1
  stat=${{stat##*) }} now=${{stat:0:1}}
}}
while state && [ $now != Z ]; do
  [ $now = T ] || {{ sleep 0.01; continue; }}
  echo "step"
  pvs 2>&1 >/dev/null
  echo "lvcreate $(told lvcreate -an -Zn -Wn -n LV-probe -l 1 {vg})"
  echo "lvremove $(told lvremove -f {vg}/LV-probe)"
  kill -CONT $pid
done
wait $pid
code=$?
cat /tmp/relun.out >&2
exit $code
"""


def test_no_step_of_a_resign_makes_the_original_worse(lab: Lab) -> None:
    """The dangerous window is the clone before relun hides it; it is never wider than that."""
    facts = golden.manifest("single")
    vg = facts["vg"]["vg_name"]
    files = [lab.lun_file("single", name) for name in ("original", "clone")]
    lab.attach("original", files[0])
    lab.lvm.activate(vg)
    before = _lasting(lab.lvm.metadata(vg))
    lun, clone = lab.attach("clone", files[1])
    words = ("resign", "--yes", "--sr-uuid", SR_UUID, clone)
    told = lab.guest.check(_STEPS.format(relun=lab.stepped("flush", *words), vg=vg))
    steps = told.split("step\n")[1:]
    assert len(steps) >= 4
    clean = "lvcreate 0\nlvremove 0\n"
    # Until the clone is hidden LVM sees it twice and changes nothing; from then on it is unseen.
    hidden = steps.index(clean)
    assert hidden <= 2
    for step in steps[:hidden]:
        assert "WARNING: Not using device {} for PV".format(clone) in step
        assert "with duplicate PV devices" in step
    assert set(steps[hidden:]) == {clean}
    assert _lasting(lab.lvm.metadata(vg)) == before
    assert lab.lvm.warnings() == ""
    assert lab.relun("verify", clone)["differences"] == []
    lab.target.clear()
    # Not a byte of the original changed outside LVM's own metadata area.
    changed = compare.differences(golden.image("single"), str(files[0]))
    assert compare.outside(changed, [(0, int(facts["pvs"][0]["pe_start"]))]) == []
    # And the clone is what it would have become alone.
    assert compare.differences(str(files[1]), str(lab.reference("single", lun))) == []


def _lasting(metadata: str) -> str:
    """A VG's text without its change number and its times."""
    return re.sub(r"(seqno|creation_time) = \d+|# .*", "", metadata)


def test_views_are_fresh_after_a_resign_without_help(lab: Lab) -> None:
    facts = golden.manifest("single")
    _lun, device = lab.attach("clone", lab.lun_file("single"))
    old = facts["pvs"][0]["pv_uuid"]
    views = (
        "udevadm settle\nudevadm info -q property {0} | sed -n s/^ID_FS_UUID=//p\n"
        "blkid -o value -s UUID {0}\npvs --noheadings -o pv_uuid {0}\n"
        "ls /dev/disk/by-id | sed -n s/^lvm-pv-uuid-//p\n".format(device)
    )
    # All four views know the clone by its old uuid first, so that there is something to go stale.
    assert lab.guest.check(views).split() == [old] * 4
    outcome = lab.resign(device)
    new = outcome["ids"]["lvm"][old.replace("-", "")]
    seen = lab.guest.check(views).split()
    assert [view.replace("-", "") for view in seen] == [new] * 4
    told = lab.guest.check("pvscan 2>&1; vgs --noheadings -o vg_name")
    assert NEW_VG in told
    assert facts["vg"]["vg_name"] not in told


def test_refreshed_clone_gets_the_same_ids(lab: Lab) -> None:
    views = []
    for night in ("first", "second"):
        lun, device = lab.attach(night, lab.lun_file("chain", night))
        outcome = lab.resign(device)
        rows = (lab.lvm.pvs(), lab.lvm.vgs(), lab.lvm.lvs())
        names = ("pv_uuid", "vg_uuid", "vg_name", "lv_uuid", "lv_name")
        views.append((outcome["ids"], [[row.get(n) for n in names] for t in rows for row in t]))
        lab.target.withdraw(lun)
    assert views[0] == views[1]
