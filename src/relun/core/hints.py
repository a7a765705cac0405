"""The names of ``typing`` that relun uses, without loading ``typing`` when it runs.

Importing ``typing`` and building its named tuples would be a third of the time of a whole
``relun resign``. Type checkers see the real thing; at run time an annotation is a placeholder, and
NamedTuple is the few lines that relun needs of it: an immutable tuple with named fields and
defaults.
"""

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any as Any
    from typing import Callable as Callable
    from typing import Dict as Dict
    from typing import Iterable as Iterable
    from typing import Iterator as Iterator
    from typing import List as List
    from typing import Mapping as Mapping
    from typing import NamedTuple as NamedTuple
    from typing import Optional as Optional
    from typing import Sequence as Sequence
    from typing import Set as Set
    from typing import Tuple as Tuple
    from typing import Union as Union
else:
    try:
        from _collections import _tuplegetter
    except ImportError:  # CPython before 3.8
        from operator import itemgetter

        def _tuplegetter(index, doc):
            return property(itemgetter(index), doc=doc)

    class _Hint:
        def __getitem__(self, _parameters):
            return self

    Any = Callable = Dict = Iterable = Iterator = List = _Hint()
    Mapping = Optional = Sequence = Set = Tuple = Union = _Hint()

    class _NamedTupleType(type):
        def __new__(mcs, name, bases, namespace):
            namespace["__slots__"] = ()
            cls = super().__new__(mcs, name, bases, namespace)
            fields = tuple(cls.__annotations__) if bases != (tuple,) else ()
            cls._fields = fields
            cls._defaults = {field: namespace[field] for field in fields if field in namespace}
            for index, field in enumerate(fields):
                setattr(cls, field, _tuplegetter(index, field))
            return cls

    class NamedTuple(tuple, metaclass=_NamedTupleType):
        def __new__(cls, *values, **named):
            fields = cls._fields
            if not named and len(values) == len(fields):
                return tuple.__new__(cls, values)
            if len(values) != len(fields):
                values += tuple(
                    named.pop(field) if field in named else cls._defaults[field]
                    for field in fields[len(values) :]
                    if field in named or field in cls._defaults
                )
            if named or len(values) != len(fields):
                raise TypeError("{} has the fields {}".format(cls.__name__, ", ".join(fields)))
            return tuple.__new__(cls, values)

        def _replace(self, **changes):
            values = [changes.pop(field, value) for field, value in zip(self._fields, self)]
            if changes:
                raise ValueError("no such field: {}".format(", ".join(changes)))
            return tuple.__new__(type(self), values)

        def _asdict(self):
            return dict(zip(self._fields, self))

        def __repr__(self):
            pairs = ("{}={!r}".format(field, value) for field, value in zip(self._fields, self))
            return "{}({})".format(type(self).__name__, ", ".join(pairs))

        def __getnewargs__(self):
            return tuple(self)
