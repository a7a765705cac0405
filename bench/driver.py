"""How long dom0's driver takes from xapi's request to its reply, on CPython 3.6 (dom0's Python).

    python bench/driver.py [rounds]

The process alone is measured: exec to exit, the reply read. ``sr_get_driver_info`` of the same
driver is the peer, so that the host's Python and its modules count for both. Exit code 1 when a bar
is not met.
"""

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src"), str(ROOT / "bench")]

import table  # noqa: E402
import XenAPI  # noqa: E402

from xapi.site import Site  # noqa: E402
from xapi.smapi import request  # noqa: E402

PYTHON = ROOT / ".venv36" / "bin" / "python"
WORLDS = ("flat", "renamed", "package")
INFORMATION = {"command": "sr_get_driver_info", "device_config": {}}
LIMIT = 250  # ms, a request on a LUN file of one VDI
RATIO = 1.5


def measure(world: str, rounds: int) -> list[table.Row]:
    """Return the rows of one world; both things run in turns."""
    resigned, informed = [], []
    with tempfile.TemporaryDirectory() as folder, Site(Path(folder), world, str(PYTHON), 1) as site:
        site.install()
        runner = site.master.runner
        driver = site.master.drivers["relvmoiscsi"].path
        inner = runner.run
        taken = 0.0

        def timed(path: Path, argument: str, modules: str = "") -> object:
            nonlocal taken
            start = time.perf_counter()
            ran = inner(path, argument, modules)
            taken = time.perf_counter() - start
            return ran

        runner.run = timed  # type: ignore[method-assign, assignment]
        session = site.client()
        for number in range(rounds + 1):
            lun = site.lun("single")
            try:
                session.xenapi.SR.create(
                    site.master.reference, lun.config, "0", "", "", "relvmoiscsi", "", True, {}
                )
            except XenAPI.Failure as failure:
                assert failure.details[0] == "SR_BACKEND_FAILURE_1", failure
            resigned.append(taken)
            runner.run(driver, request(INFORMATION))
            informed.append(taken)
            lun.file.unlink()
            if number == 0:  # the first fills caches
                resigned.clear()
                informed.clear()
    ours, peer = table.Times(tuple(resigned)), table.Times(tuple(informed))
    name = f"dom0, {world}: resign, request to reply"
    return [
        table.Row(name, str(ours), bar=LIMIT, value=ours.median * 1000, unit=" ms"),
        table.compare(name, ours, "sr_get_driver_info", peer, RATIO),
    ]


def main() -> int:
    """Measure, print, and say whether every bar is met."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    rows = [row for world in WORLDS for row in measure(world, rounds)]
    print(table.markdown(rows))
    return int(any(row.met is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
