"""What one verb found out about, or did to, the LUNs of one SR. Text and JSON are made of it."""

from relun.cli.exits import Exit
from relun.core.errors import Interrupted, Refused, RelunError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from relun.core.device import Device
    from relun.core.finding import Finding
    from relun.core.plan import Plan
    from relun.core.repository import Repository
    from relun.core.sysfs import BlockNode
    from relun.core.verbs import Outcome

IN_PROGRESS = "lun-in-progress"


class Report:
    """Filled by the verbs; everything but ``verb`` and ``paths`` may stay empty."""

    def __init__(self, verb: str, paths: "Sequence[str]") -> None:
        self.verb = verb
        self.paths = tuple(paths)
        self.devices: tuple[Device, ...] = ()
        self.exit = Exit.DONE
        self.error: RelunError | None = None
        self.repository: Repository | None = None
        self.plan: Plan | None = None
        self.outcome: Outcome | None = None
        self.differences: tuple[Finding, ...] | None = None
        self.notes: tuple[Finding, ...] = ()  # on what else did not go as asked
        self.signal = ""  # the one that was put off

    @property
    def name(self) -> str:
        """The LUNs, for a heading."""
        return " + ".join(self.paths)

    def fail(self, error: RelunError) -> None:
        """Note the error that ended the verb, and the exit code that it means."""
        self.error = error
        self.exit = exit_of(error)

    def nodes(self) -> "tuple[BlockNode | None, ...]":
        """Who each device is; None for a file."""
        return tuple(device.describe() for device in self.devices)


def exit_of(error: RelunError) -> Exit:
    """Return the exit code of an error."""
    if isinstance(error, Interrupted):
        return Exit.INTERRUPTED
    if isinstance(error, Refused) and any(f.code == IN_PROGRESS for f in error.findings):
        return Exit.INTERRUPTED
    return Exit.REFUSED
