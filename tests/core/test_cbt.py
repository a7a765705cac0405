"""Changed-block logs, held against what cbt-util reports."""

import uuid

from relun.core.cbt import HEADER_SIZE, CbtLog
from support import golden


def log_of(lv_name: str) -> CbtLog:
    """Return the head of a log of the sample."""
    return CbtLog(golden.read_lv("raw", lv_name, 0, HEADER_SIZE))


def test_logs_are_what_cbt_util_reports() -> None:
    logs = golden.manifest("raw")["cbtlogs"]
    assert len(logs) == 2
    for lv_name, facts in logs.items():
        log = log_of(lv_name)
        assert log.parent == uuid.UUID(facts["parent"]).bytes
        assert log.child == uuid.UUID(facts["child"]).bytes
        assert log.consistent == (facts["consistent"] == "1")
        assert log.virtual_size == int(facts["size"])


def test_new_links_change_nothing_else() -> None:
    lv_name = sorted(golden.manifest("raw")["cbtlogs"])[0]
    log = log_of(lv_name)
    parent, child = bytes(range(16)), bytes(range(16, 32))
    changed = log.with_links(parent, child)
    assert (changed.parent, changed.child) == (parent, child)
    assert changed.raw == parent + child + log.raw[32:]


def test_log_that_was_not_closed() -> None:
    log = log_of(sorted(golden.manifest("raw")["cbtlogs"])[0])
    assert not CbtLog(log.raw[:32] + bytes(4) + log.raw[36:]).consistent


def test_size_of_the_head() -> None:
    assert HEADER_SIZE == 48
