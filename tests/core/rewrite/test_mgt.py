"""MGT's records in a resign: what has no id in it stays as it is."""

from typing import Any

import pytest

from support.builder import Record, Sr, Vhd
from support.clone import get_lv, made, resign


@pytest.mark.parametrize("pool", ["", "OpaqueRef:NULL"])
def test_record_of_no_pool_keeps_what_says_so(pool: str, tmpdir: Any) -> None:
    record = Record("disk", metadata_of_pool=pool)
    built, devices = made(Sr((Vhd("disk", record=record),), "pool"), tmpdir)
    element = "<metadata_of_pool>{}</metadata_of_pool>".format(pool).encode("ascii")
    assert element in get_lv(built, devices, "MGT", 2048 + 512, 512)
    resign(devices)
    assert element in get_lv(built, devices, "MGT", 2048 + 512, 512)


def test_pool_is_emptied(tmpdir: Any) -> None:
    """A plugged clone would capture that pool's disaster recovery."""
    record = Record("disk", metadata_of_pool="OpaqueRef:12345678-1234-1234-1234-123456789abc")
    built, devices = made(Sr((Vhd("disk", record=record),), "pool"), tmpdir)
    resign(devices)
    sector = get_lv(built, devices, "MGT", 2048 + 512, 512)
    assert b"<metadata_of_pool></metadata_of_pool>" in sector
