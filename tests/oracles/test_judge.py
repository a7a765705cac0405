"""The judges of a resign tell what is wrong: each is shown one wrong thing."""

import uuid
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from oracles import judge
from support import builder, golden
from support.builder import Cbt, Qcow2, Raw, Sr, Vhd
from support.compare import differences, merged, outside
from support.identity import leftovers, uuids_in
from support.layout import layout
from support.tools import needs

on_files = needs("pvck", "qemu-img", "/usr/bin/python3", "zstd")

ID = "57580e77-d56f-4020-8094-0f19afc05641"
DOUBLED = ID.replace("-", "--")


def patch(path: str, offset: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


@pytest.mark.parametrize(
    "data",
    [
        ID.encode(),
        b"VHD-" + ID.encode() + b".cbtlog",
        DOUBLED.encode(),
        ID.upper().encode(),
        f"-{DOUBLED}".encode("utf-16-be") + bytes(2),
        f"x{ID}".encode("utf-16-be") + bytes(2),
        DOUBLED.encode("utf-16-le"),
        b"\xff" + DOUBLED.encode("utf-16-le"),
    ],
)
def test_a_uuid_is_found_in_every_encoding(data: bytes) -> None:
    assert uuids_in(b"\0" + data) == {ID}


def test_no_uuid_is_found_where_none_is() -> None:
    assert uuids_in(ID.encode()[:-1] + uuid.UUID(ID).bytes + ID.replace("-", "").encode()) == set()


SR = Sr(
    (
        Vhd("base"),
        Vhd("leaf", "base"),
        Raw("raw"),
        Qcow2("q0"),
        Qcow2("q1", "q0"),
        Cbt("leaf", parent="base", child="raw"),
        builder.Journal("leaf", "leaf", payload=("base",)),
    )
)


@on_files
def test_every_id_of_an_untouched_clone_is_told(tmp_path: Path) -> None:
    built = builder.build(SR, tmp_path / "a.img")
    place = layout(built.path)
    ids = judge.ids_of(place, built.paths)
    assert set(built.uuids.values()) | set(built.footers.values()) | {built.sr_uuid} <= ids
    told = leftovers(place, ids)
    assert {found for found in ids if any(found in line for line in told)} == ids
    for words in ("label: ", "text: ", "MGT+", ".cbtlog+", "(raw)", "name: VHD-"):
        assert any(words in line for line in told), words


@on_files
@pytest.mark.parametrize(
    ("key", "offset", "encoding"),
    [
        ("leaf", 68, "raw"),  # footer copy
        ("leaf", -512 + 68, "raw"),  # primary footer
        ("leaf", 512 + 40, "raw"),  # parent identifier
        ("leaf", 512 + 64, "utf-16-be"),  # parent name
        ("leaf", 3072, "ascii"),  # a locator
        ("leaf", 3584, "utf-16-le"),
        ("q1", 400, "ascii"),  # backing name
        ("raw", 4096, "ascii"),
    ],
)
def test_one_old_id_in_a_volume_is_told(
    tmp_path: Path, key: str, offset: int, encoding: str
) -> None:
    built = builder.build(SR, tmp_path / "a.img")
    place = layout(built.path)
    assert leftovers(place, {ID}) == []
    name = built.names[key]
    [part] = place.volumes[name]
    data = uuid.UUID(ID).bytes if encoding == "raw" else DOUBLED.encode(encoding)
    patch(built.path, part.offset + offset % part.length, data)
    [told] = leftovers(place, {ID})
    assert told.startswith(name)


class _Edit(NamedTuple):
    device: int
    offset: int
    new: bytes


class _Fake:
    """An outcome with given edits, none of them real."""

    def __init__(self, *edits: _Edit) -> None:
        self.plan: Any = self
        self.edits = edits
        self.change = self
        self.switch = 0
        self.space = self
        self.region = self
        self.offset, self.size = 1 << 20, 4096


@on_files
def test_a_byte_outside_the_plan_is_told(tmp_path: Path) -> None:
    original, clone = golden.image("single"), golden.copy("single", tmp_path)
    judge.assert_within_plan([original], [clone], _Fake())
    patch(clone, (1 << 20) + 17, b"x")  # in the journal's region
    judge.assert_within_plan([original], [clone], _Fake())
    patch(clone, 300 << 20, b"x")
    judge.assert_within_plan([original], [clone], _Fake(_Edit(0, 300 << 20, b"x")))
    with pytest.raises(AssertionError):
        judge.assert_within_plan([original], [clone], _Fake())


@on_files
@pytest.mark.parametrize("key", ["base", "raw", "q0"])
def test_an_edit_of_guest_data_is_told(tmp_path: Path, key: str) -> None:
    built = builder.build(SR, tmp_path / "a.img")
    [(_, start, size)] = built.lvs[built.names[key]].runs
    inside = {"base": 8192, "raw": 0, "q0": 65536}[key]
    fine = _Edit(0, start + (512 if key != "raw" else size), b"ab")
    judge.assert_within_plan(built.paths, built.paths, _Fake(fine))
    with pytest.raises(AssertionError, match="guest data"):
        judge.assert_within_plan(built.paths, built.paths, _Fake(_Edit(0, start + inside, b"ab")))


def test_differences_are_exact_to_the_byte(tmp_path: Path) -> None:
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    for path in (one, other):
        with open(path, "wb") as file:
            file.truncate(16 << 20)
    assert differences(one, other) == []
    patch(one, 511, b"ab")
    patch(other, (9 << 20) + 7, b"c")
    patch(other, (12 << 20), bytes(4096))  # zeros beside a hole are no difference
    assert differences(one, other) == [(511, 2), ((9 << 20) + 7, 1)]


def test_ranges() -> None:
    assert merged([(10, 5), (0, 4), (15, 1), (2, 3)]) == [(0, 5), (10, 6)]
    assert outside([(0, 10)], [(2, 3), (8, 9)]) == [(0, 2), (5, 3)]
    assert outside([(0, 10)], [(0, 10)]) == []
    assert outside([(5, 2)], [(0, 5), (7, 1)]) == [(5, 2)]


class _Renamed:
    """An outcome with a given map of uuids."""

    def __init__(self, vdi: dict[str, str]) -> None:
        self.plan: Any = self
        self.new_ids: dict[str, dict[str, str]] = {"sr": {}, "vdi": vdi, "image": {}}


@on_files
def test_a_wrong_id_in_mgt_or_log_is_told(tmp_path: Path) -> None:
    original = builder.build(Sr((Vhd("a"), Cbt("a", parent="b"))), tmp_path / "a.img")
    same = _Renamed({})
    judge.assert_renamed(original.paths, original.paths, same)
    for lv, offset in (("MGT", 600), ("MGT", 2048 + 520), ("a.cbtlog", 3)):
        clone = builder.build(original.sr, tmp_path / "b.img")
        name = lv.replace("a.", original.uuids["a"] + ".")
        patch(clone.path, clone.lvs[name].runs[0][1] + offset, b"?")
        with pytest.raises(AssertionError):
            judge.assert_renamed(original.paths, clone.paths, same)
