"""Everything that can go wrong, as one small family of classes.

An error carries a code and fields, not sentences; ``words.describe`` turns them into words. Each
class says whether the LUN was changed, which is what decides the exit code.
"""

from relun.core.hints import Any, Iterable, Tuple


class RelunError(Exception):
    """Root of all errors of relun. ``changed`` is True when the LUN is no longer as it was."""

    changed = False

    def __init__(self, code: str, **fields: Any) -> None:
        super().__init__(code, fields)
        self.code = code
        self.fields = fields

    def __str__(self) -> str:
        return "{} {}".format(self.code, self.fields)


class FormatError(RelunError):
    """Bytes that are not what the format says. ``offset``: bytes from the structure's start."""

    def __init__(self, code: str, offset: int, **fields: Any) -> None:
        super().__init__(code, offset=offset, **fields)
        self.offset = offset


class DeviceError(RelunError):
    """The device cannot be opened, read or written, or is in use. Nothing was changed."""


class Refused(RelunError):  # noqa: N818 - an answer, not an accident
    """relun will not go on, for one or several reasons (findings). Nothing was changed."""

    def __init__(self, code: str, findings: Iterable[Any] = (), **fields: Any) -> None:
        super().__init__(code, **fields)
        self.findings: Tuple[Any, ...] = tuple(findings)


class Interrupted(RelunError):  # noqa: N818
    """The LUN is in progress: hidden by relun's marker, to be settled by recover or undo."""

    changed = True
