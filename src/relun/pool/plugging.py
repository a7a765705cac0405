"""An SR's way into the pool's database and onto its hosts; every step looks first."""

from collections.abc import Callable, Mapping, Sequence

from relun.pool.clock import timestamp
from relun.pool.connection import NO_ANSWER, ApiFailure, Connection, Record
from relun.pool.errors import PoolRefused
from relun.pool.known import Known
from relun.pool.marks import ATTACHED, ORIGINAL_SR, READ_ONLY
from relun.pool.steps import Steps, Undo
from relun.pool.unplugging import destroy_pbd, forget_sr, pbd_on, unmark, unplug_pbd


class Plugging:
    """The SR of one LUN on its way. ``sr``: its reference once it is there.

    ``changed`` tells whether anything had to be done. What is made of an SR that was not there
    before goes with it: SR.forget takes marks, PBDs and their Secrets along.
    """

    def __init__(
        self, connection: Connection, known: Known, steps: Steps, sr_uuid: str, scsi_id: str
    ) -> None:
        self._connection = connection
        self._known = known
        self._steps = steps
        self._uuid = sr_uuid
        self._scsi_id = scsi_id
        self.sr = known.sr(sr_uuid)
        self._was_there = bool(self.sr)
        self.changed = False

    def expect_shareable(self, hosts: Sequence[str]) -> None:
        """Raise PoolRefused (pool-sr-unshared) for an SR of another host alone.

        xapi does nothing any more with an SR that is not shared and has a second PBD.
        """
        if not self.sr or self._record["shared"]:
            return
        there = {str(pbd["host"]) for pbd in self._known.pbds_of(self.sr).values()}
        if len(there | set(hosts)) > 1:
            names = [self._known.host_name(host) for host in sorted(there)]
            raise PoolRefused("pool-sr-unshared", sr_uuid=self._uuid, hosts=names)

    def introduce(self, name: str, description: str, sr_type: str, shared: bool) -> None:
        """Make the SR's record. Raise ApiFailure, PoolRefused (pool-sr-known)."""
        if self.sr:
            return
        connection, uuid = self._connection, self._uuid
        standing = f'SR {uuid} "{name}" in the pool, with its PBDs'
        undo = Undo("SR.forget", standing, lambda: forget_sr(connection, uuid))
        with self._steps.making("SR.introduce", uuid, undo, _answered("SR_UUID_EXISTS")):
            self.sr = str(
                connection.call(
                    "SR.introduce", uuid, name, description, sr_type, "user", shared, {}
                )
            )
        self.changed = True

    def mark(self, old_sr: str, read_only: bool) -> None:
        """Say in the SR's record that relun attached it. Raise ApiFailure."""
        marks = {ORIGINAL_SR: old_sr, READ_ONLY: "true" if read_only else "", ATTACHED: timestamp()}
        for key, value in marks.items():
            if value and key not in self._record["other_config"]:
                self._mark(key, value)

    def plug(self, host: str, device_config: Mapping[str, str]) -> None:
        """Make the host's PBD and plug it. Raise ApiFailure, PoolRefused (pool-host-lun, …)."""
        connection, sr, name = self._connection, self.sr, self._known.host_name(host)
        pbd, record = pbd_on(self._known.pbds, sr, host)
        if record and record["device_config"].get("SCSIid") != self._scsi_id:
            raise PoolRefused("pool-pbd-other", sr_uuid=self._uuid, host=name)
        if not pbd:
            standing = f"PBD of SR {self._uuid} on {name}"
            undo = self._unless_new(
                Undo("PBD.destroy", standing, lambda: destroy_pbd(connection, sr, host))
            )
            fields = {"SR": sr, "host": host, "device_config": dict(device_config)}
            with self._steps.making("PBD.create", name, undo, _answered("PBD_EXISTS")):
                pbd = str(connection.call("PBD.create", fields | {"other_config": {}}))
        if not (record and record["currently_attached"]):
            standing = f"SR {self._uuid} plugged on {name}"
            undo = Undo("PBD.unplug", standing, lambda: unplug_pbd(connection, sr, pbd))
            with self._steps.making("PBD.plug", name, undo):
                self._plug(pbd, name)
            self.changed = True

    def scan(self) -> None:
        """Let SM tell the pool of the VDIs. Raise ApiFailure."""
        with self._steps.step("SR.scan", self._uuid):
            self._connection.call("SR.scan", self.sr)

    @property
    def plugged_on(self) -> list[str]:
        """The hosts that had it plugged at the start."""
        pbds = self._known.pbds_of(self.sr).values() if self.sr else ()
        return [str(pbd["host"]) for pbd in pbds if pbd["currently_attached"]]

    @property
    def _record(self) -> Record:
        return self._known.srs.get(self.sr, {"other_config": {}})

    def _mark(self, key: str, value: str) -> None:
        connection, sr = self._connection, self.sr
        standing = f"{key} in other_config of SR {self._uuid}"
        undo = Undo("SR.remove_from_other_config", standing, lambda: unmark(connection, sr, key))
        with self._steps.making("SR.add_to_other_config", key, self._unless_new(undo)):
            connection.call("SR.add_to_other_config", sr, key, value)
        self.changed = True

    def _unless_new(self, undo: Undo) -> Undo | None:
        return undo if self._was_there else None

    def _plug(self, pbd: str, host_name: str) -> None:
        try:
            self._connection.call("PBD.plug", pbd)
        except ApiFailure as failure:
            if failure.code == NO_ANSWER:
                raise
            fields = {"host": host_name, "lun": self._scsi_id, "reason": failure.reason}
            raise PoolRefused("pool-host-lun", **fields) from failure


def _answered(code: str) -> Callable[[Exception], bool]:
    """Return whether an error is xapi's word that somebody else made the object."""
    return lambda error: isinstance(error, ApiFailure) and error.code == code
