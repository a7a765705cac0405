"""core imports the standard library and itself, and nothing that makes relun slow to start."""

import ast
import importlib.util
import os
import subprocess
import sys
import sysconfig
from typing import Iterator, List

import pytest

import relun.core

CORE = os.path.dirname(os.path.abspath(relun.core.__file__))

# What costs milliseconds and is not needed: the whole of relun is to start in tens of them.
SLOW = {
    "argparse",
    "asyncio",
    "dataclasses",
    "datetime",
    "decimal",
    "inspect",
    "json",
    "logging",
    "pathlib",
    "random",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "urllib",
    "uuid",
}


def sources() -> List[str]:
    """Return the paths of core's modules below its folder."""
    found = []
    for folder, _folders, files in os.walk(CORE):
        found += [os.path.join(folder, name) for name in files if name.endswith(".py")]
    return sorted(os.path.relpath(path, CORE) for path in found)


def imported(path: str) -> Iterator[str]:
    """Yield the full names of all that a module imports, wherever in it."""
    with open(os.path.join(CORE, path), encoding="utf-8") as file:
        tree = ast.parse(file.read())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            assert node.module is not None
            yield node.module


def in_standard_library(name: str) -> bool:
    """Tell whether a module comes with Python (as far as this Python has it)."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        return name.startswith("_")  # an accelerator that another Python has
    if spec.origin in (None, "built-in", "frozen"):
        return True
    folder = os.path.dirname(os.path.realpath(str(spec.origin)))
    library = os.path.realpath(sysconfig.get_path("stdlib"))
    return folder.startswith(library) and "site-packages" not in folder


def module_name(path: str) -> str:
    """Return the dotted name of a module of core."""
    parts = path[: -len(".py")].split(os.sep)
    return ".".join(["relun.core"] + [part for part in parts if part != "__init__"])


@pytest.mark.parametrize("path", sources())
def test_standard_library_and_core_only(path: str) -> None:
    for name in imported(path):
        root = name.split(".")[0]
        if root == "relun":
            assert name == "relun.core" or name.startswith("relun.core."), name
        else:
            assert in_standard_library(root), name


def test_importing_all_of_core_loads_nothing_slow() -> None:
    names = [module_name(path) for path in sources()]
    program = (
        "import sys, re, typing; before = set(sys.modules); "
        "import {}; print(*sorted(set(sys.modules) - before))"
    )
    environment = dict(os.environ, PYTHONPATH=os.path.dirname(os.path.dirname(CORE)))
    loaded = subprocess.check_output(
        [sys.executable, "-S", "-c", program.format(", ".join(names))],
        env=environment,
        stdin=subprocess.DEVNULL,
    )
    modules = set(loaded.decode("ascii").split())
    assert set(names) <= modules
    assert not modules & SLOW
