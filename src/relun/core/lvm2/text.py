"""The metadata text as tokens: parsed for reading, changed token by token, written back exactly.

Source: lvm2 libdm/libdm-config.c. Bytes throughout (a text may hold any encoding); what is not
replaced stays byte for byte, comments and spaces included.
"""

import re
from itertools import islice

from relun.core.errors import FormatError
from relun.core.hints import Any, Dict, List, NamedTuple, Sequence, Tuple, Union

# One match = the space and comments before a token, and the token. A '#' inside a string is no
# comment. Escapes are blotted out beforehand, so that a string ends at the next quote. The time is
# linear in the length of the text, and so that its memory is bounded no group is repeated without
# a limit: each repetition would stay on the regular expression engine's stack.
_TOKEN = re.compile(
    rb"([\s\0]*(?:#[^\n]*[\s\0]*){0,999})"
    rb"(\"[^\"]*\"?|'[^']*'?|[{}[\]=,]|[^\s\0{}[\]=,#\"']+|\Z|(?=#))"
)
_MAX_TOKENS = 1 << 18  # of 5,000 volumes; SM's MGT has room for 4,094
_MAX_TOKEN = 1 << 16  # bytes
_QUOTES = (b'"', b"'")
_PUNCTUATION = frozenset((b"{", b"}", b"[", b"]", b"=", b","))
_MAX_DIGITS = 20  # 2**64 has that many


class Value(NamedTuple):
    """One scalar or the elements of an array; ``tokens`` are the indices of its scalars."""

    scalars: Tuple[bytes, ...]
    tokens: Tuple[int, ...]
    first: int  # index of the assignment's first token (the key)
    last: int  # index of its last token

    @property
    def text(self) -> str:
        """The first scalar as text, unquoted."""
        return unquote(self.scalars[0]).decode("latin-1") if self.scalars else ""

    @property
    def texts(self) -> Tuple[str, ...]:
        """All scalars as text, unquoted."""
        return tuple(unquote(scalar).decode("latin-1") for scalar in self.scalars)


class Section(NamedTuple):
    """A named block. ``first`` is the index of its name, ``last`` of its closing brace."""

    name: str
    values: Dict[str, Value]
    sections: Dict[str, Any]  # of Section; a forward reference would cost a millisecond at import
    first: int
    last: int

    def number(self, key: str, default: int = 0) -> int:
        """The unsigned integer at ``key``. Raise FormatError (text-value) if it is none."""
        if key not in self.values:
            return default
        return unsigned(key, (self.values[key].scalars or (b"",))[0])

    def text(self, key: str) -> str:
        """The string at ``key``, empty when absent."""
        return self.values[key].text if key in self.values else ""

    def texts(self, key: str) -> Tuple[str, ...]:
        """The strings of the array at ``key``, none when absent."""
        return self.values[key].texts if key in self.values else ()


class MetadataText(NamedTuple):
    """A parsed text: tokens, the bytes before each, and the tree over them."""

    gaps: Sequence[bytes]
    tokens: Sequence[bytes]
    root: Section

    def render(self, changed: Dict[int, bytes], removed: Sequence[Tuple[int, int]] = ()) -> bytes:
        """Return the text with tokens ``changed`` by index and index ranges ``removed``."""
        tokens = list(self.tokens)
        gaps = list(self.gaps)
        for index, token in changed.items():
            tokens[index] = token
        for first, last in removed:
            for index in range(first, last + 1):
                gaps[index] = tokens[index] = b""
        return b"".join([part for pair in zip(gaps, tokens) for part in pair])


def parse_text(data: bytes) -> MetadataText:
    """Parse a metadata text. Raise FormatError (text-syntax) with the offset of the fault."""
    pairs = _tokens(data)
    tail = b""
    while pairs and not pairs[-1][1]:  # \Z may match twice: after trailing space, and again
        tail = pairs.pop()[0] + tail
    pairs.append((tail, b""))
    gaps = [gap for gap, _token in pairs]
    tokens = [token for _gap, token in pairs]
    parser = _Parser(tokens, gaps)
    if not all(map(_terminated, tokens[-2:-1])):
        raise parser.error(len(tokens) - 2)
    return MetadataText(gaps, tokens, parser.section("", 0, len(tokens) - 1))


def _tokens(data: bytes) -> List[Tuple[bytes, bytes]]:
    """Return (gap, token) pairs that make up the whole text. Raise FormatError (text-syntax)."""
    plain = data.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in data else data
    if len(plain) <= _MAX_TOKENS:
        pairs = _TOKEN.findall(plain)
    else:
        pairs = [match.groups() for match in islice(_TOKEN.finditer(plain), _MAX_TOKENS)]
        end = sum([len(gap) + len(token) for gap, token in pairs])
        if end != len(plain):
            raise FormatError("text-syntax", end, token="text too long")
    for _gap, token in pairs:
        if len(token) > _MAX_TOKEN:
            raise FormatError("text-syntax", 0, token="token too long")
    return pairs if plain is data else _unblotted(data, pairs)


def _unblotted(data: bytes, blotted: List[Tuple[bytes, bytes]]) -> List[Tuple[bytes, bytes]]:
    """Return the pairs with the text's own bytes; escapes are allowed in strings and comments."""
    pairs = []
    end = 0
    for gap, token in blotted:
        start = end + len(gap)
        own = data[start : start + len(token)]
        if b"\\" in own and own[:1] not in _QUOTES:
            raise FormatError("text-syntax", start, token=own[:80].decode("latin-1"))
        pairs.append((data[end:start], own))
        end = start + len(token)
    return pairs


def _terminated(token: bytes) -> bool:
    """Tell whether a token, if it is a string, has its closing quote."""
    quote_mark = token[:1]
    if quote_mark not in _QUOTES:
        return True
    if len(token) == 1 or token[-1:] != quote_mark:
        return False
    inner = token[1:-1]
    escapes = len(inner) - len(inner.rstrip(b"\\"))
    return quote_mark == b"'" or escapes % 2 == 0


def unsigned(key: str, scalar: bytes) -> int:
    """Return a scalar as an unsigned integer. Raise FormatError (text-value) if it is none."""
    if not scalar.isdigit() or len(scalar) > _MAX_DIGITS:
        raise FormatError("text-value", 0, key=key, value=scalar[:80].decode("latin-1"))
    return int(scalar)


def quote(value: str) -> bytes:
    """Return ``value`` as LVM writes a string: double quotes, with \" and \\ escaped."""
    return b'"' + value.replace("\\", "\\\\").replace('"', '\\"').encode("latin-1") + b'"'


def unquote(token: bytes) -> bytes:
    """Return the content of a string token; any other token as it is."""
    if token[:1] == b'"':
        inner = token[1:-1]
        return re.sub(rb"\\(.)", rb"\1", inner, flags=re.DOTALL) if b"\\" in inner else inner
    if token[:1] == b"'":
        return token[1:-1]
    return token


class _Parser:
    """Recursive descent over the tokens, of bounded depth: no input can exhaust the stack.

    The last token is empty and fits nowhere, so that no look ahead can run over the end.
    """

    MAX_DEPTH = 16

    def __init__(self, tokens: Sequence[bytes], gaps: Sequence[bytes]) -> None:
        self.tokens = tokens
        self.gaps = gaps
        self.depth = 0

    def section(self, name: str, first: int, end: int) -> Section:
        """Parse items until the closing brace (or ``end`` for the whole text)."""
        tokens = self.tokens
        values: Dict[str, Value] = {}
        sections: Dict[str, Section] = {}
        whole = not name
        index = 0 if whole else first + 2
        self.depth += 1
        if self.depth > self.MAX_DEPTH:
            raise self.error(first)
        while True:
            if index >= end if whole else tokens[index] == b"}":
                break
            key = self.key(index)
            following = tokens[index + 1]
            item: Union[Value, Section]
            if key in values or key in sections:
                raise self.error(index)
            if following == b"=":
                scalar = tokens[index + 2]
                if scalar and scalar not in _PUNCTUATION:  # by far the most
                    item = values[key] = Value((scalar,), (index + 2,), index, index + 2)
                else:
                    item = values[key] = self.array(index)
            elif following == b"{":
                item = sections[key] = self.section(key, index, end)
            else:
                raise self.error(index + 1)
            index = item.last + 1
        self.depth -= 1
        return Section(name, values, sections, first, index)

    def key(self, index: int) -> str:
        token = self.tokens[index]
        if not token or token in _PUNCTUATION or token[:1] in _QUOTES:
            raise self.error(index)
        return token.decode("latin-1")

    def array(self, key_index: int) -> Value:
        if self.tokens[key_index + 2] != b"[":
            raise self.error(key_index + 2)
        scalars: List[bytes] = []
        places: List[int] = []
        index = key_index + 3
        while self.tokens[index] != b"]":
            scalars.append(self.scalar(index))
            places.append(index)
            index += 1
            if self.tokens[index] == b",":
                index += 1
            elif self.tokens[index] != b"]":
                raise self.error(index)
        return Value(tuple(scalars), tuple(places), key_index, index)

    def scalar(self, index: int) -> bytes:
        token = self.tokens[index]
        if not token or token in _PUNCTUATION:
            raise self.error(index)
        return token

    def error(self, index: int) -> FormatError:
        before = self.tokens[:index]
        offset = sum(map(len, before)) + sum(map(len, self.gaps[: index + 1]))
        token = self.tokens[index][:80].decode("latin-1")
        return FormatError("text-syntax", offset, token=token)
