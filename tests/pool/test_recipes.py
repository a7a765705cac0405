"""docs/recipes.md: what it shows is what the commands do now, and its links lead somewhere.

scripts/recipes.py writes the transcripts.
"""

import re
from pathlib import Path

import pytest

from pool import recipes
from relun.pool.dr_plan import Plan, read_plan
from remote.servers import Tgt

TEXT = recipes.DOCUMENT.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tgt: Tgt) -> dict[str, str]:
    return recipes.carry_out(tmp_path_factory.mktemp("recipes"), tgt)


def test_transcripts_are_true(made: dict[str, str]) -> None:
    shown = recipes.transcripts(TEXT)
    assert list(shown) == list(made)
    for name, text in made.items():
        assert recipes.comparable(shown[name]) == recipes.comparable(text), name


def test_transcripts_show_success(made: dict[str, str]) -> None:
    """A failure would be printed as faithfully."""
    assert ": attached\n" in made["attach"]
    assert ": restored\n" in made["restore"]
    assert "swapped" in made["swap"]
    assert ": detached\n" in made["detach"]
    assert "passed, everything came up" in made["test-dr"]
    assert made["test-dr"].endswith("$ echo $?\n0\n")
    assert "successfully resigned" in made["cloudstack"]
    assert "no SR stands twice" in made["conflicts"]
    whole = "".join(made.values())
    assert "127.0.0." not in whole
    assert "/tmp" not in whole


def test_the_plan_is_one(tmp_path: Path) -> None:
    file = tmp_path / "office.toml"
    file.write_text(recipes.transcripts(TEXT)["plan"], encoding="utf-8")
    plan = read_plan(str(file))
    assert [vm.vm for vm in plan.vms] == ["domain controller", "files"]
    assert (plan.network, plan.remove_vms, plan.detach) == ("isolated", True, True)


def test_all_keys_of_a_plan_are_described() -> None:
    """Each key that a plan may have stands in the table."""
    from relun.pool import dr_plan

    source = Path(dr_plan.__file__).read_text(encoding="utf-8")
    keys = set(re.findall(r'(?:text|flag|number|texts|table|tables)\("(\w+)"', source))
    assert len(keys) > 15
    table = TEXT.partition("### The plan")[2].partition("\n## ")[0]
    described = set(re.findall(r"`\[*(\w+)\]*`", table))
    assert keys - described == set()
    assert {"title", "clones", "vms"} <= set(Plan._fields)


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", TEXT)
    assert len(targets) >= 5
    folder = recipes.DOCUMENT.parent
    assert [target for target in targets if not (folder / target).exists()] == []


def test_the_picture_is_of_a_reasonable_size() -> None:
    assert 20_000 < recipes.PICTURE.stat().st_size < 300_000
    assert recipes.PICTURE.read_bytes().startswith(b"\x89PNG")
