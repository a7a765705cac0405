"""Which LUNs carry an SR that the pool knows by another one: originals, clones, LUNs in progress.

Three sources: the pool's database, relun's plugin on each host that has it (what the host sees),
and LUNs that are read from here.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from relun.core import verbs
from relun.core.conflicts import CLONE, ORIGINAL, UNRESOLVED
from relun.core.errors import DeviceError, RelunError
from relun.core.repository import IN_PROGRESS, Repository
from relun.core.sysfs import BlockNode
from relun.pool import events
from relun.pool.connection import ApiFailure, Connection
from relun.pool.events import Listener
from relun.pool.known import Known, read
from relun.pool.lun import Target, open_lun
from relun.pool.plugin import Answer, Plugin
from relun.pool.steps import Cancelled, Steps, never
from relun.pool.whole import as_ours

_BY_DATABASE = "the SR's PBDs name this LUN"


class LunCopy(NamedTuple):
    """A LUN with an SR that stands elsewhere too. ``places``: device on a host, or address.

    ``role``: original, clone, unresolved, in-progress.
    """

    scsi_id: str
    role: str
    reasons: tuple[str, ...]
    places: tuple[str, ...]


class PoolConflict(NamedTuple):
    """An SR on several LUNs, or on another one than the pool knows. ``name``: the pool's for it."""

    sr_uuid: str
    name: str
    known: tuple[str, ...]  # SCSI ids that the pool has for it
    copies: tuple[LunCopy, ...]


class Unread(NamedTuple):
    """A LUN, or a host's LUNs, that could not be looked at."""

    place: str
    error: RelunError


class PoolConflicts(NamedTuple):
    """``without_plugin``: names of hosts whose LUNs nobody looked at."""

    conflicts: tuple[PoolConflict, ...]
    in_progress: tuple[LunCopy, ...]
    looked_at: tuple[str, ...]
    without_plugin: tuple[str, ...]
    unread: tuple[Unread, ...]


def conflicts(
    connection: Connection,
    targets: Sequence[Target] = (),
    listener: Listener = events.nobody,
    cancelled: Cancelled = never,
) -> PoolConflicts:
    """Find conflicts. Raise PoolRefused when the pool does not answer, and when cancelled."""
    steps = Steps("conflicts", listener, cancelled)
    try:
        with steps.step("read", "the pool's database"):
            looking = _Looking(connection, read(connection), steps)
    except ApiFailure as failure:
        raise as_ours(failure) from failure
    looking.by_database()
    for host in looking.known.hosts:
        looking.by_plugin(host)
    looking.by_address(targets)
    return looking.result()


class _Looking:
    def __init__(self, connection: Connection, known: Known, steps: Steps) -> None:
        self.known = known
        self._connection = connection
        self._steps = steps
        self._copies: dict[str, list[LunCopy]] = {}  # by SR uuid
        self._in_progress: list[LunCopy] = []
        self._looked_at: list[str] = []
        self._without: list[str] = []
        self._unread: list[Unread] = []

    def by_database(self) -> None:
        """SRs whose PBDs name different LUNs."""
        for sr, record in self.known.srs.items():
            named: dict[str, list[str]] = {}
            for pbd in self.known.pbds_of(sr).values():
                scsi_id = pbd["device_config"].get("SCSIid", "")
                if scsi_id:
                    named.setdefault(scsi_id, []).append(self.known.host_name(pbd["host"]))
            for scsi_id, hosts in named.items() if len(named) > 1 else ():
                reason = f"the PBD on {', '.join(sorted(hosts))} names this LUN"
                self._add(record["uuid"], LunCopy(scsi_id, UNRESOLVED, (reason,), ()))

    def by_plugin(self, host: str) -> None:
        """What a host sees, where it has the plugin."""
        name = self.known.host_name(host)
        try:
            with self._steps.step("host.call_plugin", name):
                answer = Plugin(self._connection, host, name).run("conflicts")
        except (ApiFailure, RelunError) as error:
            found = as_ours(error)
            if found.code == "pool-stopped":
                raise
            if found.code == "pool-plugin-missing":
                self._without.append(name)
            else:
                self._unread.append(Unread(name, found))
            return
        self._looked_at += [f"{device} on {name}" for device in answer["looked_at"]]
        for conflict in answer["conflicts"]:
            for copy in conflict["copies"]:
                self._add(conflict["sr_uuid"], _told(copy, copy["role"], copy["reasons"], name))
        for hidden in answer["in_progress"]:
            reasons = ["relun's marker stands on it"]
            self._in_progress.append(_told(hidden, IN_PROGRESS, reasons, name))

    def by_address(self, targets: Iterable[Target]) -> None:
        """LUNs that are read from here."""
        found: list[tuple[Repository, BlockNode]] = []
        for target in targets:
            try:
                with self._steps.step("look", target.address):
                    found.append(_read(target))
            except DeviceError as error:
                self._unread.append(Unread(target.address, error))
                continue
            self._looked_at.append(target.address)
        unknown = []
        for repository, node in found:
            owners = self.known.scsi_ids_of(self.known.sr(repository.sr_uuid))
            if repository.state == IN_PROGRESS:
                reasons: Sequence[str] = ("relun's marker stands on it",)
                self._in_progress.append(_copy(repository, node, IN_PROGRESS, reasons))
            elif owners and node.scsi_id in owners:
                self._add(repository.sr_uuid, _copy(repository, node, ORIGINAL, (_BY_DATABASE,)))
            elif owners:
                reasons = ("the SR's PBDs name another LUN: " + ", ".join(owners),)
                self._add(repository.sr_uuid, _copy(repository, node, CLONE, reasons))
            elif repository.sr_uuid:
                unknown.append((repository, node))
        self._by_themselves(unknown)

    def result(self) -> PoolConflicts:
        """Return what was found; an original that stands alone is no conflict."""
        found = []
        for sr_uuid, copies in sorted(self._copies.items()):
            sr = self.known.sr(sr_uuid)
            merged = _merged(copies)
            if [copy.role for copy in merged] != [ORIGINAL]:
                name = str(self.known.srs[sr]["name_label"]) if sr else ""
                found.append(PoolConflict(sr_uuid, name, tuple(self.known.scsi_ids_of(sr)), merged))
        return PoolConflicts(
            tuple(found),
            _merged(self._in_progress),
            tuple(self._looked_at),
            tuple(self._without),
            tuple(self._unread),
        )

    def _by_themselves(self, found: Sequence[tuple[Repository, BlockNode]]) -> None:
        """SRs that the pool does not know: only what stands on the LUNs tells them apart."""
        by_path = {repository.devices[0].path: (repository, node) for repository, node in found}
        for conflict in verbs.conflicts(found):
            for copy in conflict.copies:
                repository, node = by_path[copy.path]
                self._add(conflict.sr_uuid, _copy(repository, node, copy.role, copy.reasons))

    def _add(self, sr_uuid: str, copy: LunCopy) -> None:
        self._copies.setdefault(sr_uuid, []).append(copy)


def _read(target: Target) -> tuple[Repository, BlockNode]:
    device = open_lun(target)
    with device:
        return verbs.inspect([device]), device.describe()


def _copy(repository: Repository, node: BlockNode, role: str, reasons: Iterable[str]) -> LunCopy:
    return LunCopy(node.scsi_id, role, tuple(reasons), (repository.devices[0].path,))


def _told(found: Answer, role: str, reasons: Iterable[str], host: str) -> LunCopy:
    return LunCopy(found["scsi_id"], role, tuple(reasons), (f"{found['device']} on {host}",))


def _merged(copies: Sequence[LunCopy]) -> tuple[LunCopy, ...]:
    """Return one entry a LUN: what several hosts say of it, the most certain role first."""
    by_lun: dict[str, list[LunCopy]] = {}
    for copy in copies:
        by_lun.setdefault(copy.scsi_id or copy.places[0], []).append(copy)
    merged = []
    for same in by_lun.values():
        roles = {copy.role for copy in same} - {UNRESOLVED}
        role = roles.pop() if len(roles) == 1 else UNRESOLVED
        reasons = {reason: None for copy in same for reason in copy.reasons if copy.role == role}
        places = {place: None for copy in same for place in copy.places}
        merged.append(LunCopy(same[0].scsi_id, role, tuple(reasons), tuple(places)))
    return tuple(sorted(merged, key=lambda copy: (copy.role != ORIGINAL, copy.places)))
