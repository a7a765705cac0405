"""What people see, letter by letter."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from cli.conftest import NEW_SR, Relun, terminal
from relun.cli.sizes import count, size
from relun.cli.tree import pad, width
from relun.cli.words import clean, quote
from support import golden
from support.builder import Qcow2, Record, Sr, Vhd, build

CHAIN = """\
LUN    chain.img  4 GiB, image file
SR     bfab6a45-70de-4558-87cb-af66ad1cb4e1 "pool SR chain"
kind   SR on LVM, VG VG_XenStorage-bfab6a45-70de-4558-87cb-af66ad1cb4e1, seqno 63, 1 PV, thick
state  not resigned by relun: an original, or a clone as it was copied

19 images, 8 hidden
  image                         size  on LUN  kind  VDI uuid
  base copy                   40 MiB   8 MiB  vhd   2941e3af-5579-4edf-af44-787124a42e2f  base, hidden
  ├─ last, empty              40 MiB   8 MiB  vhd   391ef7aa-6666-4a47-805c-4a77ab83fef9  snapshot of last, empty
  └─ last, empty              40 MiB  48 MiB  vhd   8e76aa1f-4153-40f1-9e1a-bf067b2dc226
  base copy                   64 MiB  12 MiB  vhd   a50a4f5f-0c08-43ee-9d08-2e2f9d726f9c  base, hidden
  ├─ base copy                64 MiB  12 MiB  vhd   1c42fa3f-de8f-4d30-83dc-750e9218201f  base, hidden
  │  ├─ vm-a disk 0 – é       64 MiB  72 MiB  vhd   8f1a955a-0dcc-42bb-9704-92ae99e25faf
  │  └─ vm-a disk 0 – é       64 MiB  72 MiB  vhd   9549d520-7c79-4d40-8716-be7eae304a3f
  └─ vm-a disk 0 – é          64 MiB   8 MiB  vhd   71241e66-780c-4d4b-afe1-060bd113066f  snapshot of vm-a disk 0 – é
  base copy                   48 MiB  12 MiB  vhd   c79d7973-77bc-4b24-93a5-e1d31cda8831  base, hidden
  ├─ base copy                48 MiB  12 MiB  vhd   eecf5487-5cf9-42ac-9ce9-2a2128a3b1a9  base, hidden
  │  ├─ base copy             48 MiB  12 MiB  vhd   b8aafd5c-02f9-4746-9877-865ed0c49840  base, hidden
  │  │  ├─ base copy          48 MiB  12 MiB  vhd   14b16187-6d5b-4673-8d57-d9902a17b8d0  base, hidden
  │  │  │  ├─ base copy       48 MiB  12 MiB  vhd   6cf4ad04-0ebd-4c4c-97a2-25998dcb840d  base, hidden
  │  │  │  │  ├─ vm-b disk    48 MiB  56 MiB  vhd   bb701ee8-a845-4a3b-831b-d8fc87b2388a
  │  │  │  │  └─ vm-b snap 4  48 MiB   8 MiB  vhd   9797e80e-5321-4c29-aab3-c6951a0e2332  snapshot of vm-b disk
"""  # noqa: E501

SINGLE_PLAN = """\
plan for single.img
  SR   c06b0379-908c-405a-ba3c-60fba66fb2e2 -> 11111111-2222-4333-8444-555555555555
  VDI  57580e77-d56f-4020-8094-0f19afc05641 -> 4c6a3bca-5f8f-5a62-949b-6780dfdb8ef4  Größe: système (racine) №1
  and 1 image uuid, 4 LVM uuids

  what                   edits      bytes
  MGT: SR record             1        512
  MGT: VDI record            1        512
  PV label                   1        512
  VG metadata text           1       1536
  VHD footer                 1        512
  VHD footer copy            1        512
  metadata area header       1        512
  in all                     7       4608
"""  # noqa: E501


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Work in a folder of its own, so that paths are short."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_inspect_a_real_chain(relun: Relun, here: Path) -> None:
    """One look tells what is on the LUN."""
    (here / "chain.img").symlink_to(golden.image("chain"))
    run = relun("inspect", "chain.img")
    assert run.out.startswith(CHAIN)
    assert "other volumes\n  MGT  4 MiB  mgt\n" in run.out
    assert "is a snapshot of OpaqueRef:NULL, which is not here" in run.out


def test_plan_of_a_real_lun(relun: Relun, here: Path) -> None:
    """Old and new ids, and what is written by kind."""
    (here / "single.img").symlink_to(golden.image("single"))
    run = relun("plan", "single.img", "--sr-uuid", NEW_SR)
    assert run.out.startswith(SINGLE_PLAN)
    assert run.out.endswith("\n\nNothing was written.\n")


def test_long_lists_are_cut(relun: Relun, here: Path) -> None:
    """300 VDIs are counted, and all listed with -v."""
    (here / "many.img").symlink_to(golden.image("many"))
    run = relun("plan", "many.img")
    assert run.out.count("  VDI  ") == 20
    assert "and 280 VDIs more" in run.out
    assert relun("plan", "many.img", "-v").out.count("  VDI  ") == 300


def test_inspect_other_images(relun: Relun, here: Path) -> None:
    """Marks of images that are not as usual; names that would play with the terminal."""
    disks = (
        Vhd("a", prefix="VHD-OLD_", record=Record("a", name="\x1b[31mred")),
        Vhd("b", parent="a", in_mgt=False),
        Qcow2("c", hidden=True, record=Record("c", name="")),
        Vhd("d", record=Record("d", name="")),
        Vhd("e", footers="dead-both"),
    )
    build(Sr(disks, name=""), here / "lun.img")
    run = relun("inspect", "lun.img")
    assert "to be deleted" in run.out
    assert "└─ (no record)" in run.out
    assert "(no name)" in run.out
    assert "base copy" in run.out
    assert "damaged, vhd-footers" in run.out
    assert "\x1b" not in run.out


def test_inspect_what_is_no_sr(relun: Relun, here: Path) -> None:
    """It is not called an original."""
    (here / "text").write_bytes(b"text" * 1024)
    run = relun("inspect", "text")
    assert "kind   something else" in run.out
    assert "state " not in run.out


def test_ascii_terminal(relun: Relun, lun: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without UTF-8 the tree is drawn in ASCII."""
    monkeypatch.setattr("relun.cli.text._unicode", lambda: False)
    assert "|- before" in relun("inspect", lun).out


def test_a_ring_of_parents(relun: Relun, here: Path) -> None:
    """Images that hang below nothing are listed as well."""
    disks = (Vhd("a", parent="b"), Vhd("b", parent="a"))
    built = build(Sr(disks), here / "lun.img")
    run = relun("inspect", "lun.img")
    assert all(uuid in run.out for uuid in built.uuids.values())
    assert "parent-cycle" in run.out


def test_a_chain_deeper_than_any(relun: Relun, here: Path) -> None:
    """Its indentation does not grow for ever: all lines together would take its square."""
    disks = [Vhd(str(n), parent=str(n - 1) if n else "", data=()) for n in range(90)]
    build(Sr(tuple(disks), extent_size=1 << 16), here / "lun.img")
    lines = relun("inspect", "lun.img").out.splitlines()
    drawn = [line for line in lines if "└─ " in line]
    assert len(drawn) == 89
    assert max(len(line) for line in lines) < 240
    assert [line.split("└")[0].strip() for line in drawn[38:42]] == ["", "", "(41)", "(42)"]


def test_colours_on_a_terminal(relun: Relun, lun: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """rich is used on a terminal, and says the same words; without it there are no colours."""
    plain = relun("inspect", lun).out
    terminal(monkeypatch, "stdout")
    monkeypatch.setenv("TERM", "xterm")
    shown = relun("inspect", lun).out
    assert "\x1b[1m" in shown
    assert re.sub(r"\x1b\[[0-9;]*m", "", shown).split() == plain.split()
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert relun("inspect", lun).out == plain


def test_progress_on_a_terminal(
    relun: Relun, lun: str, bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several targets the one at work is told, and taken away again."""
    terminal(monkeypatch, "stderr")
    run = relun("inspect", lun, bad)
    assert f"[1/2] {lun}" in run.err and f"[2/2] {bad}" in run.err
    assert "[1/2]" not in relun("inspect", lun).err


def test_output_that_nobody_reads(
    relun: Relun, lun: str, bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work goes on."""

    def gone(*_arguments: object, **_more: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", sys.stdout)  # so that undo brings it back
    monkeypatch.setattr("builtins.print", gone)
    assert relun("resign", bad, lun).code == 1
    monkeypatch.undo()
    assert "resigned by relun" in relun("inspect", lun).out


@pytest.mark.parametrize(
    ("bytes_", "words"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (264 << 20, "264 MiB"),
        (1 << 40, "1 TiB"),
        (3 << 70, "3145728 PiB"),
    ],
)
def test_sizes(bytes_: int, words: str) -> None:
    """The largest unit that leaves at least one whole."""
    assert size(bytes_) == words


def test_words() -> None:
    """Small helpers of the text."""
    assert (count(1, "PV"), count(0, "PV")) == ("1 PV", "0 PVs")
    assert clean("a\x1b[b\n") == "a\\x1b[b\\n"
    assert quote("/dev/sdb") == "/dev/sdb"
    assert quote("my lun's") == "'my lun'\\''s'"
    assert quote("") == "''"
    assert (width("ab"), width("東京"), width("e\u0301")) == (2, 4, 1)
    assert pad("東", 4) == "東  "
