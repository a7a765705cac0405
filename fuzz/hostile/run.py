"""Fuzzes every target for FUZZ_SECONDS each (20), FUZZ_JOBS (2) at a time; prints what was tried.

Inputs worth keeping stay in .cache/fuzz and the next run goes on with them. An input that crashes
a target is kept in fuzz/corpus, where tests/fuzz_regressions runs it from then on.
"""

import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hostile.targets import TARGETS

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache"
CORPUS = ROOT / "fuzz" / "corpus"
SECONDS_PER_INPUT = 10
_DONE = re.compile(r"^Done (\d+) runs in (\d+) second", re.MULTILINE)
_COVERED = re.compile(r"cov: (\d+)")
_LAST_RUN = re.compile(r"^#(\d+)\t", re.MULTILINE)


def fuzz(name: str, seconds: int) -> dict[str, Any]:
    """Fuzz one target; return its figures."""
    grown = CACHE / "fuzz" / name
    found = CORPUS / name
    grown.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds()):
        (grown / f"seed-{number:04}").write_bytes(seed)
    crashes = CACHE / "fuzz-crashes" / name
    crashes.mkdir(parents=True, exist_ok=True)
    before = set(crashes.iterdir())
    command = [sys.executable, "-m", "hostile.one", name, str(grown)]
    command += [str(found)] if found.is_dir() else []
    command += [f"-max_total_time={seconds}", f"-timeout={SECONDS_PER_INPUT}", "-rss_limit_mb=0"]
    if "FUZZ_SEED" in os.environ:  # the same inputs in the same order: a gate must not be a lottery
        command.append(f"-seed={os.environ['FUZZ_SEED']}")
    command += [f"-max_len={TARGETS[name].max_length}", f"-artifact_prefix={crashes}/"]
    done = subprocess.run(
        [*command, "-print_final_stats=1"], cwd=ROOT, env=_environment(), capture_output=True
    )
    log = (done.stdout + done.stderr).decode("utf-8", "replace")
    (CACHE / "fuzz-crashes" / f"{name}.log").write_text(log, encoding="utf-8")
    fresh = sorted(set(crashes.iterdir()) - before)
    for crash in fresh:
        found.mkdir(parents=True, exist_ok=True)
        (found / crash.name).write_bytes(crash.read_bytes())
    runs = _DONE.search(log)
    counted = [int(number) for number in _LAST_RUN.findall(log)]
    covered = [int(number) for number in _COVERED.findall(log)]
    return {
        "executions": int(runs.group(1)) if runs else max(counted, default=0),
        "seconds": seconds,
        "covered": max(covered, default=0),
        "crashes": [crash.name for crash in fresh],
        "failed": done.returncode != 0 or not runs,
        "tail": "" if done.returncode == 0 else log[-3000:],
    }


def _environment() -> dict[str, str]:
    paths = os.pathsep.join(str(ROOT / part) for part in ("src", "tests", "fuzz"))
    return {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "0"}


def main() -> int:
    """Run all targets (or those named); return 1 when one of them failed."""
    seconds = int(os.environ.get("FUZZ_SECONDS", "20"))
    chosen = sys.argv[1:] or list(TARGETS)
    # The whole-LUN targets come first: their start takes longest.
    chosen.sort(key=lambda name: -list(TARGETS).index(name))
    begun = time.monotonic()
    with ThreadPoolExecutor(int(os.environ.get("FUZZ_JOBS", "2"))) as jobs:
        results = dict(zip(chosen, jobs.map(lambda name: fuzz(name, seconds), chosen), strict=True))
    print(f"{'target':12}{'executions':>12}{'seconds':>9}{'edges':>8}  crashes")
    for name, told in results.items():
        print(
            f"{name:12}{told['executions']:>12,}{told['seconds']:>9}{told['covered']:>8}  "
            + (", ".join(told["crashes"]) or ("FAILED" if told["failed"] else "0"))
        )
        if told["tail"]:
            print(told["tail"])
    total = sum(told["executions"] for told in results.values())
    took = round(time.monotonic() - begun)
    print(f"{len(results)} targets, {total:,} executions, {took} s")
    report = CACHE / "results" / "fuzz.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    kept = {
        name: {key: told[key] for key in ("executions", "seconds", "covered", "crashes", "failed")}
        for name, told in results.items()
    }
    report.write_text(json.dumps({"wall_seconds": took, "targets": kept}, indent=1) + "\n")
    return int(any(told["failed"] for told in results.values()))


if __name__ == "__main__":
    sys.exit(main())
