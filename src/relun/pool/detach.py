"""An attached clone leaves the pool; then its LUN may be deleted on the array.

Nothing of this can be taken back: a step that fails ends it, and the same call goes on from there.
Only a host that is down does not keep the SR from leaving the others.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from relun.pool import events, machine
from relun.pool.connection import ApiFailure, Connection, Record
from relun.pool.errors import PoolRefused, PoolUnfinished
from relun.pool.events import Listener
from relun.pool.known import Known, read
from relun.pool.marks import ATTACHED
from relun.pool.steps import Cancelled, Steps, never
from relun.pool.turn import turn
from relun.pool.unplugging import forget_sr, unplug_pbd
from relun.pool.whole import as_ours

# What xapi's master says of a host that it cannot send a call to.
_HOST_DOWN = ("HOST_OFFLINE", "CANNOT_CONTACT_HOST", "HOST_NOT_LIVE", "HOST_STILL_BOOTING")


class DetachOptions(NamedTuple):
    """``remove_vms``: VMs that restore_vm made on it go first. ``force``: also without a mark.

    ``take_over``: whoever is at work on the LUN is known to be gone.
    """

    remove_vms: bool = False
    force: bool = False
    take_over: bool = False


class Detached(NamedTuple):
    """What is no longer in the pool. ``scsi_ids``, ``targets``: the LUN, for the array.

    ``already``: the pool did not know the SR any more.
    """

    sr_uuid: str
    name: str
    scsi_ids: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()  # IQNs
    vms: tuple[str, ...] = ()  # names of those that were removed
    already: bool = False


def detach(
    connection: Connection,
    sr: str,
    options: DetachOptions = DetachOptions(),  # noqa: B008 - a value
    listener: Listener = events.nobody,
    cancelled: Cancelled = never,
) -> Detached:
    """Take an attached clone (uuid or name of its SR) out of the pool.

    Raise PoolRefused when nothing was changed, PoolUnfinished when a part of it stands still.
    """
    steps = Steps(sr, listener, cancelled)
    try:
        known = read(connection)
        reference = known.find_sr(sr)
        if not reference:
            return Detached(sr, "", already=True)
        ids = known.scsi_ids_of(reference) or [known.srs[reference]["uuid"]]
        with turn(connection, known.pool, ids[0], steps, options.take_over):
            return _Detaching(connection, read(connection), reference, options, steps).run()
    except ApiFailure as failure:
        raise as_ours(failure) from failure


class _Detaching:
    def __init__(
        self,
        connection: Connection,
        known: Known,
        sr: str,
        options: DetachOptions,
        steps: Steps,
    ) -> None:
        self._connection = connection
        self._known = known
        self._sr = sr
        self._options = options
        self._steps = steps

    def run(self) -> Detached:
        connection, known, sr = self._connection, self._known, self._sr
        if sr not in known.srs:  # somebody else's detach was first
            raise PoolRefused("pool-gone", sr=sr)
        record = known.srs[sr]
        if ATTACHED not in record["other_config"] and not self._options.force:
            raise PoolRefused("pool-not-ours", sr=record["name_label"], uuid=record["uuid"])
        half = self._is_half_off(record)
        before = self._standing()
        try:
            vms = self._vms_to_remove(record)
            for reference, vm in vms.items():
                with self._steps.step("VM.destroy", vm["name_label"]):
                    machine.remove(connection, reference, vm)
            self._take_off_hosts()
            with self._steps.step("SR.forget", record["uuid"]):
                forget_sr(connection, record["uuid"])
        except Exception as error:
            standing = self._standing()
            if standing == before and not half:
                raise
            raise PoolUnfinished("pool-half-detached", standing, cause=as_ours(error)) from error
        configs = [pbd["device_config"] for pbd in known.pbds_of(sr).values()]
        return Detached(
            record["uuid"],
            record["name_label"],
            tuple(known.scsi_ids_of(sr)),
            tuple(sorted({config["targetIQN"] for config in configs if "targetIQN" in config})),
            tuple(vm["name_label"] for vm in vms.values()),
        )

    def _is_half_off(self, record: Record) -> bool:
        """Tell whether an earlier detach stopped half-way: relun's SR is not plugged everywhere."""
        pbds = self._known.pbds_of(self._sr).values()
        plugged = bool(pbds) and all(pbd["currently_attached"] for pbd in pbds)
        return ATTACHED in record["other_config"] and not plugged

    def _take_off_hosts(self) -> None:
        """Unplug it on every host; one that is down does not stop the others.

        Raise PoolRefused (pool-host-down).
        """
        pbds = self._known.pbds_of(self._sr)
        down = []
        # The master last: it is the one that may write to the SR's metadata.
        for reference in sorted(pbds, key=lambda pbd: pbds[pbd]["host"] == self._known.master):
            name = self._known.host_name(pbds[reference]["host"])
            if pbds[reference]["currently_attached"]:
                try:
                    with self._steps.step("PBD.unplug", name):
                        unplug_pbd(self._connection, self._sr, reference)
                except ApiFailure as failure:
                    if failure.code not in _HOST_DOWN:
                        raise
                    down.append(name)
        if down:
            raise PoolRefused("pool-host-down", hosts=down)

    def _vms_to_remove(self, record: Record) -> dict[str, Record]:
        """Return the VMs that restore_vm made here. Raise PoolRefused (pool-vms)."""
        vbds = self._vbds()
        if self._options.force:  # a halted VM loses the disk
            vbds = [vbd for vbd in vbds if vbd["currently_attached"]]
        made = machine.made_on(self._connection, self._sr, record["uuid"], alone=True)
        others = {vbd["VM"] for vbd in vbds} - set(made)
        blocking = others if self._options.remove_vms else others | set(made)
        if blocking:
            vms = self._connection.records("VM")
            raise PoolRefused("pool-vms", sr=record["name_label"], vms=_names(vms, blocking))
        return made

    def _vbds(self) -> list[Record]:
        vdis = set(self._connection.records_of("VDI", "SR", self._sr))
        return [vbd for vbd in self._connection.records("VBD").values() if vbd["VDI"] in vdis]

    def _standing(self) -> list[str]:
        """Return what of the SR is in the pool now, as far as the pool still answers."""
        record = self._known.srs[self._sr]
        try:
            if not self._connection.find("SR", record["uuid"]):
                return []
            pbds = self._connection.records_of("PBD", "SR", self._sr)
            vms = machine.made_on(self._connection, self._sr, record["uuid"], alone=True)
        except ApiFailure as failure:
            return [f"not known: {failure.reason}"]
        found = [f'SR {record["uuid"]} "{record["name_label"]}" in the pool']
        for pbd in pbds.values():
            how = "plugged" if pbd["currently_attached"] else "a PBD"
            found.append(f"{how} on {self._known.host_name(pbd['host'])}")
        found += [f"VM {vm['name_label']}" for vm in vms.values()]
        return sorted(found)


def _names(vms: Mapping[str, Record], references: Iterable[str]) -> list[str]:
    return sorted(vms[ref]["name_label"] if ref in vms else ref for ref in references)
