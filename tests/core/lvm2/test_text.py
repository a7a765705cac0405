"""The metadata text: every byte comes back, and no input does more than raise FormatError."""

import random
import time
import tracemalloc
from typing import List

import pytest

from relun.core.errors import FormatError
from relun.core.lvm2.text import parse_text, quote, unquote, unsigned
from support import golden

SAMPLE = b"""vg {
id = "a-b"\t# say "hello { [
empty = []
array = ["one", 2 ,
 'three "x"' ]
esc = "a \\"quoted\\" \\\\ b"
9lv.cbtlog { size = 7 }
}
# tail"""


def failure(data: bytes) -> FormatError:
    """Return the error that parsing ends in."""
    with pytest.raises(FormatError) as caught:
        parse_text(data)
    return caught.value


@pytest.mark.parametrize("name", golden.names())
def test_every_text_comes_back_byte_for_byte(name: str) -> None:
    facts = golden.manifest(name)
    for index in range(len(facts["metadata_areas"])):
        data = golden.metadata_text(name, index)
        text = parse_text(data)  # its final NUL included
        assert text.render({}) == data
        vg_name = facts["vg"]["vg_name"]
        assert list(text.root.sections) == [vg_name]
        section = text.root.sections[vg_name]
        assert section.number("seqno") == int(facts["vg"]["vg_seqno"])
        assert set(section.sections["logical_volumes"].sections) == {
            entry["name"] for entry in facts["lvs"]
        }
        assert text.root.text("contents") == "Text Format Volume Group"
        assert parse_text(data[:-1]).render({}) == data[:-1]


def test_values_of_every_kind() -> None:
    section = parse_text(SAMPLE).root.sections["vg"]
    assert section.text("id") == "a-b"
    assert section.texts("empty") == ()
    assert section.text("empty") == ""
    assert section.texts("array") == ("one", "2", 'three "x"')
    assert section.text("esc") == 'a "quoted" \\ b'
    assert section.sections["9lv.cbtlog"].number("size") == 7
    assert (section.text("none"), section.texts("none")) == ("", ())
    assert (section.number("none"), section.number("none", 3)) == (0, 3)


def test_sample_comes_back() -> None:
    for data in (
        SAMPLE,
        SAMPLE + b"\n",
        SAMPLE + b"\0",
        b"",
        b" ",
        b"# only",
        b"a = 1",
        b"a = 'x'",
    ):
        assert parse_text(data).render({}) == data


def test_changed_tokens_leave_all_else() -> None:
    text = parse_text(SAMPLE)
    section = text.root.sections["vg"]
    changed = {section.first: b"new", section.values["id"].tokens[0]: quote('x"y\\')}
    expected = SAMPLE.replace(b"vg {", b"new {").replace(b'"a-b"', b'"x\\"y\\\\"')
    assert text.render(changed) == expected
    assert parse_text(expected).root.sections["new"].text("id") == 'x"y\\'


def test_removed_items_take_the_space_before_them() -> None:
    text = parse_text(SAMPLE)
    section = text.root.sections["vg"]
    array, child = section.values["array"], section.sections["9lv.cbtlog"]
    removed = [(array.first, array.last), (child.first, child.last)]
    left = text.render({}, removed)
    assert left.replace(b'esc = "a \\"quoted\\" \\\\ b"', b"") == (
        b'vg {\nid = "a-b"\t# say "hello { [\nempty = []\n\n}\n# tail'
    )
    assert set(parse_text(left).root.sections["vg"].values) == {"id", "empty", "esc"}


@pytest.mark.parametrize("value", ["", "plain", 'with "quotes"', "back\\slash", "\\", '"', "é#{["])
def test_quoted_strings_come_back(value: str) -> None:
    assert unquote(quote(value)).decode("latin-1") == value
    assert parse_text(b"k = " + quote(value)).root.text("k") == value


def test_unquote_leaves_bare_words_and_single_quotes_know_no_escape() -> None:
    assert unquote(b"word") == b"word"
    assert unquote(b"'a\\b'") == b"a\\b"


@pytest.mark.parametrize(
    "data, offset",
    [
        (b"}", 0),
        (b"=", 0),
        (b"a", 1),
        (b"a a", 2),
        (b"a = ", 4),
        (b"a = =", 4),
        (b"a = [", 5),
        (b"a = [ 1", 7),
        (b"a = [ 1 ,", 9),
        (b"a = [ 1 2 ]", 8),
        (b"a = [ , ]", 6),
        (b"a = [ [ 1 ] ]", 6),
        (b"a {", 3),
        (b"a { b = 1", 9),
        (b"a = 1 a = 2", 6),
        (b"a = 1 a { }", 6),
        (b'"a" = 1', 0),
        (b'a = "x', 4),
        (b'a = "', 4),
        (b'a = "x\\"', 4),
        (b'a = "x\\', 4),
        (b"a = 'x", 4),
        (b"a = '", 4),
        (b"a { b } c", 6),
    ],
)
def test_syntax_errors_tell_where(data: bytes, offset: int) -> None:
    error = failure(data)
    assert (error.code, error.offset) == ("text-syntax", offset)


@pytest.mark.parametrize("scalar", [b"", b"x", b"-1", b"1.5", b"1_0", b'"1"', b"\xb2", b"1" * 21])
def test_numbers_are_plain_digits(scalar: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        unsigned("key", scalar)
    assert (caught.value.code, caught.value.fields["key"]) == ("text-value", "key")


def test_number_of_an_empty_array() -> None:
    with pytest.raises(FormatError):
        parse_text(b"a = []").root.number("a")


def test_depth_is_bounded() -> None:
    assert parse_text(b"a {" * 15 + b"}" * 15).root.sections
    assert failure(b"a {" * 16 + b"}" * 16).code == "text-syntax"
    assert failure(b"a {" * 100000).code == "text-syntax"


HOSTILE: List[bytes] = [
    b" " * 200000 + b'"',
    b"# \n" * 100000 + b'"',
    b"#" + b" " * 200000 + b"\n'",
    b'"' + b"\\" * 200001,
    b'"\\' * 100000,
    b"'" * 200001,
    b'a = "' + b'\\"' * 100000,
    b"[" * 200000,
    b"a" * 200000,
    b"a = [" + b"1," * 100000,
    b"\0" * 200000 + b"=",
]


@pytest.mark.parametrize("data", HOSTILE, ids=[repr(data[:6]) for data in HOSTILE])
def test_hostile_text_fails_fast(data: bytes) -> None:
    started = time.perf_counter()
    assert failure(data).code == "text-syntax"
    assert time.perf_counter() - started < 5  # far below; backtracking would take years


def test_damaged_texts_raise_nothing_but_format_errors() -> None:
    chooser = random.Random(1)
    data = golden.metadata_text("single")
    outcomes: List[object] = []
    for _ in range(2000):
        damaged = bytearray(data)
        for _ in range(chooser.randint(1, 4)):
            at = chooser.randrange(len(damaged))
            damaged[at : at + chooser.randint(0, 20)] = bytes(
                chooser.choice(b"{}[]=,#\"'\\\n\0a0 \xff") for _ in range(chooser.randint(0, 3))
            )
        try:
            outcomes.append(parse_text(bytes(damaged)).render({}) == bytes(damaged))
        except FormatError:
            outcomes.append("refused")
    assert set(outcomes) == {True, "refused"}


@pytest.mark.parametrize(
    "data",
    [
        b"v {" + b"#\n" * (1 << 19) + b"}",
        b'v { a = "' + b'\\"' * (1 << 19) + b'" }',
        b"{" * (1 << 20),
        b'""' * (1 << 19),
        b"v{" + b" ".join(b"%x=1" % n for n in range(1 << 17)) + b"}",
        b"v{a=[" + b"1," * (1 << 19) + b"]}",
        b'v { a\\"b" = 1 }',
    ],
    ids=["comments", "escapes", "braces", "quotes", "items", "array", "bare escape"],
)
def test_no_text_takes_memory_out_of_proportion(data: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(FormatError) as error:
        parse_text(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error.value.code == "text-syntax"
    assert peak < 64 << 20


def test_escapes_in_strings_and_comments_stay() -> None:
    data = b'v {\n\ta = "x\\"y\\\\" # it\\"s\n\tb = \'c:\\\' \n}\n'
    parsed = parse_text(data)
    assert parsed.root.sections["v"].text("a") == 'x"y\\'
    assert parsed.root.sections["v"].text("b") == "c:\\"
    assert parsed.render({}) == data
