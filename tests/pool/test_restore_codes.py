"""Every code of the pool's that the source names has words, and every word has a code."""

import re
from pathlib import Path

from relun.pool.catalogue import ENTRIES

SOURCE = Path(__file__).resolve().parents[2] / "src" / "relun"


def test_codes_and_words() -> None:
    named: set[str] = set()
    for file in SOURCE.rglob("*.py"):
        if not file.name.startswith(("catalogue", "schema")):
            named |= set(re.findall(r'"(pool-[a-z-]+)"', file.read_text(encoding="utf-8")))
    assert len(named) > 30
    assert named == set(ENTRIES)


def test_words_are_complete() -> None:
    for code, entry in ENTRIES.items():
        assert code.startswith("pool-")
        assert entry.title, code
        assert entry.meaning, code
        assert "{" not in entry.remedy, code  # shown as it stands, without an error's fields
        assert "{" not in entry.meaning, code
