"""SHA-1, from the bare module where CPython has it and from hashlib where not."""

import hashlib
import importlib
import sys
from typing import Any

from relun.core import digest


def test_sha1_is_hashlibs() -> None:
    assert digest.sha1(b"relun").digest() == hashlib.sha1(b"relun").digest()


def test_build_of_cpython_without_the_module(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "_sha1", None)
    try:
        assert importlib.reload(digest).sha1 is hashlib.sha1
    finally:
        monkeypatch.undo()
        importlib.reload(digest)
