"""Power loss in the middle of a resign, on LUNs whose cache had not been flushed.

A relun stands still after each single write or flush, one LUN for each; then the guest is killed.
What the target had not been told to flush is lost, or a random part of it is not. A new guest sees
what is left, and finishes.
"""

import json
from typing import Any

import pytest

from lab.guest import INSIDE
from lab.lab import SR_UUID, Lab
from support import compare, golden

MOMENTS = 17  # device operations of the resign of this image, and one more: it had ended
IMAGE = "single"


def relun_each(lab: Lab, how: str, words: list[str], devices: list[str]) -> list[Any]:
    """Run relun on every device, see inside/stepped.py; returns what each printed as JSON."""
    out = lab.guest.check(lab.stepped(how, *words, "--json", "--", *devices))
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_power_loss_after_every_operation(lab: Lab, seed: int) -> None:
    """With seed 0 all that was not flushed is lost, else a random half of its pages survives."""
    files = [lab.lun_file(IMAGE, "lun{}".format(number)) for number in range(MOMENTS + 1)]
    reference, *cut = files
    lab.target.stop_udev()  # it would look at every LUN after every step
    # Nothing leaves the cache on its own while the moments are prepared.
    lab.guest.check("echo 0 >/proc/sys/vm/dirty_writeback_centisecs")
    first, *devices = lab.target.login_many(lab.target.export_many("moments", files))
    resign = ["resign", "--yes", "--sr-uuid", SR_UUID]
    lab.relun(*resign, first)
    ended = relun_each(lab, "each", resign, devices)
    # One alone was not stopped: all operations before its end had a moment of their own.
    assert [one["outcome"]["action"] for one in ended] == ["resigned"]
    if seed:
        edited = compare.differences(golden.image(IMAGE), str(reference))
        ranges = ",".join("{}-{}".format(start, start + size) for start, size in edited)
        loops = " ".join("/dev/loop{}".format(unit) for unit in range(2, MOMENTS + 2))
        script = "/usr/bin/python3 -I {} {} {} {}"
        lab.guest.check(script.format(INSIDE / "destage.py", seed, ranges, loops))
    lab.power_cycle(udev=False)

    devices = lab.target.login_many(lab.target.export_many("after", cut))
    outcomes = [one["outcome"] for one in relun_each(lab, "whole", ["recover"], devices)]
    states = [
        outcome["action"] if outcome["new_sr"] == SR_UUID else "untouched" for outcome in outcomes
    ]
    untouched = [device for device, state in zip(devices, states) if state == "untouched"]
    relun_each(lab, "whole", resign, untouched)
    lab.target.clear()
    for number, (file, state) in enumerate(zip(cut, states), 1):
        left = compare.differences(str(file), str(reference))
        assert left == [], "after operation {}, then {}: {}".format(number, state, left)
    # All three were met, in this order: before the clone is hidden, hidden, and done.
    order = ["untouched", "recovered", "nothing"]
    assert set(states) == set(order)
    assert states == sorted(states, key=order.index)
