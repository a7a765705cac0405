"""MGT: records as SM wrote them, changed in place, and those that SM could not read back."""

import xml.parsers.expat
from typing import Optional

import pytest

from relun.core.errors import FormatError
from relun.core.mgt import (
    FIRST_RECORD,
    RECORD,
    SECTOR,
    Mgt,
    Record,
    parse_length,
    parse_mgt,
    references_vdi,
)
from support import golden

A = "11111111-2222-3333-4444-555555555555"
WITH_MGT = [name for name in golden.names() if name not in ("ext", "many")]
SECOND = "<uuid>{}</uuid><snapshot_of></snapshot_of><deleted>0</deleted></vdi>".format(A)


def mgt_of(name: str) -> Mgt:
    """Return the parsed MGT of a sample."""
    return parse_mgt(golden.read_lv(name, "MGT", 0, 64 * 1024))


def record(first: str = "<vdi><name_label>n</name_label>", second: str = SECOND) -> Record:
    """Return a record of two texts."""
    raw = first.encode("utf-8").ljust(SECTOR) + second.encode("utf-8").ljust(SECTOR)
    return Record(FIRST_RECORD, raw, True)


@pytest.mark.parametrize("name", WITH_MGT)
def test_sr_and_records_are_what_sm_reads(name: str) -> None:
    facts = golden.manifest(name)["mgt"]
    mgt = mgt_of(name)
    assert mgt.head.startswith(facts["header"].encode("ascii"))
    assert (mgt.sr_uuid, mgt.sr_name) == (facts["sr"]["uuid"], facts["sr"]["name_label"])
    assert mgt.allocation == facts["sr"]["allocation"]
    live = {str(entry.offset): entry for entry in mgt.records if entry.live}
    assert {offset for offset, entry in live.items() if entry.deleted} == set(facts["deleted"])
    for offset, expected in list(facts["vdis"].items()) + list(facts["deleted"].items()):
        entry = live.pop(offset)
        assert entry.uuid == expected["uuid"]
        assert entry.name == expected["name_label"]
        assert entry.parsable
        for element in ("snapshot_of", "type", "vdi_type", "is_a_snapshot", "metadata_of_pool"):
            assert entry.elements[element] == expected[element]
    assert not live


def test_length_and_stale_records() -> None:
    raw = golden.read_lv("raw", "MGT", 0, 64 * 1024)
    length = parse_length(raw[:SECTOR])
    count = (length - FIRST_RECORD) // RECORD
    assert count == len(mgt_of("raw").records)
    shorter = raw.replace(b"XSSM:9216 ", b"XSSM:8192 ", 1)
    records = parse_mgt(shorter).records
    assert [entry.live for entry in records] == [True] * (count - 1) + [False]
    assert parse_mgt(raw[:length]).records == mgt_of("raw").records


def test_new_uuid_changes_nothing_else() -> None:
    raw = golden.read_lv("chain", "MGT", 0, 32 * 1024)
    mgt = parse_mgt(raw)
    head = mgt.with_sr_uuid(A)
    assert head == raw[:FIRST_RECORD].replace(mgt.sr_uuid.encode("ascii"), A.encode("ascii"))
    for entry in mgt.records:
        old = entry.uuid.encode("ascii")
        changed = entry.replaced(uuid=A)
        assert changed.raw == entry.raw.replace(old, A.encode("ascii"))
        assert changed.uuid == A and changed.offset == entry.offset


def test_longer_and_shorter_values_move_into_the_padding() -> None:
    entry = record(second=SECOND.replace("</vdi>", "<metadata_of_pool>x</metadata_of_pool></vdi>"))
    emptied = entry.replaced(metadata_of_pool="")
    assert len(emptied.raw) == RECORD
    assert emptied.raw == entry.raw.replace(b">x<", b"><") + b" "
    grown = entry.replaced(snapshot_of=A, uuid=A)
    assert len(grown.raw) == RECORD
    assert grown.elements["snapshot_of"] == A
    assert grown.raw.rstrip(b" ").endswith(b"</vdi>")


def test_absent_elements_stay_away() -> None:
    assert record().replaced(metadata_of_pool="x") == record()
    cut = record(second="<uuid>" + A)
    assert cut.replaced(uuid=A) == cut
    assert record(second="").uuid == ""


def test_value_that_does_not_fit() -> None:
    with pytest.raises(ValueError):
        record().replaced(uuid="x" * SECTOR)


def test_element_order_does_not_matter() -> None:
    second = "<deleted>1</deleted><snapshot_of>OpaqueRef:NULL</snapshot_of><uuid>{}</uuid></vdi>"
    entry = record(second=second.format(A))
    assert (entry.uuid, entry.deleted, entry.parsable) == (A, True, True)
    assert entry.replaced(uuid=A[::-1]).elements["snapshot_of"] == "OpaqueRef:NULL"


def test_opaque_refs_name_no_vdi() -> None:
    snapshots_of = {entry.elements["snapshot_of"] for entry in mgt_of("chain").records}
    assert "OpaqueRef:NULL" in snapshots_of
    named = {value for value in snapshots_of if references_vdi(value)}
    assert named == snapshots_of - {"", "OpaqueRef:NULL"}


@pytest.mark.parametrize(
    "name, label",
    [
        ("clone of é & <b>", b"clone of \xc3\xa9 &amp; &lt;b&gt;"),
        ("", b""),
        ("n" * 469, b"n" * 469),
    ],
)
def test_renamed(name: str, label: bytes) -> None:
    entry = record().renamed(name)
    assert entry is not None
    assert b"<name_label>" + label + b"</name_label>" in entry.raw[:SECTOR]
    assert (entry.name, len(entry.raw), entry.raw[SECTOR:]) == (name, RECORD, record().raw[SECTOR:])
    assert entry.parsable


@pytest.mark.parametrize("name", ["n" * 490, "&" * 100, "é" * 300, "bell\a", "\ud800", "\uffff"])
def test_name_that_cannot_be_stored(name: str) -> None:
    assert record().renamed(name) is None
    assert mgt_of("single").sr_name_sector(name) is None


def test_name_of_a_record_that_has_none() -> None:
    assert record(first="<vdi>").renamed("x") is None


def test_sr_name() -> None:
    mgt = mgt_of("single")
    sector = mgt.sr_name_sector("nächste & Kopie")
    assert sector is not None and len(sector) == SECTOR
    head = mgt.head[: 2 * SECTOR] + sector + mgt.head[3 * SECTOR :]
    assert Mgt(mgt.length, head, ()).sr_name == "nächste & Kopie"


def accepted_by_expat(entry: Record) -> bool:
    """Tell whether expat, which is what SM reads MGT with, takes the record."""
    parser = xml.parsers.expat.ParserCreate()
    try:
        parser.Parse(entry.raw.replace(b"\0", b""), True)
    except xml.parsers.expat.ExpatError:
        return False
    return True


@pytest.mark.parametrize(
    "label, good",
    [
        (b"plain", True),
        (b"&amp; &lt; &gt;", True),
        (b"tab\tnewline\nreturn\r", True),
        (b"nul\0", True),  # taken out before parsing
        (b"\xc3\xa9", True),
        (b"cut &am", False),
        (b"&", False),
        (b"cut \xc3", False),
        (b"bell \x07", False),
        (b"\xef\xbf\xbf", False),
        (b"\xed\xa0\x80", False),
        (b"]]>", False),
        (b"<b", False),
        (b"</name_label>", False),
    ],
)
def test_record_is_parsable_when_expat_says_so(label: bytes, good: bool) -> None:
    raw = b"<vdi><name_label>" + label + b"</name_label>"
    entry = Record(FIRST_RECORD, raw.ljust(SECTOR) + SECOND.encode("ascii").ljust(SECTOR), True)
    assert accepted_by_expat(entry) == good
    assert entry.parsable == good


def test_record_without_its_end_is_not_parsable() -> None:
    assert not record(second=SECOND.replace("</vdi>", "")).parsable
    assert not record(second="").parsable


@pytest.mark.parametrize(
    "header, length",
    [
        (b"XSSM:3072      :1:2", 3072),
        (b"XSSM:512       :1:2", 512),
        (b"XSSM:3072      :1:3", 3072),
        (b"XSSM:3072      :2:0", None),
        (b"XSSM:3071      :1:2", None),
        (b"XSSM:99999999999:1:2", None),
        (b"XSSM:3072      :1:2 x", None),
        (b"XSSM:", None),
        (b"", None),
        (bytes(512), None),
    ],
)
def test_header(header: bytes, length: Optional[int]) -> None:
    sector = header.ljust(SECTOR)
    if length is not None:
        assert parse_length(sector) == length
        return
    with pytest.raises(FormatError) as caught:
        parse_length(sector)
    assert caught.value.code == "mgt-header"


def test_header_from_before_6_0() -> None:
    with pytest.raises(FormatError) as caught:
        parse_mgt(b"XSSM\0\x10\0\0\1\0\0\0".ljust(4096, b"\0"))
    assert caught.value.code == "mgt-legacy"


def test_length_beyond_the_volume() -> None:
    with pytest.raises(FormatError) as caught:
        parse_mgt(b"XSSM:8192      :1:2".ljust(4096))
    assert caught.value.code == "mgt-short"


@pytest.mark.parametrize("at", [30, SECTOR + 20])
def test_nul_inside_a_text_hides_nothing(at: int) -> None:
    good = mgt_of("single")
    raw = good.records[0].raw
    data = good.head + raw[:at] + b"\0" + raw[at + 1 :]
    with pytest.raises(FormatError) as error:
        parse_mgt(data.replace(data[:SECTOR], b"XSSM:3072:1:2".ljust(SECTOR), 1))
    assert (error.value.code, error.value.offset) == ("mgt-record", FIRST_RECORD)


def test_nul_before_the_last_letter_hides_nothing_either() -> None:
    """Padding is NULs and spaces, and no letter is taken for it."""
    raw = record().raw
    cut = raw[:SECTOR].rstrip(b" ") + b"\0X"
    data = b"XSSM:3072      :1:2".ljust(FIRST_RECORD) + cut.ljust(SECTOR) + raw[SECTOR:]
    with pytest.raises(FormatError) as error:
        parse_mgt(data)
    assert (error.value.code, error.value.offset) == ("mgt-record", FIRST_RECORD)


def head_of(second: bytes, third: bytes) -> Mgt:
    """Return an MGT without records, with these sectors 1 and 2."""
    first = b"XSSM:2048      :1:2"
    sectors = (first, second, third, b"")
    return parse_mgt(b"".join(sector.ljust(SECTOR) for sector in sectors))


def test_elements_that_are_missing_are_empty() -> None:
    mgt = head_of(b"", b"")
    assert (mgt.sr_uuid, mgt.sr_name, mgt.allocation) == ("", "", "")
    assert record(first="<vdi>").name == ""


def test_each_element_is_looked_for_in_its_own_sector() -> None:
    """What stands in the sectors before and behind is no matter."""
    other = b"<uuid>u</uuid><allocation>a</allocation><name_label>n</name_label>"
    mgt = head_of(b"", other)
    assert (mgt.sr_uuid, mgt.allocation, mgt.sr_name) == ("", "", "n")
    mgt = head_of(other, b"")
    assert (mgt.sr_uuid, mgt.allocation, mgt.sr_name) == ("u", "a", "")
    mgt = mgt._replace(head=mgt.head[: 3 * SECTOR] + other.ljust(SECTOR))
    assert mgt.sr_name == ""


def test_nuls_are_padding_for_the_parser() -> None:
    whole = record()
    padded = whole._replace(
        raw=whole.raw[:SECTOR].rstrip(b" ").ljust(SECTOR, b"\0") + whole.raw[SECTOR:]
    )
    assert whole.parsable and padded.parsable


def test_where_an_unreadable_header_is() -> None:
    for raw in (b"nonsense", b"XSSM:2047      :1:2"):
        with pytest.raises(FormatError) as caught:
            parse_length(raw.ljust(SECTOR))
        assert (caught.value.code, caught.value.offset) == ("mgt-header", 0)
    with pytest.raises(FormatError) as caught:
        parse_mgt(b"XSSM:4096      :1:2".ljust(SECTOR) + b" " * 1536)
    assert (caught.value.code, caught.value.offset) == ("mgt-short", 0)


def test_half_a_record_at_the_end_is_none() -> None:
    header = b"XSSM:3072      :1:2".ljust(FIRST_RECORD)
    assert len(parse_mgt(header + record().raw).records) == 1
    assert len(parse_mgt(header + record().raw + record().raw[:SECTOR]).records) == 1
    for cut in (SECTOR, RECORD - 1):  # the uuid is there already, the rest is not
        whole = parse_mgt(header + record().raw + record().raw[:cut])
        assert [one.offset for one in whole.records] == [FIRST_RECORD]
    stale = parse_mgt(header + record().raw * 2).records
    assert [one.live for one in stale] == [True, False]


def test_sector_that_is_full() -> None:
    """A value of the same length stays in a sector that has no spaces left."""
    first = "<vdi><name_label>" + "n" * (SECTOR - 30) + "</name_label>"
    assert len(first) == SECTOR
    changed = record(first=first).renamed("m" * (SECTOR - 30))
    assert changed is not None and changed.name == "m" * (SECTOR - 30)
    assert record(first=first).renamed("m" * (SECTOR - 29)) is None


def test_what_stands_last_in_a_sector_stays() -> None:
    """Only spaces make room for a longer value."""
    first = "<vdi><name_label>n</name_label>X"
    changed = record(first=first).renamed("longer")
    assert changed is not None
    assert changed.raw[:SECTOR] == b"<vdi><name_label>longer</name_label>X".ljust(SECTOR)


@pytest.mark.parametrize("name", ["a\ufffeb", "a\uffffb", "a\x01b"])
def test_names_that_are_no_xml(name: str) -> None:
    assert record().renamed(name) is None
