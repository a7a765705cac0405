"""Puts a mistake into the modules that are loaded in this process, without touching a file."""

import importlib
import importlib.abc
import importlib.util
import sys
import types
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path

from mutants.operators import Mutant, mutated

PACKAGE = "relun.core."


def source_of(module: str) -> str:
    """Return the source text of a module of core."""
    return _path(module).read_text(encoding="utf-8")


def alter(mutant: Mutant) -> bool:
    """Change the code of the function in place, wherever it was imported to.

    Return False for what cannot be changed so: code that runs at import.
    """
    found = functions(mutant.module).get(mutant.function)
    if found is None:
        return False
    tree = mutated(source_of(mutant.module), mutant)
    for code in _codes(compile(tree, str(_path(mutant.module)), "exec")):
        if code.co_qualname == mutant.function and code.co_name == found.__code__.co_name:
            found.__code__ = code
            return True
    return False


def functions(module: str) -> dict[str, types.FunctionType]:
    """Return the functions and methods of a loaded module by their qualified name."""
    loaded = importlib.import_module(PACKAGE + module)
    found = {}
    for value in vars(loaded).values():
        members = vars(value).values() if isinstance(value, type) else [value]
        for member in members:
            function = _plain(member)
            if function is not None and function.__module__ == loaded.__name__:
                found[function.__qualname__] = function
    return found


class AtImport(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes the mistake when its module is imported: for code that runs only then."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Claim the one module."""
        if fullname != PACKAGE + self._mutant.module:
            return None
        return importlib.util.spec_from_file_location(
            fullname, _path(self._mutant.module), loader=self
        )

    def exec_module(self, module: types.ModuleType) -> None:
        """Run its changed code."""
        tree = mutated(source_of(self._mutant.module), self._mutant)
        exec(compile(tree, str(_path(self._mutant.module)), "exec"), vars(module))


def _path(module: str) -> Path:
    package = sys.modules.get("relun") or importlib.import_module("relun")
    return Path(str(package.__file__)).parent / "core" / (module.replace(".", "/") + ".py")


def _plain(member: object) -> types.FunctionType | None:
    for name in ("fget", "__func__", "__wrapped__"):
        member = getattr(member, name, None) or member
    return member if isinstance(member, types.FunctionType) else None


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)
