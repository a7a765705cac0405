"""The LUN that is to be attached: what stands on it, and how it is reached and resigned."""

import re
from typing import NamedTuple, Protocol

from relun.core import verbs
from relun.core.errors import RelunError
from relun.core.mgt import Mgt
from relun.core.options import Options
from relun.core.repository import DONE, Repository
from relun.pool.before import old_ids
from relun.pool.errors import PoolRefused
from relun.remote.address import ISCSI_PORT, is_remote, parse_iscsi, take_login
from relun.remote.blocks import RemoteDevice
from relun.remote.initiator import own_initiator
from relun.remote.login import Login
from relun.remote.opening import open_remote

# Paths that LVM notes for a PV and that have the LUN's SCSI id in them.
_DESCRIPTION = re.compile(rb"<name_description>([^<]*)</name_description>")
_NAMES_LUN = re.compile(r"/(?:by-scsid/|mapper/|mpInuse/|by-id/scsi-)([0-9a-zA-Z_.-]+)")


class Target(NamedTuple):
    """A clone: its ``iscsi://`` address, or with ``via_plugin`` its SCSI id on the pool's master.

    ``login``: passwords for the address; the PBDs get them too.
    """

    address: str
    login: Login = Login()
    via_plugin: bool = False


def target_of(typed: str, via_plugin: bool = False) -> Target:
    """Return the target that an address (or SCSI id) as typed means."""
    address, login = take_login(typed)
    return Target(address, login, via_plugin or not is_remote(address))


class Disk(NamedTuple):
    """An image with a record in MGT: it becomes a VDI. ``hidden``: a base copy."""

    uuid: str
    name: str
    size: int
    hidden: bool


class Seen(NamedTuple):
    """What stands on a LUN.

    ``state``: original (or a clone as it was copied), in-progress, done (resigned by relun, its
    journal is there). ``here``: it was resigned while it was this very LUN; None when nobody can
    tell. ``hint``: SCSI id of the LUN that LVM's metadata speaks of. ``old``: new -> old uuids.
    """

    scsi_id: str
    state: str
    sr_uuid: str
    name: str = ""
    description: str = ""
    here: bool | None = False
    hint: str = ""
    disks: tuple[Disk, ...] = ()
    old: dict[str, str] = {}


class AlreadyResigned(PoolRefused):
    """The LUN was resigned before, where it is now."""


class Lun(Protocol):
    """A LUN to attach: a remote one, or one that the pool's master sees.

    ``sr_type`` and ``device_config`` are what the pool reaches it by.
    """

    where: str
    sr_type: str

    @property
    def round_trips(self) -> int:
        """How often an answer of the LUN was waited for."""

    def scsi_id(self) -> str:
        """Return the SCSI id as the pool spells it."""

    def look(self) -> Seen:
        """Read what is on it."""

    def resign(self, options: Options) -> dict[str, str]:
        """Give it a new identity; return new -> old uuids. Raise AlreadyResigned, Interrupted."""

    def recover(self) -> bool:
        """Finish what was interrupted; tell whether it was a resign."""

    def undo(self) -> None:
        """Make it the clone that it was, if it is not."""

    def device_config(self) -> dict[str, str]:
        """Return the device-config of its PBDs."""

    def close(self) -> None:
        """Give it back: the pool's hosts are next."""


class RemoteLun:
    """A LUN at an ``iscsi://`` address, reached from here."""

    sr_type = "lvmoiscsi"

    def __init__(self, address: str, login: Login) -> None:
        self.where = address
        self._login = login
        self._device: RemoteDevice | None = None
        self._trips = 0

    @property
    def round_trips(self) -> int:
        """How often an answer of the LUN was waited for."""
        return self._trips + (self._device.wire.round_trips if self._device else 0)

    def scsi_id(self) -> str:
        """Return the SCSI id of page 83h. Raise PoolRefused (pool-scsi-id)."""
        node = self._opened().describe()
        if not node.scsi_id:
            raise PoolRefused("pool-scsi-id", lun=self.where)
        return node.scsi_id

    def look(self) -> Seen:
        """Read what is on it. Raise DeviceError."""
        return seen(verbs.inspect([self._opened()]), self.scsi_id())

    def resign(self, options: Options) -> dict[str, str]:
        """Resign it. Raise RelunError."""
        hint = "/dev/disk/by-id/scsi-" + self.scsi_id()
        outcome = verbs.resign([self._opened()], options._replace(device_hint=hint))
        assert outcome.plan is not None
        ids = outcome.plan.new_ids
        return {new: old for kind in ("sr", "vdi") for old, new in ids[kind].items()}

    def recover(self) -> bool:
        """Finish what was interrupted. Raise RelunError."""
        return verbs.recover([self._opened()]).action == "recovered"

    def undo(self) -> None:
        """Take the resign back. Raise RelunError."""
        try:
            verbs.undo([self._opened()])
        finally:
            self.close()

    def device_config(self) -> dict[str, str]:
        """Return what SM's lvmoiscsi needs."""
        return iscsi_config(self.where, self._login) | {"SCSIid": self.scsi_id()}

    def close(self) -> None:
        """Log out."""
        if self._device is not None:
            self._trips += self._device.wire.round_trips
            self._device.close()
            self._device = None

    def _opened(self) -> RemoteDevice:
        if self._device is None:
            self._device = open_lun(Target(self.where, self._login), writable=True)
        return self._device


def open_lun(target: Target, writable: bool = False) -> RemoteDevice:
    """Open a LUN at an address, by this host's name. Raise DeviceError."""
    login = target.login.filled(Login(initiator=own_initiator()))
    device = open_remote(target.address, login, writable)
    assert isinstance(device, RemoteDevice)
    return device


def seen(repository: Repository, scsi_id: str) -> Seen:
    """Return what was found on a LUN with this SCSI id."""
    content = repository.mgt.content if repository.mgt else None
    mgt = content if isinstance(content, Mgt) else None
    hint = _hint(repository)
    return Seen(
        scsi_id,
        repository.state,
        repository.sr_uuid,
        mgt.sr_name if mgt else "",
        _description(mgt) if mgt else "",
        repository.state == DONE and hint == scsi_id,
        hint,
        _disks(repository, mgt) if mgt else (),
        old_ids(repository) if repository.state == DONE else {},
    )


def iscsi_config(address: str, login: Login) -> dict[str, str]:
    """Return the device-config that leads to a target."""
    parsed = parse_iscsi(address)
    host, _colon, port = parsed.portal.rpartition(":")
    config = {"target": host.strip("[]"), "targetIQN": parsed.iqn}
    if port != str(ISCSI_PORT):
        config["port"] = port
    user = login.user or parsed.user
    if user:
        config |= {"chapuser": user, "chappassword": login.password}
    if login.target_user:
        config["incoming_chapuser"] = login.target_user
        config["incoming_chappassword"] = login.target_password
    return config


def changed_nothing(error: Exception) -> bool:
    """Tell whether an error of core's or of the remote layer's says that the LUN is as it was."""
    return isinstance(error, RelunError) and not error.changed


def _hint(repository: Repository) -> str:
    group = repository.vg
    hints = [pv.device_hint for pv in group.pvs.values()] if group else []
    found = _NAMES_LUN.search(hints[0]) if len(hints) == 1 else None
    return found.group(1) if found else ""


def _description(mgt: Mgt) -> str:
    """Return the SR's description: SM writes the pool's into MGT where they differ."""
    found = _DESCRIPTION.search(mgt.head)
    text = found.group(1).decode("utf-8", "replace") if found else ""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _disks(repository: Repository, mgt: Mgt) -> tuple[Disk, ...]:
    images = {volume.name.vdi: volume for volume in repository.volumes if volume.name.is_image}
    return tuple(
        Disk(
            record.uuid,
            record.name,
            images[record.uuid].virtual_size,
            images[record.uuid].hidden,
        )
        for record in mgt.records
        if record.live and not record.deleted and record.uuid in images
    )
