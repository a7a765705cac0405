"""Carries out the recipes of docs/recipes.md and writes their transcripts and the picture there.

.venv/bin/python scripts/recipes.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from pool import recipes  # noqa: E402
from remote.servers import Tgt  # noqa: E402


def main() -> None:
    """Do it."""
    with Tgt() as tgt, tempfile.TemporaryDirectory() as folder:
        made = recipes.carry_out(Path(folder), tgt, save_picture=True)
    text = recipes.DOCUMENT.read_text(encoding="utf-8")
    recipes.DOCUMENT.write_text(recipes.with_transcripts(text, made), encoding="utf-8")
    print(f"{len(made)} transcripts, {recipes.PICTURE.stat().st_size} bytes of picture")


if __name__ == "__main__":
    main()
