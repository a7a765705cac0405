"""Runs every part of the bench and prints what they print.

    python bench/all.py [--write]

``--write`` also puts the figures into docs/figures.md, and those with a bar into README.md, unless
a part could not run. Needs root; exit code 1 when a bar of any part is not met, 2 when a part could
not run.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = {
    "run": "Against a bare loop, `vgimportclone` and the interpreter",
    "lab_luns": "Over iSCSI in a guest with a kernel of its own",
    "driver": "In dom0, on CPython 3.6",
    "remote_luns": "From user space over iSCSI and NBD",
    "pool_attach": "From an address to an attached SR",
}
BEGIN = "<!-- bench: `make bench` measures this; bench/all.py --write puts it here -->\n"
END = "<!-- /bench -->"
_HEAD = ("| what | figure | against | ratio | bar | met |", "|---|---|---|---|---|---|")


def with_bars(printed: str) -> list[str]:
    """Return the rows of a part's table that have a bar."""
    rows = [line for line in printed.splitlines() if line.startswith("|")]
    return [row for row in rows if re.search(r"\| (yes|\*\*no\*\*) \|$", row)]


def write(printed: dict[str, str]) -> None:
    """Put the figures into docs/figures.md and README.md."""
    parts = [f"## {PARTS[name]}\n\n{text.strip()}\n" for name, text in printed.items()]
    figures = ROOT / "docs" / "figures.md"
    text = figures.read_text(encoding="utf-8")
    figures.write_text(text[: text.index(BEGIN)] + BEGIN + "\n" + "\n".join(parts), "utf-8")
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    rows = [row for part in printed.values() for row in with_bars(part)]
    table = "\n".join([*_HEAD, *rows])
    before, rest = text.split(BEGIN)
    readme.write_text(f"{before}{BEGIN}\n{table}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")


def main() -> int:
    """Run all parts; return the exit code."""
    printed = {}
    status = 0
    for name, title in PARTS.items():
        print(f"\n## {title} (bench/{name}.py)\n", flush=True)
        command = [sys.executable, str(ROOT / "bench" / (name + ".py"))]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout, end="", flush=True)
        printed[name] = done.stdout
        status |= done.returncode != 0
    missing = [name for name, text in printed.items() if "|" not in text]
    if missing:
        print(f"could not run: {', '.join(missing)}; nothing is written", file=sys.stderr)
        return 2
    if "--write" in sys.argv[1:]:
        write(printed)
    return status


if __name__ == "__main__":
    sys.exit(main())
