"""What is written from the code is current, README's transcripts included."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from relun.cli.parser import VERBS
from support.tools import needs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def docs() -> ModuleType:
    """The generator."""
    spec = importlib.util.spec_from_file_location("docs", ROOT / "scripts" / "docs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["cli", "json_output", "findings"])
def test_references_are_current(docs: ModuleType, name: str) -> None:
    """Run scripts/docs.py when this fails."""
    file = {"cli": "cli.md", "json_output": "json.md", "findings": "findings.md"}[name]
    assert (ROOT / "docs" / file).read_text(encoding="utf-8") == getattr(docs, name)()


@needs("zstd")
def test_readme_is_true(docs: ModuleType) -> None:
    """Every transcript is what the commands print now."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("$ relun ") >= 7
    assert docs.with_transcripts(text) == text


def test_every_verb_is_documented() -> None:
    """In the reference, by its name."""
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert [verb for verb in VERBS if f"## relun {verb}\n" not in text] == []


def test_links_lead_somewhere() -> None:
    """Files that README names are there."""
    import re

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in target]
    assert len(targets) >= 5
    assert [target for target in targets if not (ROOT / target).exists()] == []
