"""What the edits of a plan are called: a person reads it in plan -v, and the journal keeps it."""

import pytest

from relun.core import verbs
from relun.core.options import Options
from support.clone import NEW_SR, resign, sample

LVM = {"PV label", "metadata area header", "VG metadata text", "MGT: SR record", "MGT: VDI record"}
VHD = {"VHD footer", "VHD footer copy", "VHD header", "VHD parent locator"}
JOURNALS = {"clone journal", "leaf journal"}


@pytest.mark.parametrize(
    "name, words",
    [
        ("chain", LVM | VHD),
        ("raw", LVM | {"CBT links"}),
        ("qcow2", LVM | {"QCOW2 backing path"}),
        ("journals", LVM | JOURNALS),
    ],
)
def test_words(name: str, words: "set[str]") -> None:
    """An edit within an LV has the LV's name before it."""
    plan = verbs.plan([sample(name)], Options(sr_uuid=NEW_SR, force_journals=True))
    volumes = {volume.lv.name for volume in plan.repository.volumes}
    found = set()
    for edit in plan.edits:
        before, colon, after = edit.what.partition(": ")
        found.add(after if colon and before in volumes and before != "MGT" else edit.what)
    assert words <= {word.replace("MGT: MGT: ", "MGT: ") for word in found}


def test_wiped() -> None:
    outcome = resign([sample("chain")], drop_snapshots=True)
    assert outcome.plan is not None
    assert any(edit.what.endswith(": dropped volume") for edit in outcome.plan.edits)
