"""Formats: what is parsed comes back byte for byte, and a changed field changes nothing else."""

import hashlib
import struct
import zlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hostile import repair
from properties.count import tried
from relun.core.edit import Change, Edit
from relun.core.errors import FormatError
from relun.core.journal import marker, pages, payload
from relun.core.lvm2.text import parse_text, quote, unquote
from relun.core.mgt import Record, parse_mgt
from relun.core.vhd import Footer, parse_header

SECTOR = 512
UUIDS = st.uuids().map(str)
LVM_IDS = st.from_regex(r"[0-9a-zA-Z]{32}", fullmatch=True)

_WORDS = st.from_regex(r"[A-Za-z0-9_.+-]{1,12}", fullmatch=True)
_STRINGS = st.text(st.characters(max_codepoint=255, exclude_characters="\0"), max_size=20)
_GAPS = st.sampled_from([" ", "\n", "\t", '\n\t# a "comment" with { } = \' \n', " # \\ \n"])


@st.composite
def sections(draw: Any, depth: int = 2) -> tuple[str, dict[str, Any]]:
    """Return a text of items, and what it says: values, arrays and sections by name."""
    parts, told = [], {}
    for name in draw(st.lists(_WORDS, unique=True, max_size=5)):
        gaps = [draw(_GAPS) for _ in range(4)]
        kind = draw(st.sampled_from("nsa{" if depth else "nsa"))
        if kind == "n":
            number = str(draw(st.integers(0, 1 << 63)))
            parts.append(f"{name}{gaps[0]}={gaps[1]}{number}\n")
            told[name] = (number,)
        elif kind == "s":
            value = draw(_STRINGS)
            parts.append(f"{name}={gaps[1]}{quote(value).decode('latin-1')}{gaps[2]}")
            told[name] = (value,)
        elif kind == "a":
            values = tuple(draw(st.lists(_STRINGS, max_size=4)))
            inner = f",{gaps[2]}".join(quote(value).decode("latin-1") for value in values)
            parts.append(f"{name} ={gaps[0]}[{gaps[1]}{inner}{gaps[3]}]\n")
            told[name] = values
        else:
            inner, told[name] = draw(sections(depth=depth - 1))
            parts.append(f"{name}{gaps[0]}{{{gaps[1]}{inner}{gaps[2]}}}\n")
    return "".join(parts), told


def _told(section: Any) -> dict[str, Any]:
    return {
        **{name: value.texts for name, value in section.values.items()},
        **{name: _told(inner) for name, inner in section.sections.items()},
    }


@given(sections(), st.data())
def test_text(made: tuple[str, dict[str, Any]], data: st.DataObject) -> None:
    text, told = made
    raw = text.encode("latin-1") + b"\n\0"
    parsed = parse_text(raw)
    assert parsed.render({}) == raw
    assert _told(parsed.root) == told
    values = list(parsed.root.values.items())
    if values:
        name, value = data.draw(st.sampled_from(values))
        if value.tokens:
            new = data.draw(_STRINGS)
            again = parse_text(parsed.render({value.tokens[0]: quote(new)}))
            changed = {**told, name: (new, *told[name][1:])}
            assert _told(again.root) == changed
    tried("format: text")


@given(_STRINGS)
def test_quoting(value: str) -> None:
    assert unquote(quote(value)).decode("latin-1") == value
    tried("format: quoting")


_NAME = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)


@given(st.lists(st.tuples(UUIDS, UUIDS, _NAME), max_size=4), UUIDS, UUIDS, _NAME)
def test_mgt(vdis: list[tuple[str, str, str]], sr: str, new: str, label: str) -> None:
    sectors = [b"XSSM:%-10d:1:2" % (2048 + 1024 * len(vdis))]
    sectors.append(b"<uuid>%s</uuid><allocation>thin</allocation>" % sr.encode())
    sectors += [b"<name_label>SR</name_label>", b"<name_description></name_description>"]
    for uuid, origin, name in vdis:
        escaped = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        sectors.append(b"<vdi><name_label>%s</name_label>" % escaped.encode())
        second = "<uuid>{}</uuid><snapshot_of>{}</snapshot_of></vdi>".format(uuid, origin)
        sectors.append(second.encode())
    raw = b"".join(sector.ljust(SECTOR) for sector in sectors)
    mgt = parse_mgt(raw)
    assert mgt.head + b"".join(record.raw for record in mgt.records) == raw
    assert mgt.sr_uuid == sr
    assert mgt.with_sr_uuid(new) == mgt.head.replace(sr.encode(), new.encode())
    assert [record.uuid for record in mgt.records] == [vdi[0] for vdi in vdis]
    for record, (uuid, origin, name) in zip(mgt.records, vdis, strict=True):
        assert record.name == name
        changed = record.replaced(uuid=new, snapshot_of=sr)
        assert (changed.uuid, changed.elements["snapshot_of"]) == (new, sr)
        assert changed.replaced(uuid=uuid, snapshot_of=origin) == record
        _check_renamed(record, label)
    tried("format: MGT")


def _check_renamed(record: Record, label: str) -> None:
    renamed = record.renamed(label)
    if renamed is not None:
        assert renamed.name == label
        assert renamed.raw[SECTOR:] == record.raw[SECTOR:]
        assert len(renamed.raw) == len(record.raw)


@given(st.binary(min_size=504, max_size=504), st.binary(min_size=16, max_size=16))
def test_vhd_footer(body: bytes, uuid: bytes) -> None:
    raw = repair.vhd(b"conectix" + body, 64)
    footer = Footer(raw)
    assert footer.valid
    changed = footer.with_uuid(uuid)
    assert changed.valid
    assert changed.uuid == uuid
    assert changed.with_uuid(footer.uuid) == footer
    assert not Footer(raw[:100] + bytes([raw[100] ^ 1]) + raw[101:]).valid
    tried("format: VHD footer")


@given(st.binary(min_size=1016, max_size=1016), st.binary(min_size=16, max_size=16), UUIDS, UUIDS)
def test_vhd_header(body: bytes, uuid: bytes, old: str, new: str) -> None:
    name = "VG_XenStorage--{}-VHD--{}"
    old_name, new_name = name.format(old, new), name.format(new, old)
    field = old_name.encode("utf-16-be").ljust(512, b"\0")
    raw = repair.vhd((b"cxsparse" + body)[:64] + field + body[568:], 36)
    header = parse_header(raw)
    assert header.parent_name == old_name
    changed = header.with_parent(uuid, new_name)
    assert (changed.parent_uuid, changed.parent_name) == (uuid, new_name)
    assert parse_header(changed.raw).with_parent(header.parent_uuid, old_name) == header
    tried("format: VHD header")


_REGIONS = st.builds(
    marker.Region,
    st.integers(0, 1 << 50),
    st.integers(0, marker.LARGEST_REGION),
    st.booleans(),
    st.binary(min_size=8, max_size=8),
    st.booleans(),
)


@given(_REGIONS, st.booleans(), st.none() | _REGIONS, LVM_IDS, st.integers(0, (1 << 32) - 1))
def test_pointer(region: Any, begun: bool, previous: Any, pv_uuid: str, seqno: int) -> None:
    pointer = marker.Pointer(region, begun, previous, pv_uuid, seqno)
    raw = pointer.pack()
    assert len(raw) == SECTOR
    assert marker.parse_pointer(raw) == pointer
    assert marker.parse_marker(raw) is None
    for at in range(0, SECTOR, 37):
        assert marker.parse_pointer(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]) is None
    tried("format: pointer")


@given(
    st.data(), _REGIONS, st.none() | _REGIONS, LVM_IDS, st.sampled_from(sorted(marker.DIRECTIONS))
)
def test_marker(data: Any, region: Any, previous: Any, pv: str, direction: int) -> None:
    member, switch, members = (data.draw(st.integers(0, 255)) for _ in range(3))
    label = data.draw(st.binary(max_size=100)).ljust(SECTOR, b"\0")
    token, digest = (data.draw(st.binary(min_size=n, max_size=n)) for n in (8, 20))
    made = marker.Marker(
        direction, member, switch, members, token, digest, region, previous, pv, label
    )
    raw = made.pack()
    assert len(raw) == SECTOR
    assert marker.parse_marker(raw) == made
    assert marker.parse_pointer(raw) is None
    tried("format: marker")


_OLD_PAGES = st.one_of(
    st.just(bytes(pages.PAGE)),
    st.binary(max_size=200).map(lambda part: part.ljust(pages.PAGE, b"x")),
    st.integers(0, 1 << 32).map(lambda seed: _noise(seed)),
)


def _noise(seed: int) -> bytes:
    """Return a page that does not compress."""
    return hashlib.shake_128(struct.pack("<Q", seed)).digest(pages.PAGE)


@given(
    st.binary(max_size=6000), st.lists(_OLD_PAGES, max_size=16), st.binary(min_size=8, max_size=8)
)
def test_pages(body: bytes, old: list[bytes], tag: bytes) -> None:
    before = b"".join(old)
    region = pages.build_pages(body, before, tag)
    if region is None:
        assert len(body) > pages.CAPACITY * sum(page == bytes(pages.PAGE) for page in old)
        return
    assert pages.read_payload(region, tag) == body
    found = {page.number: page for page in pages.parse_pages(region, tag)}
    back = [
        found[n].old if n in found else region[n * pages.PAGE : (n + 1) * pages.PAGE]
        for n in range(len(region) // pages.PAGE)
    ]
    assert b"".join(back) == before[: len(region)]
    other = bytes([tag[0] ^ 1]) + tag[1:]
    assert pages.parse_pages(region, other) == []
    for batch in pages.batches(list(found.values())):
        raw = pages.pack_stash(batch).ljust(pages.STASH_SIZE, b"\0")
        assert len(raw) == pages.STASH_SIZE
        stash = pages.parse_stash(raw)
        assert stash is not None
        assert stash == pages.Stash(batch[0].number, b"".join(page.old for page in batch))
    tried("format: pages and stash")


@st.composite
def changes(draw: Any) -> Change:
    """Return a change of one to three LUNs."""
    members = draw(st.integers(1, 3))
    labels = tuple(
        Edit(n, SECTOR, draw(st.binary(min_size=4, max_size=4)) * 128, bytes(SECTOR), "PV label")
        for n in range(members)
    )
    edits = tuple(
        Edit(draw(st.integers(0, members - 1)), draw(st.integers(0, 1 << 60)), old, old[::-1], what)
        for old, what in draw(st.lists(st.tuples(st.binary(max_size=600), _NAME), max_size=6))
    )
    return Change(
        draw(UUIDS),
        draw(UUIDS),
        draw(st.integers(0, members - 1)),
        tuple(draw(LVM_IDS) for _ in range(members)),
        draw(st.integers(0, (1 << 32) - 1)),
        tuple(bytes(SECTOR) for _ in range(members)),
        labels,
        edits,
    )


@given(changes(), st.binary(max_size=20), st.data())
def test_payload(change: Change, behind: bytes, data: st.DataObject) -> None:
    raw = payload.pack_change(change)
    assert payload.unpack_change(raw + behind) == change
    cut = data.draw(st.integers(0, len(zlib.decompress(raw[6:])) - 1))
    assert _unpacked(b"relun1" + zlib.compress(zlib.decompress(raw[6:])[:cut])) != change
    assert _unpacked(raw[: data.draw(st.integers(0, len(raw) - 5))]) is None
    tried("format: payload")


def _unpacked(raw: bytes) -> Change | None:
    try:
        return payload.unpack_change(raw)
    except FormatError:
        return None
