"""Power loss in the middle of a resign, on LUNs whose cache had not been flushed.

A relun stands still after each single write or flush, one LUN for each; then the guest is killed.
What the target had not been told to flush is lost, or a random part of it is not. A new guest sees
what is left, and finishes.
"""

import pytest

from lab.guest import INSIDE, quote
from lab.lab import SR_UUID, Lab
from support import compare

MOMENTS = 17  # device operations of the resign of this image, and one more: it had ended
IMAGE = "single"


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_power_loss_after_every_operation(lab: Lab, seed: int) -> None:
    """Seed 0 loses all that was not flushed; others let a random half of the pages reach the LUN."""
    reference = lab.resigned_alone(IMAGE)
    edited = compare.differences(str(lab.lun_file(IMAGE, "untouched")), str(reference))
    files = [lab.lun_file(IMAGE, "lun{}".format(number)) for number in range(1, MOMENTS + 1)]
    # Nothing leaves the cache on its own while the moments are prepared.
    lab.guest.check("echo 0 >/proc/sys/vm/dirty_writeback_centisecs")
    devices = lab.target.login_many(lab.target.export_many("moments", files))
    words = ("resign", "--yes", "--sr-uuid", SR_UUID)
    for number, device in enumerate(devices, 1):
        lab.guest.check(
            lab.stepped("any", number, *words, device) + " >/tmp/said 2>&1 &\n"
            "pid=$!\n"
            "while read -r stat 2>/dev/null </proc/$pid/stat; do\n"
            "  [[ $stat = *') T '* ]] && exit 0; [[ $stat = *') Z '* ]] && break; sleep 0.01\n"
            "done\nwait $pid || { cat /tmp/said; exit 1; }\n"
        )
    if seed:
        ranges = ",".join("{}-{}".format(start, start + size) for start, size in edited)
        loops = " ".join("/dev/loop{}".format(unit) for unit in range(1, MOMENTS + 1))
        lab.guest.check(
            "/usr/bin/python3 -I {} {} {} {}".format(
                quote(str(INSIDE / "destage.py")), seed, ranges, loops
            )
        )
    lab.power_cycle()

    devices = lab.target.login_many(lab.target.export_many("after", files))
    states = {}
    for number, device in enumerate(devices, 1):
        states[number] = lab.relun("inspect", device)["repository"]["state"]
        outcome = lab.relun("recover", device)["outcome"]
        if outcome["action"] == "nothing" and states[number] == "original":
            lab.resign(device)
    lab.guest.check("sync")
    lab.target.clear()
    for number, file in enumerate(files, 1):
        left = compare.differences(str(file), str(reference))
        assert left == [], "after operation {}, {}: {}".format(number, states[number], left)
    # All three states were met, in this order, and the last resign had ended.
    assert set(states.values()) == {"original", "in-progress", "done"}
    order = ["original", "in-progress", "done"]
    assert list(states.values()) == sorted(states.values(), key=order.index)
