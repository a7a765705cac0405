"""What relun does, one function a verb. Each takes the LUNs of one SR as opened devices.

Modules that a plain resign does without are imported where they are used: start-up counts.
"""

from relun.core.device import Device
from relun.core.errors import Interrupted, Refused
from relun.core.finding import Finding, refusals
from relun.core.hints import TYPE_CHECKING, Callable, NamedTuple, Optional, Sequence, Tuple
from relun.core.options import FORCED_BY, Options
from relun.core.plan import Plan, build_plan
from relun.core.repository import IN_PROGRESS, Repository, load
from relun.core.transaction import Transaction, new_run

if TYPE_CHECKING:
    from relun.core.conflicts import Conflict
    from relun.core.sysfs import BlockNode


class Outcome(NamedTuple):
    """What a verb did: ``action`` is resigned, recovered, undone, cleared, sealed or nothing."""

    action: str
    old_sr: str = ""
    new_sr: str = ""
    plan: Optional[Plan] = None  # of a resign


def inspect(devices: Sequence[Device]) -> Repository:
    """Return what the LUNs hold. Raise DeviceError when one cannot be read."""
    return load(devices)


def plan(devices: Sequence[Device], options: Options) -> Plan:
    """Return what a resign would do. Raise Refused with every reason against it."""
    return build_plan(load(devices), options)


def resign(
    devices: Sequence[Device], options: Options, cancelled: Callable[[], bool] = lambda: False
) -> Outcome:
    """Give the SR on these LUNs a new identity.

    Raise Refused or DeviceError when nothing was changed, Interrupted when ``recover`` must finish.
    ``cancelled`` is asked until the LUN is hidden; from then on the resign runs to its end.
    """
    repository = load(devices)
    if repository.state == IN_PROGRESS:
        raise Interrupted("lun-in-progress", device=devices[0].path)
    made = build_plan(repository, options)
    if any(lun.pointer and lun.pointer.begun for lun in repository.luns):
        from relun.core import progress

        progress.clear_leftover(repository)
        made = build_plan(load(devices), options)
    space, change = made.space, made.change
    run = new_run(space.region, space.digest)
    transaction = Transaction(devices, change, run, change.labels[change.switch].old)
    transaction.begin(space.content, cancelled)
    transaction.forward()
    return Outcome("resigned", change.old_sr, change.new_sr, made)


def recover(devices: Sequence[Device]) -> Outcome:
    """Finish what was interrupted: a resign goes forward, an undo goes back.

    Raise Interrupted when it cannot be finished now: a LUN is missing, the journal is damaged.
    """
    from relun.core import progress

    repository = load(devices)
    if repository.state != IN_PROGRESS:
        return Outcome("nothing", new_sr=repository.sr_uuid)
    if not progress.is_forward(repository):
        return _finish_undo(repository)
    transaction = progress.resumed(repository)
    transaction.forward()
    return Outcome("recovered", transaction.change.old_sr, transaction.change.new_sr)


def undo(devices: Sequence[Device]) -> Outcome:
    """Give back the clone byte for byte.

    Raise Refused (undo-gone, undo-changed) when the journal is no more or the SR was used since.
    """
    from relun.core import progress

    repository = load(devices)
    if repository.state == IN_PROGRESS:
        return _finish_undo(repository)
    if progress.clear_leftover(repository):
        return Outcome("cleared", new_sr=repository.sr_uuid)
    if not any(lun.pointer for lun in repository.luns):
        return Outcome("nothing", new_sr=repository.sr_uuid)
    transaction = progress.finished(repository)
    transaction.back()
    return Outcome("undone", transaction.change.new_sr, transaction.change.old_sr)


def seal(devices: Sequence[Device]) -> Outcome:
    """Scrub relun's journal and LVM's old texts from a resigned SR. There is no undo afterwards.

    Without relun's pointer it was never resigned, or is sealed already: nothing is done. Raise
    Refused when something on the LUNs cannot be read: it might hold what is to be scrubbed.
    """
    from relun.core import progress
    from relun.core.seal import scrub

    repository = load(devices)
    if repository.state == IN_PROGRESS:
        raise Interrupted("lun-in-progress", device=devices[0].path)
    against = [f for f in refusals(repository.findings) if f.code not in FORCED_BY]
    if against:
        raise Refused("refused", against, device=devices[0].path)
    cleared = progress.clear_leftover(repository)
    repository = load(devices)
    if not any(lun.pointer for lun in repository.luns):
        return Outcome("cleared" if cleared else "nothing", new_sr=repository.sr_uuid)
    scrub(repository)
    return Outcome("sealed", new_sr=repository.sr_uuid)


def verify(
    devices: Sequence[Device], against: Optional[Sequence[Device]] = None
) -> Tuple[Finding, ...]:
    """Return what is wrong with a resigned SR, and with ``against`` what leads back to it.

    ``against`` are the original's LUNs. Raise DeviceError when a LUN cannot be read.
    """
    from relun.core.verify import check_against, check_soundness

    clone = load(devices)
    if against is None:
        return tuple(check_soundness(clone))
    return tuple(check_against(clone, load(against)))


def conflicts(
    found: "Sequence[Tuple[Repository, Optional[BlockNode]]]",
) -> "Tuple[Conflict, ...]":
    """Return the PVs that several of these LUNs carry, each given as repository and kernel node."""
    from relun.core.conflicts import find_conflicts

    return find_conflicts(found)


def _finish_undo(repository: Repository) -> Outcome:
    from relun.core import progress

    if progress.only_clears(repository):
        progress.clear(repository)
        return Outcome("undone")
    transaction = progress.resumed(repository)
    transaction.back()
    return Outcome("undone", transaction.change.new_sr, transaction.change.old_sr)
