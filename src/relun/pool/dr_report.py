"""What a DR test found, for the person who runs it and for an auditor: values, no words."""

from typing import NamedTuple

from relun.core.errors import RelunError
from relun.core.finding import Finding
from relun.pool.events import Event


class CloneReport(NamedTuple):
    """A clone that was attached, or was not (``problem``). ``vdis``: how many it has, snapshots
    included.

    ``before``: it was attached before the test, which leaves it so.
    """

    target: str
    scsi_id: str = ""
    old_sr: str = ""
    new_sr: str = ""
    name: str = ""
    hosts: tuple[str, ...] = ()
    vdis: int = 0
    seconds: float = 0.0
    before: bool = False
    problem: RelunError | None = None


class VmReport(NamedTuple):
    """A VM of the plan. ``up_after``: seconds from the beginning of the test, None: never.

    ``waited_for``: what had to tell that it is up. ``address``, ``agent``: what the guest reported.
    """

    original: str
    waited_for: str
    original_uuid: str = ""
    name: str = ""
    uuid: str = ""
    sr_uuid: str = ""
    disks: int = 0
    restore_seconds: float | None = None
    start_seconds: float | None = None
    wait_seconds: float | None = None
    up_after: float | None = None
    address: str = ""
    agent: str = ""
    notes: tuple[Finding, ...] = ()
    problem: RelunError | None = None


class CleanUp(NamedTuple):
    """What was taken away at the end, and what of it was not (``problem``)."""

    what: str
    subject: str
    seconds: float
    problem: RelunError | None = None


class PoolFacts(NamedTuple):
    """``versions``: of the master's product, build, xapi, …, by their names in xapi."""

    url: str
    name: str
    master: str
    versions: dict[str, str]


class DrReport(NamedTuple):
    """``began``, ``ended``: ISO 8601 in UTC. ``steps``: all that was done, as it ended.

    ``standing``: what is left though it was to be taken away. ``kept``: what the plan leaves.
    ``stopped``: a signal came, and the rest was left out.
    """

    title: str
    relun: str
    pool: PoolFacts
    began: str
    ended: str
    seconds: float
    clones: tuple[CloneReport, ...]
    vms: tuple[VmReport, ...]
    clean_up: tuple[CleanUp, ...]
    steps: tuple[Event, ...]
    standing: tuple[str, ...]
    kept: tuple[str, ...]
    stopped: bool

    @property
    def passed(self) -> bool:
        """Did all come up that the plan names?"""
        return all(clone.problem is None for clone in self.clones) and all(
            vm.up_after is not None for vm in self.vms
        )

    @property
    def clean(self) -> bool:
        """Is nothing left that the plan takes away?"""
        return not self.standing

    @property
    def recovery_seconds(self) -> float | None:
        """The recovery time (RTO) reached: until the last VM was up; None: not all were."""
        ups = [vm.up_after for vm in self.vms if vm.up_after is not None]
        return max(ups) if self.passed and ups else None
