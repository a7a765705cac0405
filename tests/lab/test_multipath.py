"""A clone over two portals: the map is the target, and paths come and go under a resign."""

from lab.guest import relun_command
from lab.lab import SR_UUID, Lab
from lab.target import PORTALS
from support import chain, compare, golden

# Runs relun; when it has written so many sectors to the map, its paths go offline. Prints the map's
# written sectors at that moment.
_DURING = """
{relun} >/tmp/relun.out 2>&1 &
pid=$!
until read -r -a stat <{stat}; [ $((stat[6] - {before})) -ge {sectors} ]; do
  [ -e /proc/$pid ] || break
  read -r -t 0.002 nothing <>/tmp/never
done
for disk in {disks}; do echo offline >/sys/block/$disk/device/state; done
echo lost
wait $pid
code=$?
cat /tmp/relun.out
exit $code
"""


def _resign_with_loss(lab: Lab, device: str, lost: list[str], sectors: int) -> tuple[int, str]:
    name = lab.guest.check("basename $(readlink -f {})".format(device)).strip()
    stat = "/sys/block/{}/stat".format(name)
    before = lab.guest.check("cat " + stat).split()[6]
    words = ("resign", "--yes", "--sr-uuid", SR_UUID, device)
    result = lab.guest.run(
        "[ -e /tmp/never ] || mkfifo /tmp/never\n"
        + _DURING.format(
            relun=relun_command(words),
            stat=stat,
            before=before,
            sectors=sectors,
            disks=" ".join(path.rsplit("/", 1)[-1] for path in lost),
        )
    )
    return result.code, result.words


def test_resign_through_a_map(lab: Lab) -> None:
    facts = golden.manifest("chain")
    file = lab.lun_file("chain")
    lab.multipath.start()
    lun = lab.target.export("clone", file)
    paths = lab.target.login(lun, PORTALS)
    device = lab.multipath.map(lun)
    for path in paths:
        assert device in lab.refused("resign", "--yes", path)

    # One path is lost in the middle: dm sends the rest over the other one.
    code, words = _resign_with_loss(lab, device, paths[:1], 60)
    assert code == 0, words
    assert list(lab.multipath.states(lun).values()).count("failed") == 1
    lab.target.set_state(paths[0], "running")
    lab.multipath.map(lun, paths=2)
    assert lab.lvm.warnings() == ""
    assert [row["pv_name"] for row in lab.lvm.pvs()] == [device]
    assert lab.relun("verify", device)["differences"] == []
    lab.target.clear()
    hashes = {vdi["sha256"] for vdi in facts["vdis"].values()}
    assert set(chain.hashes_of(file).values()) == hashes


def test_all_paths_are_lost_in_the_middle_and_return(lab: Lab) -> None:
    file = lab.lun_file("chain")
    lab.multipath.start()
    lun = lab.target.export("clone", file)
    paths = lab.target.login(lun, PORTALS)
    device = lab.multipath.map(lun)
    code, words = _resign_with_loss(lab, device, paths, 60)
    assert code == 3, words
    assert "relun recover" in words
    for path in paths:
        lab.target.set_state(path, "running")
    lab.multipath.map(lun, paths=2)
    # Between the two LVM sees no PV at all, so nothing that could be taken for the original.
    assert lab.lvm.pvs() == []
    assert lab.relun("recover", device)["outcome"]["action"] == "recovered"
    assert lab.lvm.warnings() == ""
    assert lab.relun("verify", device)["differences"] == []
    lab.target.clear()
    assert compare.differences(str(file), str(lab.reference("chain", lun))) == []
