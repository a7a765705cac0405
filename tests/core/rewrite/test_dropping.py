"""What still stands for a VDI when some of its volumes go."""

from typing import Any, Set

from relun.core import verbs
from relun.core.rewrite.dropping import dropped_vdis
from support.builder import Cbt, Journal, Sr, Vhd
from support.clone import made

VOLUMES = (
    Vhd("disk"),
    Vhd("logged"),
    Cbt("logged"),
    Vhd("busy"),
    Journal("coalesce", "busy"),
)


def test_a_log_stands_for_its_vdi_and_a_journal_does_not(tmpdir: Any) -> None:
    built, devices = made(Sr(VOLUMES, "dropping"), tmpdir)
    repository = verbs.inspect(devices)
    log = built.uuids["logged"] + ".cbtlog"

    def gone(*lvs: str) -> Set[str]:
        return dropped_vdis(repository, set(lvs))

    assert gone() == set()
    assert gone(built.names["disk"]) == {built.uuids["disk"]}
    assert gone(built.names["logged"]) == set()
    assert gone(log) == set()
    assert gone(built.names["logged"], log) == {built.uuids["logged"]}
    assert gone(built.names["busy"]) == {built.uuids["busy"]}
