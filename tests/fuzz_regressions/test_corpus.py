"""Every input that ever crashed a fuzz target: none does any more, nor takes time or memory."""

from pathlib import Path

import pytest

from fuzz_regressions.making import within_limits
from hostile.targets import TARGETS

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"
FILES = sorted(path for path in CORPUS.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name[:20]}")
def test_input(path: Path) -> None:
    target = TARGETS[path.parent.name]
    list(target.seeds())  # made before time and memory are counted
    within_limits(target.run, path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    seeds = TARGETS[name].seeds()
    assert seeds
    for seed in seeds:
        TARGETS[name].run(seed)
