"""A LUN that the pool's master sees, resigned there by relun's plugin."""

from relun.core.options import Options
from relun.core.repository import DONE
from relun.pool.errors import PoolRefused
from relun.pool.lun import AlreadyResigned, Disk, Seen
from relun.pool.plugin import Answer, Plugin

ALREADY = "already-resigned"  # the plugin's word for a LUN that was resigned where it is


class PluginLun:
    """A LUN that is named by its SCSI id. ``device_config``: what leads to it, beside that."""

    def __init__(self, plugin: Plugin, scsi_id: str, where: str, config: dict[str, str]) -> None:
        self.where = where
        self.sr_type = "lvmoiscsi" if config else "lvmohba"
        self._plugin = plugin
        self._scsi_id = scsi_id
        self._config = config

    @property
    def round_trips(self) -> int:
        """None: they are the master's."""
        return 0

    def scsi_id(self) -> str:
        """Return the SCSI id."""
        return self._scsi_id

    def look(self) -> Seen:
        """Read what is on it. Raise ApiFailure, RelunError."""
        found = self._run("inspect")["repository"]
        disks = (
            Disk(image["vdi"], image["name"], image["virtual_size"], image["hidden"])
            for image in found["images"]
            if image["name"] is not None
        )
        return Seen(
            self._scsi_id,
            found["state"],
            found["sr_uuid"],
            found["sr_name"],
            here=None if found["state"] == DONE else False,
            disks=tuple(disks),
        )

    def resign(self, options: Options) -> dict[str, str]:
        """Resign it. Raise ApiFailure, RelunError, AlreadyResigned."""
        asked = {
            "sr-uuid": options.sr_uuid,
            "label": options.label,
            "map": dict(options.id_map),
            "drop-snapshots": options.drop_snapshots,
            "drop-cbt": options.drop_cbt,
            "force-journals": options.force_journals,
            "force-mgt": options.force_mgt,
        }
        try:
            answer = self._run("resign", **{key: value for key, value in asked.items() if value})
        except PoolRefused as error:
            if error.fields.get("reason") == ALREADY:
                raise AlreadyResigned(error.code, **error.fields) from error
            raise
        ids = answer["outcome"]["ids"]
        return {new: old for kind in ("sr", "vdi") for old, new in ids[kind].items()}

    def recover(self) -> bool:
        """Finish what was interrupted. Raise ApiFailure, RelunError."""
        return bool(self._run("recover")["outcome"]["action"] == "recovered")

    def undo(self) -> None:
        """Take the resign back. Raise ApiFailure, RelunError."""
        self._run("undo")

    def device_config(self) -> dict[str, str]:
        """Return the device-config of its PBDs."""
        return self._config | {"SCSIid": self._scsi_id}

    def close(self) -> None:
        """Nothing is open."""

    def _run(self, function: str, **asked: object) -> Answer:
        return self._plugin.run(function, SCSIid=self._scsi_id, **asked)
