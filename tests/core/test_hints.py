"""relun's own NamedTuple behaves as the one of ``typing`` in all that core uses of it."""

import pickle
import typing
from typing import Any

import pytest

from relun.core import hints


class Ours(hints.NamedTuple):
    """A value class as core has them."""

    first: int
    second: str = "two"
    third: bytes = b"3"

    @property
    def double(self) -> int:
        """Methods work on fields."""
        return self.first * 2


class Theirs(typing.NamedTuple):
    """The same, by ``typing``."""

    first: int
    second: str = "two"
    third: bytes = b"3"


BOTH = [Ours, Theirs]


@pytest.mark.parametrize("kind", BOTH)
def test_values_by_place_name_and_default(kind: Any) -> None:
    assert tuple(kind(1)) == (1, "two", b"3")
    assert tuple(kind(1, third=b"x")) == (1, "two", b"x")
    assert tuple(kind(second="b", first=2)) == (2, "b", b"3")
    value = kind(1, "b", b"c")
    assert (value.first, value.second, value.third) == (1, "b", b"c")
    assert (value, hash(value)) == ((1, "b", b"c"), hash((1, "b", b"c")))
    assert kind._fields == ("first", "second", "third")


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(
    "values, named",
    [
        ((), {}),
        ((), {"second": "b"}),
        ((1, 2, 3, 4), {}),
        ((1,), {"fourth": 4}),
        ((1,), {"first": 1}),
        ((1, 2, 3), {"third": 3}),
    ],
)
def test_wrong_values(kind: Any, values: Any, named: Any) -> None:
    with pytest.raises(TypeError):
        kind(*values, **named)


@pytest.mark.parametrize("kind", BOTH)
def test_immutable(kind: Any) -> None:
    value = kind(1)
    for name in ("first", "new"):
        with pytest.raises(AttributeError):
            setattr(value, name, 2)
    changed = value._replace(first=2, third=b"")
    assert (tuple(changed), type(changed)) == ((2, "two", b""), kind)
    assert tuple(value) == (1, "two", b"3")
    with pytest.raises((ValueError, TypeError)):
        value._replace(fourth=4)


@pytest.mark.parametrize("kind", BOTH)
def test_shown_listed_and_pickled(kind: Any) -> None:
    value = kind(1)
    assert repr(value) == kind.__name__ + "(first=1, second='two', third=b'3')"
    assert list(value._asdict().items()) == [("first", 1), ("second", "two"), ("third", b"3")]
    assert pickle.loads(pickle.dumps(value)) == value


def test_properties_of_the_class() -> None:
    assert Ours(4).double == 8


def test_every_hint_takes_parameters() -> None:
    namespace: Any = vars(hints)
    names = [name for name in namespace if name in typing.__all__ and name != "NamedTuple"]
    assert {"Any", "Dict", "Tuple", "Optional"} <= set(names)
    for name in set(names) - {"Any", "TYPE_CHECKING"}:
        assert namespace[name][int, str][str] is not None
