"""Faults: what the drivers answer to xapi, each kind of failure with a code of its own.

xapi makes SR_BACKEND_FAILURE_<code> of them. Codes that SM's table has (16, 38, 107, …) keep SM's
meaning; relun's own begin where no table of SM's reaches. Callers take one sentence as the sign of
success, so no failure may contain it, whatever names stand on a LUN.
"""

from relun.core.errors import DeviceError, Interrupted, Refused, RelunError
from relun.core.hints import NamedTuple, Sequence
from relun.dom0.words import describe, describe_finding

# Success. SM answers an unknown error key with this code and beginning, which is how the first such
# driver reported; CloudStack looks for "successfully resigned".
SUCCESS = 1
SUCCESS_TEXT = (
    "Error reporting error, unknown key The SR has been successfully resigned. "
    "Use the {} type to attach it"
)
_SIGN = "successfully resigned"

REFUSED = 5600  # the LUN's content forbids it; nothing was changed
NO_SR = 5601  # the LUN holds no SR that could be resigned; nothing was changed
ALREADY_RESIGNED = 5602  # relun made this LUN's ids, on this very LUN; nothing was changed
DEVICE = 5603  # the LUN cannot be opened, read or written, or is in use; nothing was changed
IN_PROGRESS = 5604  # the LUN is hidden half-way; the next sr-create of the same type finishes it
BAD_CONFIG = 5605  # a device-config key of relun's own has a value it cannot have
NOT_CLEAN = 5606  # the LUN has its new identity, but this host could not be left as it was
INTERNAL = 5607  # an error in relun itself; nothing was changed

_NO_SR = {"lun-empty", "lun-foreign", "sr-none", "sr-gfs2", "pv-foreign"}


class Fault(Exception):
    """A code and a text for xapi. ``key``: instead of both, the key in SM's own table."""

    def __init__(self, code: int, text: str, key: str = "") -> None:
        super().__init__(code, text)
        self.code = code
        self.text = printable(text)
        self.key = key


class Answer(NamedTuple):
    """Code and text of a fault before it is raised."""

    code: int
    text: str


def success(sr_type: str) -> Answer:
    """Return the answer for a resigned LUN; ``sr_type`` is the type to attach it as."""
    return Answer(SUCCESS, SUCCESS_TEXT.format(sr_type))


def from_error(error: RelunError) -> Fault:
    """Return the fault for an error of the engine."""
    if isinstance(error, Interrupted):
        hint = " The next sr-create of this type on this LUN finishes it."
        return Fault(IN_PROGRESS, describe(error) + "." + hint)
    if isinstance(error, DeviceError):
        return Fault(DEVICE, _unchanged([describe(error)]))
    if isinstance(error, Refused) and error.findings:
        codes = {finding.code for finding in error.findings}
        code = NO_SR if codes & _NO_SR else REFUSED
        return Fault(code, _unchanged([describe_finding(found) for found in error.findings]))
    codes_of = {"already-resigned": ALREADY_RESIGNED, "internal": INTERNAL}
    return Fault(codes_of.get(error.code, REFUSED), _unchanged([describe(error)]))


def printable(text: str) -> str:
    """Return text that survives every locale and every XML parser, and is no sign of success."""
    text = text.encode("ascii", "backslashreplace").decode("ascii")
    text = "".join(c if " " <= c <= "~" else "\\x{:02x}".format(ord(c)) for c in text)
    return text.replace(_SIGN, _SIGN.replace(" ", "_"))


def _unchanged(sentences: Sequence[str]) -> str:
    return "{}. Nothing was changed.".format("; ".join(sentences))
