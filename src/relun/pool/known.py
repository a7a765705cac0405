"""What a pool's database says of LUNs: which SR stands on which SCSI id, who is in the pool."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from relun.core.names import is_uuid
from relun.pool.connection import Connection, Record
from relun.pool.errors import PoolRefused

_SERIAL = "scsi-"  # before the SCSI id in SR.sm_config[devserial], which SM sets


class Known(NamedTuple):
    """The pool's records by reference, as they were when ``read`` was called."""

    pool: str
    master: str
    hosts: Mapping[str, Record]
    srs: Mapping[str, Record]
    pbds: Mapping[str, Record]

    def sr(self, uuid: str) -> str:
        """Return the reference of an SR, empty when the pool does not know it."""
        return next((ref for ref, sr in self.srs.items() if uuid and sr["uuid"] == uuid), "")

    def find_sr(self, wanted: str) -> str:
        """Return the reference of the SR that a uuid or a name means; empty for an unknown uuid.

        Raise PoolRefused (pool-sr-missing, pool-several) for a name that does not mean one SR.
        """
        if is_uuid(wanted):
            return self.sr(wanted)
        found = [ref for ref, sr in self.srs.items() if sr["name_label"] == wanted]
        if not found:
            raise PoolRefused("pool-sr-missing", sr=wanted)
        if len(found) > 1:
            uuids = sorted(str(self.srs[ref]["uuid"]) for ref in found)
            raise PoolRefused("pool-several", kind="SR", name=wanted, uuids=uuids)
        return found[0]

    def pbds_of(self, sr: str) -> dict[str, Record]:
        """Return an SR's PBDs."""
        return {ref: pbd for ref, pbd in self.pbds.items() if pbd["SR"] == sr}

    def scsi_ids_of(self, sr: str) -> list[str]:
        """Return the SCSI ids of the LUNs that an SR stands on, as the pool has it."""
        found: dict[str, None] = {}
        sm_config = self.srs[sr]["sm_config"] if sr in self.srs else {}
        for pbd in self.pbds_of(sr).values():
            found.update(dict.fromkeys(_scsi_ids(pbd["device_config"], {})))
        found.update(dict.fromkeys(_scsi_ids({}, sm_config)))
        return list(found)

    def users_of(self, scsi_id: str) -> list[str]:
        """Return the references of the SRs that stand on a LUN, plugged or not."""
        return [ref for ref in self.srs if scsi_id and scsi_id in self.scsi_ids_of(ref)]

    def host_name(self, host: str) -> str:
        """Return a host's name."""
        return str(self.hosts[host]["name_label"]) if host in self.hosts else host

    def chosen_hosts(self, wanted: Sequence[str]) -> list[str]:
        """Return the references of hosts given by name or uuid, the master first; all for none.

        Raise PoolRefused (pool-host-missing, pool-host-master).
        """
        found = [self._host(name) for name in wanted] or list(self.hosts)
        # The master alone changes LVM's metadata on a shared SR; only an SR of one host has that
        # host for a master (xapi: get_srmaster).
        if len(set(found)) > 1 and self.master not in found:
            raise PoolRefused("pool-host-master", host=self.host_name(self.master))
        return sorted(dict.fromkeys(found), key=lambda host: host != self.master)

    def _host(self, wanted: str) -> str:
        key = "uuid" if is_uuid(wanted) else "name_label"
        found = [ref for ref, host in self.hosts.items() if host[key] == wanted]
        if len(found) != 1:
            names = sorted(str(host["name_label"]) for host in self.hosts.values())
            raise PoolRefused("pool-host-missing", host=wanted, hosts=names)
        return found[0]


def read(connection: Connection) -> Known:
    """Read the pool's database. Raise ApiFailure."""
    ((pool, record),) = connection.records("pool").items()
    hosts, srs, pbds = (connection.records(kind) for kind in ("host", "SR", "PBD"))
    return Known(pool, str(record["master"]), hosts, srs, pbds)


def _scsi_ids(device_config: Mapping[str, str], sm_config: Mapping[str, str]) -> list[str]:
    found = [config["SCSIid"] for config in (device_config, sm_config) if config.get("SCSIid")]
    for serial in sm_config.get("devserial", "").split(","):
        if serial.startswith(_SERIAL):
            found.append(serial[len(_SERIAL) :])
    return found + [key[len(_SERIAL) :] for key in sm_config if key.startswith(_SERIAL)]
