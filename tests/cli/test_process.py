"""The process as a whole: what it loads, how it ends, what a pipe that closes does to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Each costs a part of the 20 ms that there are.
NOT_FOR_RESIGN = {
    "contextlib",
    "dataclasses",
    "datetime",
    "json",
    "logging",
    "pathlib",
    "random",
    "relun.cli.conflicts",
    "relun.cli.explain",
    "relun.cli.objects",
    "relun.cli.reading",
    "relun.cli.schema",
    "relun.core.catalogue",
    "rich",
    "shlex",
    "shutil",
    "subprocess",
    "tempfile",
    "textwrap",
    "typing",
    "uuid",
}
_LOADED = (
    "import sys; from relun.cli.main import execute; code = execute(sys.argv[1:]); "
    "print(code, *sys.modules, file=sys.stderr)"
)


def run(*words: str, code: str = "") -> subprocess.CompletedProcess[str]:
    """Run relun as a process of its own."""
    start = ["-c", code] if code else ["-m", "relun"]
    return subprocess.run(
        [sys.executable, "-I", *start, *words], capture_output=True, text=True, check=False
    )


def test_a_resign_loads_what_it_needs(lun: str) -> None:
    """Start-up time is part of the product."""
    done = run("resign", lun, "--yes", code=_LOADED)
    ended, *loaded = done.stderr.split()
    assert ended == "0"
    assert "relun.core.verbs" in loaded
    assert NOT_FOR_RESIGN & set(loaded) == set()


@pytest.mark.parametrize(
    ("words", "code"), [(("inspect", "{}"), 0), (("inspect", "/none"), 1), (("inspect",), 2)]
)
def test_exit_code_of_the_process(lun: str, words: tuple[str, ...], code: int) -> None:
    """It is the exit code of the command line, with all of its output."""
    done = run(*(word.format(lun) for word in words))
    assert done.returncode == code
    assert bool(done.stdout) == (code == 0)
    assert bool(done.stderr) == (code != 0)


def test_reader_that_leaves(lun: str) -> None:
    """No traceback, and a resign goes on to its end."""
    for words in (["explain"], ["inspect", lun], ["resign", lun]):
        with subprocess.Popen(
            [sys.executable, "-I", "-m", "relun", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.close()
            assert process.stderr.read() == b""
    assert "resigned by relun" in run("inspect", lun).stdout


def test_console_script(lun: str) -> None:
    """The installed command is this one."""
    done = subprocess.run(
        [str(ROOT / ".venv" / "bin" / "relun"), "inspect", lun], capture_output=True, check=False
    )
    assert done.returncode == 0
    assert "Büro" in done.stdout.decode()
