"""Every code has its words, and no words are left over."""

import ast
import os
import re
import string
from typing import Dict, Iterator, Set

import relun
from relun.core.catalogue import ENTRIES

ROOT = os.path.dirname(os.path.abspath(relun.__file__))
RAISED = {"Finding", "FormatError", "DeviceError", "Refused", "Interrupted"}


def sources() -> Iterator[str]:
    """Yield the paths of all modules of core, of the command line and of the remote layer."""
    for layer in ("core", "cli", "remote"):
        for folder, _folders, files in os.walk(os.path.join(ROOT, layer)):
            for name in files:
                if name.endswith(".py"):
                    yield os.path.join(folder, name)


def codes_in(path: str) -> Set[str]:
    """Return the codes that a module raises or finds."""
    with open(path, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    found: Set[str] = set()
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        assigned = assigned_texts(function)
        for node in ast.walk(function):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in RAISED
            ):
                first = node.args[0]
                if isinstance(first, ast.Name):
                    found |= assigned.get(first.id, set())
                else:
                    found |= texts(first)
    return found


def texts(node: ast.AST) -> Set[str]:
    """Return the strings that an expression may become: conditions do not count."""
    kind = type(node).__name__
    if kind == "Str" or kind == "Constant":  # the first on CPython before 3.8
        value = getattr(node, "s" if kind == "Str" else "value")
        return {value} if isinstance(value, str) else set()
    parts = [node.body, node.orelse] if isinstance(node, ast.IfExp) else ast.iter_child_nodes(node)
    return set().union(*map(texts, parts))


def assigned_texts(function: ast.FunctionDef) -> Dict[str, Set[str]]:
    """Return the strings assigned to each name of a function."""
    found: Dict[str, Set[str]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, set()).update(texts(node.value))
    return found


def used() -> Set[str]:
    """Return the codes of all modules."""
    return set().union(*map(codes_in, sources()))


def test_the_search_finds_what_there_is() -> None:
    """The search itself: direct codes, codes by a variable, codes of another module."""
    assert {"vhd-footers", "lun-empty", "sr-gfs2", "mgt-legacy", "device-readonly"} <= used()


def test_every_code_is_explained() -> None:
    """No code is raised without words."""
    assert used() - set(ENTRIES) == set()


def test_no_entry_is_left_over() -> None:
    """No words for a code that is never raised."""
    assert set(ENTRIES) - used() == set()


def test_entries_are_whole() -> None:
    """Title and meaning are there; titles are one line and have well-formed fields."""
    for code, entry in ENTRIES.items():
        assert re.match(r"[a-z0-9]+(-[a-z0-9]+)*\Z", code)
        assert entry.title and entry.meaning.endswith("."), code
        assert not entry.title.endswith("."), code
        assert not entry.remedy or entry.remedy.endswith("."), code
        assert "\n" not in "".join(entry)
        for _text, field, _spec, _conversion in string.Formatter().parse(entry.title):
            assert field is None or field.isidentifier(), code
