"""Measures ``relun pool attach``: a stand-in of a pool, a real iSCSI target on loopback.

    python bench/pool_attach.py

Needs root (tgtd). Prints a markdown table: one clone attached to three hosts, and many attached by
one command to one host. relun's own time is that of the whole process without the calls of the
pool: what xapi and SM do there takes them as long as it takes, with relun or without. Exit code 1
when a bar is not met.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from table import Row, Times, markdown  # noqa: E402

from pool.site import PoolLun, PoolSite  # noqa: E402
from remote.servers import Tgt  # noqa: E402
from xapi.server import PASSWORD  # noqa: E402

RELUN = str(ROOT / ".venv/bin/relun")
RUNS = 7
OWN_BAR = 0.3  # seconds
FEW, MANY = 20, 100
FLAT_BAR = 1.5  # the cost of one of many clones as a multiple of that of one of few


def main() -> int:
    """Measure and print; return the exit code."""
    with tempfile.TemporaryDirectory() as folder, Tgt() as tgt:
        rows = [*_one(Path(folder), tgt), *_many(Path(folder), tgt)]
    print(markdown(rows))
    return 0 if all(row.met in (None, True) for row in rows) else 1


def _one(folder: Path, tgt: Tgt) -> list[Row]:
    with closing(_site(folder / "one", tgt, hosts=3)) as site:
        original = site.lun("single")
        site.attach(original)
        own: list[float] = []
        pool: list[float] = []
        result: dict[str, Any] = {}
        for _run in range(RUNS):
            clone = site.clone(original)
            took, (result,) = _attach(site, [clone])
            own.append(took - result["pool_seconds"])
            pool.append(result["pool_seconds"])
            assert not result["already"]
            _relun(site, "detach", result["new_sr"])
    mine = Times(tuple(own))
    calls, trips = result["calls"], result["round_trips"]
    return [
        Row("one clone, 3 hosts: relun's own time", str(mine), "", None, OWN_BAR, mine.median, "s"),
        Row("one clone, 3 hosts: in the pool's calls", f"{Times(tuple(pool))}, {calls} calls"),
        Row("one clone, 3 hosts: round trips to the LUN", f"{trips}"),
    ]


def _many(folder: Path, tgt: Tgt) -> list[Row]:
    with closing(_site(folder / "many", tgt, hosts=1)) as site:
        original = site.lun("single")
        site.attach(original)
        cost: dict[int, float] = {}
        own: dict[int, float] = {}
        for count in (FEW, MANY):
            clones = [site.clone(original) for _number in range(count)]
            took, results = _attach(site, clones)
            assert len(results) == count
            cost[count] = took / count
            mine = [result["seconds"] - result["pool_seconds"] for result in results]
            own[count] = sum(mine) / count
            for result in results:
                _relun(site, "detach", result["new_sr"])
    few, many = (Times((cost[count],)) for count in (FEW, MANY))
    ratio = many.median / few.median
    figure, against = f"{many.median * 1000:.0f} ms each", f"of {FEW}: {few.median * 1000:.0f} ms"
    in_relun = f"{own[MANY] * 1000:.0f} ms each", f"of {FEW}: {own[FEW] * 1000:.0f} ms"
    return [
        Row(f"{MANY} clones, one command", figure, against, ratio, FLAT_BAR),
        Row(f"{MANY} clones: in relun and at the LUN, 8 at once", *in_relun),
    ]


def _attach(site: PoolSite, clones: list[PoolLun]) -> tuple[float, list[dict[str, Any]]]:
    start = time.perf_counter()
    printed = _relun(site, "attach", *(clone.address for clone in clones))
    took = time.perf_counter() - start
    lines = [json.loads(line) for line in printed.splitlines()]
    return took, [line for line in lines if "exit" in line]


def _relun(site: PoolSite, *words: str) -> str:
    environment = {**os.environ, "RELUN_POOL": site.url, "RELUN_POOL_PASSWORD": PASSWORD}
    done = subprocess.run(
        (RELUN, "pool", *words, "--json"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def _site(folder: Path, tgt: Tgt, hosts: int) -> PoolSite:
    folder.mkdir()
    return PoolSite(folder, tgt, hosts)


if __name__ == "__main__":
    sys.exit(main())
