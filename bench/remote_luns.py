"""Measures relun on remote LUNs: real servers on loopback, and a proxy that adds latency.

    python bench/remote_luns.py

Needs root (tgtd). Prints a markdown table of the time of one whole ``relun resign`` command from
its address to the resigned LUN, of the round trips in it and of the requests. Exit code 1 when a
bar is not met: 300 ms for a single disk, 1.5 s for 300 disks over 1 ms.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from relun.core import verbs  # noqa: E402
from relun.core.options import Options  # noqa: E402
from relun.remote.blocks import RemoteDevice  # noqa: E402
from relun.remote.login import Login  # noqa: E402
from relun.remote.opening import open_remote  # noqa: E402
from remote.proxy import Proxy  # noqa: E402
from remote.servers import HOST, Nbdkit, Tgt  # noqa: E402
from support import builder, golden  # noqa: E402

RELUN = str(ROOT / ".venv/bin/relun")
RUNS = 5
LATENCY = 0.001  # seconds, there and back
SINGLE_BAR, MANY_BAR = 0.3, 1.5
OURS = Login(initiator="iqn.2003-01.local.relun:bench")


def seconds(address: str) -> float:
    """Return the median time of a resign by the command; each is taken back."""
    times = []
    for _run in range(RUNS):
        start = time.perf_counter()
        _relun("resign", address, "--yes")
        times.append(time.perf_counter() - start)
        _relun("undo", address, "--yes")
    return statistics.median(times)


def trips(address: str) -> tuple[int, int]:
    """Return round trips and requests of a resign, login included."""
    device = open_remote(address, OURS, writable=True)
    assert isinstance(device, RemoteDevice)
    with device:
        verbs.resign([device], Options())
        counted = device.wire.round_trips, device.wire.requests
        verbs.undo([device])
    return counted


def main() -> int:
    """Measure and print; return the exit code."""
    print("| LUN | way | latency | time | round trips | requests |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        many = builder.build(builder.Sr(builder.fleet(300)), os.path.join(folder, "many.img"))
        images = {"single": golden.copy("single", folder), "300 disks": many.path}
        for name, image in images.items():
            with Tgt() as tgt, Nbdkit("file", image) as nbd:
                tgt.lun(tgt.target("lun"), image)
                for latency in (0.0, LATENCY):
                    with (
                        Proxy(tgt.port, latency / 2) as iscsi,
                        Proxy(nbd.port, latency / 2) as over,
                    ):
                        ways = {
                            "iSCSI": tgt.address("lun", port=iscsi.port if latency else 0),
                            "NBD": f"nbd://{HOST}:{over.port if latency else nbd.port}",
                        }
                        for way, address in ways.items():
                            took = seconds(address)
                            waits, requests = trips(address)
                            shown = f"{latency * 1000:g} ms | {took * 1000:.0f} ms"
                            print(f"| {name} | {way} | {shown} | {waits} | {requests} |")
                            missed = missed or (
                                took > (MANY_BAR if latency else SINGLE_BAR)
                                and (name == "single" or latency > 0)
                            )
    return 1 if missed else 0


def _relun(*words: str) -> None:
    command = (RELUN, *words, "--json")
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    sys.exit(main())
