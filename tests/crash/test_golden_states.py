"""What earlier versions left on a LUN, this one finishes and undoes."""

from pathlib import Path

import pytest

from crash.golden_states import FOLDER, unpack
from crash.recording import SECTOR, copied, devices, differing, same
from relun.core import verbs
from relun.core.journal.marker import RESIGN, parse_marker
from relun.core.repository import DONE, IN_PROGRESS, ORIGINAL

FILES = sorted(file for file in FOLDER.glob("*/*.patch") if file.name.count("-"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_an_interrupted_lun_is_finished_and_undone(file: Path) -> None:
    image, step, _ = file.name.split(".")
    start, end = (
        unpack(image, file.with_name(f"{image}.{name}.patch").read_bytes())
        for name in ("start", "end")
    )
    luns = unpack(image, file.read_bytes())
    wanted = {"journal": ORIGINAL, "undone": ORIGINAL, "done": DONE}
    assert verbs.inspect(devices(luns)).state == wanted.get(step[:-3], IN_PROGRESS)

    recovered = copied(luns)
    verbs.recover(devices(recovered))
    markers = [parse_marker(luns[0].read(number * SECTOR, SECTOR)) for number in range(4)]
    marker = next(filter(None, markers), None)
    if marker is not None:
        forward = marker.direction == RESIGN
        assert same(recovered, end if forward else start), differing(recovered, start)
    else:
        assert same(recovered, luns)
    undone = copied(luns)
    verbs.undo(devices(undone))
    assert same(undone, start), differing(undone, start)


def test_there_are_images_of_every_step() -> None:
    steps = {file.name.split(".")[1][:-3] for file in FILES}
    assert steps == {"journal", "apply", "done", "undo", "undo-clear", "undone"}
    assert len(FILES) > 60
