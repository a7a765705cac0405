"""A clone becomes an SR of the pool: looked at, resigned, introduced, plugged, scanned, checked.

Each step looks first whether it is done, so the same call goes on where an earlier one stopped; and
when a step fails, all that this call did is taken back.
"""

import time
from typing import NamedTuple

from relun.core.errors import Interrupted
from relun.core.identity import random_uuid
from relun.core.options import Options
from relun.core.repository import IN_PROGRESS
from relun.pool import events, known
from relun.pool.connection import ApiFailure, Connection
from relun.pool.errors import PoolRefused
from relun.pool.events import Listener
from relun.pool.judging import judge
from relun.pool.known import Known
from relun.pool.lun import (
    AlreadyResigned,
    Lun,
    RemoteLun,
    Seen,
    changed_nothing,
    iscsi_config,
    target_of,
)
from relun.pool.lun import (
    Target as Target,
)
from relun.pool.marks import ORIGINAL_SR, Attached, Vdi
from relun.pool.plugging import Plugging
from relun.pool.plugin import Plugin
from relun.pool.plugin_lun import PluginLun
from relun.pool.probe import SM_REFUSED, probed_srs, scsi_id_at
from relun.pool.steps import Cancelled, Steps, Undo, never
from relun.pool.turn import turn
from relun.pool.vdis import checked_vdis, recalled
from relun.pool.whole import all_or_nothing, as_ours
from relun.remote.address import is_remote, parse_iscsi


class AttachOptions(NamedTuple):
    """``resign``: options of the resign. ``name``: of the SR, else the one on the LUN.

    ``read_only``: VMs get its disks read-only. It is a mark of relun's: xapi lets SM alone set
    VDI.read_only, and SM's LVM drivers reset it at every scan.
    ``hosts``: names or uuids of the hosts to plug it on, all if empty. ``known_only``: refuse an
    SR that nothing proves to be a copy. ``take_over``: whoever is at work on the LUN is gone.
    """

    resign: Options = Options()
    name: str = ""
    read_only: bool = False
    hosts: tuple[str, ...] = ()
    known_only: bool = False
    take_over: bool = False


def attach(
    connection: Connection,
    target: Target | str,
    options: AttachOptions = AttachOptions(),  # noqa: B008 - a value
    listener: Listener = events.nobody,
    cancelled: Cancelled = never,
) -> Attached:
    """Attach a clone to the pool; an address as text may have passwords in it.

    Raise PoolRefused, DeviceError or Refused when pool and LUN are as they were, PoolUnfinished
    when something stands.
    """
    target = target_of(target) if isinstance(target, str) else target
    began, calls, seconds = time.monotonic(), connection.calls, connection.seconds
    steps = Steps(target.address, listener, cancelled)
    lun: Lun | None = None
    try:
        lun = _lun(connection, target)
        with steps.step("look", target.address):
            scsi_id = lun.scsi_id()
        (pool,) = connection.call("pool.get_all")
        with (
            turn(connection, pool, scsi_id, steps, options.take_over),
            all_or_nothing(steps),
        ):
            done = _Attaching(connection, lun, options, steps).run()
    except ApiFailure as failure:
        raise as_ours(failure) from failure
    finally:
        if lun is not None:
            lun.close()
    return done._replace(
        seconds=time.monotonic() - began,
        pool_seconds=connection.seconds - seconds,
        calls=connection.calls - calls,
        round_trips=lun.round_trips,
    )


class _Attaching:
    def __init__(
        self, connection: Connection, lun: Lun, options: AttachOptions, steps: Steps
    ) -> None:
        self._connection = connection
        self._lun = lun
        self._options = options
        self._steps = steps
        self._known: Known = known.read(connection)
        self._hosts = self._known.chosen_hosts(options.hosts)
        self._own_sr = ""  # the LUN's, once this call has seen to it
        self._changed = False

    def run(self) -> Attached:
        seen, old = self._with_own_identity()
        config = self._lun.device_config()
        self._lun.close()  # the hosts are next
        plugging = Plugging(self._connection, self._known, self._steps, seen.sr_uuid, seen.scsi_id)
        plugging.expect_shareable(self._hosts)
        if self._hosts[0] not in plugging.plugged_on:
            self._probe(self._hosts[0], seen.sr_uuid, config)
        name = self._options.name or seen.name or "SR " + seen.sr_uuid[:8]
        # An SR that the master has no part in is one of a single host, which is then its master.
        shared = self._known.master in self._hosts
        plugging.introduce(name, seen.description, self._lun.sr_type, shared)
        plugging.mark(old.get(seen.sr_uuid, ""), self._options.read_only)
        for host in self._hosts:
            plugging.plug(host, config)
        plugging.scan()
        return Attached(
            plugging.sr,
            seen.sr_uuid,
            old.get(seen.sr_uuid, "") or self._original(plugging.sr),
            self._name(plugging.sr) or name,
            seen.scsi_id,
            self._vdis(plugging.sr, seen, old),
            tuple(map(self._known.host_name, self._hosts)),
            self._lun.where,
            not (self._changed or plugging.changed),
        )

    def _with_own_identity(self) -> tuple[Seen, dict[str, str]]:
        """Give the LUN an identity of its own unless it has one; return new -> old uuids too."""
        seen = self._lun.look()
        where = self._lun.where
        undo = Undo("undo", f"LUN {where}, resigned or in progress", self._undo)
        resigned = self._judge(seen)
        if seen.state == IN_PROGRESS:
            self._own_sr = seen.sr_uuid
            with self._steps.making("recover", where, undo):
                recovered = self._lun.recover()
            self._changed = True
            seen = self._lun.look()._replace(here=recovered)
            resigned = self._judge(seen)
        if resigned:
            return seen, seen.old
        asked = self._options.resign
        if not asked.sr_uuid:
            asked = asked._replace(sr_uuid=asked.id_map.get(seen.sr_uuid, "") or random_uuid())
        self._own_sr = asked.sr_uuid
        try:
            with self._steps.making("resign", where, undo, changed_nothing):
                old = self._lun.resign(asked)
        except AlreadyResigned:
            return seen, {}
        except Interrupted as error:
            raise PoolRefused("pool-resign", lun=where, cause=error) from error
        self._changed = True
        return self._lun.look(), old

    def _undo(self) -> None:
        """Make the LUN the clone that it was, unless the pool has its SR still."""
        if self._own_sr and self._connection.find("SR", self._own_sr):
            raise PoolRefused("pool-sr-there", lun=self._lun.where)
        self._lun.undo()

    def _judge(self, seen: Seen) -> bool:
        options = self._options
        return judge(seen, self._known, options.resign, options.known_only, self._lun.where)

    def _probe(self, host: str, sr_uuid: str, config: dict[str, str]) -> None:
        """Let SM on a host look at the LUN: it must find the new SR and nothing else.

        Raise ApiFailure, PoolRefused (pool-host-lun, pool-probe).
        """
        name = self._known.host_name(host)
        with self._steps.step("SR.probe", name):
            try:
                found = probed_srs(self._connection, host, self._lun.sr_type, config)
            except ApiFailure as failure:
                if not failure.code.startswith(SM_REFUSED):
                    raise
                raise PoolRefused(
                    "pool-host-lun", host=name, lun=self._lun.where, reason=failure.reason
                ) from failure
        if found != [sr_uuid]:
            fields = {"host": name, "found": found, "sr_uuid": sr_uuid}
            raise PoolRefused("pool-probe", **fields, lun=self._lun.where)

    def _vdis(self, sr: str, seen: Seen, old: dict[str, str]) -> tuple[Vdi, ...]:
        if not old:
            original = self._known.sr(self._original(sr))
            old = recalled(self._connection, original, seen.sr_uuid)
        with self._steps.step("check", f"{len(seen.disks)} VDIs"):
            return checked_vdis(self._connection, sr, seen.disks, old, self._lun.where)

    def _original(self, sr: str) -> str:
        record = self._known.srs.get(sr, {"other_config": {}})
        return str(record["other_config"].get(ORIGINAL_SR, ""))

    def _name(self, sr: str) -> str:
        """Return the name that the SR had before this call."""
        return str(self._known.srs[sr]["name_label"]) if sr in self._known.srs else ""


def _lun(connection: Connection, target: Target) -> Lun:
    """Return the LUN at a target. Raise ApiFailure, DeviceError, PoolRefused."""
    address = target.address
    if not target.via_plugin:
        if not address.startswith("iscsi://"):
            raise PoolRefused("pool-target", target=address)
        return RemoteLun(address, target.login)
    master = connection.master
    host_name = str(connection.call("host.get_name_label", master))
    plugin = Plugin(connection, master, host_name)
    if not is_remote(address):
        return PluginLun(plugin, address, address, {})
    if not address.startswith("iscsi://"):
        raise PoolRefused("pool-target", target=address)
    config = iscsi_config(address, target.login)
    scsi_id = scsi_id_at(connection, master, config, parse_iscsi(address).lun)
    return PluginLun(plugin, scsi_id, address, config)
