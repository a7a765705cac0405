"""Writes docs/cli.md, docs/json.md and docs/findings.md from the code, and README's transcripts.

    .venv/bin/python scripts/docs.py           write them
    .venv/bin/python scripts/docs.py --check   exit 1 when one of them is not current

Every ```console block of README.md is run as it stands, in a folder with a real LUN image called
original.img; the lines after each `$ command` are what it printed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from relun.cli.exits import MEANINGS  # noqa: E402
from relun.cli.explain import title  # noqa: E402
from relun.cli.parser import DESCRIPTION, VERBS  # noqa: E402
from relun.cli.pool import parser as pool  # noqa: E402
from relun.cli.pool import schema as pool_schema  # noqa: E402
from relun.cli.schema import OBJECTS, OPTIONAL, SCHEMA  # noqa: E402
from relun.cli.words import entries  # noqa: E402
from support import golden  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from relun.cli.parser import Argument

_ALL_OBJECTS = {**OBJECTS, **pool_schema.OBJECTS}
_ALL_OPTIONAL = {**OPTIONAL, **pool_schema.OPTIONAL}
_GENERATED = "<!-- Written by scripts/docs.py from the code. -->"
_BLOCK = re.compile(r"(?<=```console\n)(.*?)(?=```)", re.DOTALL)


def main() -> int:
    """Write or check all files; return the exit code."""
    check = "--check" in sys.argv[1:]
    stale = []
    for path, text in generated().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path)
            if not check:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
    for path in stale:
        print(f"{path.relative_to(ROOT)}: {'not current' if check else 'written'}")
    return 1 if check and stale else 0


def generated() -> dict[Path, str]:
    """Return all generated files with their text."""
    readme = ROOT / "README.md"
    return {
        ROOT / "docs" / "cli.md": cli(),
        ROOT / "docs" / "json.md": json_output(),
        ROOT / "docs" / "findings.md": findings(),
        readme: with_transcripts(readme.read_text(encoding="utf-8")),
    }


def cli() -> str:
    """Return the reference of the command line."""
    parts = ["# Command line", _GENERATED, DESCRIPTION]
    for verb, (summary, description, arguments) in VERBS.items():
        parts.append(f"## relun {verb}\n\n{summary[0].upper()}{summary[1:]}. {description}")
        parts.append(f"    relun {verb} {_usage(arguments)}")
        parts.append("\n".join(_described(argument) for argument in arguments))
    parts.append(
        f"## relun pool\n\n{pool.DESCRIPTION} [pool.md](pool.md) shows how. All of its verbs take:"
    )
    parts.append("\n".join(_described(argument) for argument in pool.CONNECTION))
    for verb, summary in pool.VERBS.items():
        module = pool.module_of(verb)
        parts.append(
            f"## relun pool {verb}\n\n{summary[0].upper()}{summary[1:]}. {module.DESCRIPTION}"
        )
        parts.append(f"    relun pool {verb} {_usage(module.ARGUMENTS)}")
        parts.append("\n".join(_described(argument) for argument in module.ARGUMENTS))
    codes = "\n".join(f"| {int(code)} | {meaning} |" for code, meaning in MEANINGS.items())
    parts.append("## Exit codes\n\n| code | meaning |\n| --- | --- |\n" + codes)
    parts.append(
        "With several targets an error of one does not stop the others. The exit code is that of "
        "the worst: 3 before 1 before 4 before 0."
    )
    parts.append(
        "## Signals\n\nSIGINT, SIGTERM and SIGHUP never leave a LUN half-changed. Before the LUN "
        "is hidden, a resign is taken back and ends with code 1; from then on it is finished "
        "first, and the output says that the signal came. What was not begun is left alone. "
        "`relun pool` ends the step that runs and takes back what it had done."
    )
    parts.append(
        "## Text and JSON\n\n`--json` prints one object per SR and line; [json.md](json.md) lists "
        "the keys. resign, recover, undo and seal of several SRs print JSON as well when standard "
        "output is no terminal; `--text` keeps them from it. Results go to standard output, errors "
        "in words to standard error. Colours need the package `rich` and a terminal."
    )
    parts.append(
        "## SRs with several PVs\n\nGive the LUNs of all PVs in one command, in any order: LUNs "
        "whose metadata names one VG with several PVs are treated as one SR, other targets as an "
        "SR each. Give each copy of such an SR a command of its own."
    )
    return "\n\n".join(parts) + "\n"


def json_output() -> str:
    """Return the description of the JSON output."""
    parts = [
        "# JSON output",
        _GENERATED,
        f"Every line is one object of schema `{SCHEMA}`: a [report](#report) per SR; "
        "[conflicts](#conflicts) and [explanation](#explanation) for these two verbs. Keys may be "
        "added without notice; when one changes its meaning, the number of the schema changes. "
        "Sizes and offsets are bytes. `[type]` is a list, `type?` may be null, *optional* keys may "
        "be absent.",
        "`relun pool` prints an [event](#event) when a step begins and one when it ends, then its "
        "results: [attached](#attached), [detached](#detached), [pool-conflicts](#pool-conflicts), "
        "[restored](#restored), [dr-test](#dr-test), or a [pool-failure](#pool-failure). Events "
        "have the key `event`, results the key `exit`.",
    ]
    for name, keys in _ALL_OBJECTS.items():
        rows = []
        for key, (kind, meaning) in keys.items():
            optional = "*optional* " if key in _ALL_OPTIONAL.get(name, ()) else ""
            rows.append(f"| `{key}` | {optional}{_linked(kind)} | {meaning} |")
        table = "| key | type | meaning |\n| --- | --- | --- |\n" + "\n".join(rows)
        parts.append(f"## {name}\n\n{table}")
    return "\n\n".join(parts) + "\n"


def findings() -> str:
    """Return the list of all codes."""
    parts = [
        "# Findings and errors",
        _GENERATED,
        "Every finding and every error has a code; `relun explain CODE` prints these words.",
    ]
    for code, entry in entries().items():
        shown = f"## {code}\n\n{_escaped(title(code))}\n\n{entry.meaning}"
        parts.append(shown + (f"\n\n**What to do:** {entry.remedy}" if entry.remedy else ""))
    return "\n\n".join(parts) + "\n"


def with_transcripts(text: str) -> str:
    """Return a text with its console blocks run anew, one after the other in one folder."""
    with tempfile.TemporaryDirectory() as folder:
        golden.copy("raw", folder, "original.img")
        return _BLOCK.sub(lambda block: _run(block.group(), folder), text)


def _run(block: str, folder: str) -> str:
    shown = []
    path = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8", "COLUMNS": "100"}
    for line in block.splitlines():
        if not line.startswith("$ "):
            continue
        done = subprocess.run(
            ["bash", "-c", line[2:]],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        shown.append(line + "\n" + done.stdout.decode())
    return "".join(shown)


def _usage(arguments: tuple[Argument, ...]) -> str:
    options = [
        _shape(argument) if argument[1].get("required") else f"[{_shape(argument)}]"
        for argument in arguments
        if argument[0][0].startswith("-")
    ]
    places = [_shape(argument) for argument in arguments if not argument[0][0].startswith("-")]
    return " ".join(places + options)


def _shape(argument: Argument) -> str:
    names, how = argument
    value = str(how.get("metavar", ""))
    if names[0].startswith("-"):
        return f"{names[-1]} {value}".strip()
    return {"+": f"{value}...", "*": f"[{value}...]"}.get(how.get("nargs", ""), value)


def _described(argument: Argument) -> str:
    names, how = argument
    value = f" {how['metavar']}" if "metavar" in how and names[0].startswith("-") else ""
    shown = ", ".join(f"`{name}{value}`" for name in names if name.startswith("-"))
    return f"* {shown or '`' + how['metavar'] + '`'}: {how['help']}"


def _linked(kind: str) -> str:
    name = kind.strip("[]?")
    return kind.replace(name, f"[{name}](#{name})") if name in _ALL_OBJECTS else kind


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace(">", "&gt;")


if __name__ == "__main__":
    sys.exit(main())
