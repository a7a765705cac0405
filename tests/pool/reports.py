"""Reports of DR tests for tests of how they are shown: one of each kind of end."""

from relun.core.finding import NOTE, Finding
from relun.pool.dr_report import CleanUp, CloneReport, DrReport, PoolFacts, VmReport
from relun.pool.errors import PoolRefused
from relun.pool.events import Event

HOSTILE = '<script>alert("1")</script>&amp;\'\x1b[31m'


def uuid(number: int) -> str:
    """Return a uuid that a person tells from others."""
    return f"{str(number) * 8}-0000-4000-8000-{number:012}"


CLONE = CloneReport(
    "iscsi://192.0.2.200/iqn.2010-01.com.solidfire:vol.7/0",
    "36f47acc100000000600000000000007",
    uuid(1),
    uuid(2),
    "files (copy)",
    ("host1", "host2"),
    3,
    1.31,
)
UP = VmReport(
    "files",
    "guest agent",
    uuid(3),
    "files (copy of 2026-11-24)",
    uuid(4),
    uuid(2),
    2,
    0.4,
    2.2,
    38.4,
    42.9,
    "192.0.2.17",
    "9.4.1.87",
    (Finding("pool-parts-left-out", NOTE, fields={"vm": "files", "parts": ["VTPM"]}),),
)
NOT_UP = VmReport(
    HOSTILE,
    "TCP port 445",
    uuid(5),
    HOSTILE + " (copy)",
    uuid(6),
    uuid(2),
    1,
    0.3,
    2.0,
    60.1,
    problem=PoolRefused("pool-not-up", vm=HOSTILE, waited="TCP port 445", reason="refused"),
)
STEPS = tuple(
    Event("files (copy)", name, "host1", "done", 0.3)
    for name in ("resign", "SR.probe", "SR.introduce", "PBD.create", "PBD.plug", "SR.scan")
)
PASSED = DrReport(
    "File servers, 4th quarter 2026",
    "0.1.0",
    PoolFacts(
        "https://pool.example.org",
        "production",
        "host1",
        {"product_brand": "XenServer", "product_version": "8.4.0", "xapi": "26.1"},
    ),
    "2026-11-24T03:00:00Z",
    "2026-11-24T03:02:11Z",
    131.2,
    (CLONE,),
    (UP,),
    (
        CleanUp("VM.destroy", "files (copy of 2026-11-24)", 3.1),
        CleanUp("detach", "files (copy)", 2.2),
    ),
    STEPS,
    (),
    (),
    False,
)
FAILED = PASSED._replace(
    title=HOSTILE,
    vms=(UP, NOT_UP),
    clones=(
        CLONE,
        CloneReport(
            "iscsi://192.0.2.201/iqn.2010-01.com.solidfire:vol.8/0",
            problem=PoolRefused("pool-vm-missing", vm=HOSTILE),
        ),
    ),
    clean_up=(
        CleanUp("VM.destroy", HOSTILE, 3.1),
        CleanUp("detach", HOSTILE, 9.0, PoolRefused("pool-call", call="x", reason=HOSTILE)),
    ),
    steps=(*STEPS, Event(HOSTILE, "wait", HOSTILE, "failed", 60.1, HOSTILE)),
    standing=(f"SR {HOSTILE}",),
    kept=(f"VM {HOSTILE}",),
    stopped=True,
)
