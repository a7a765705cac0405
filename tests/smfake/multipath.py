"""SM's mpath_dmp, mpath_null and mpath_cli: a map is a link in the host's folder."""

import os
from typing import Any, List

from smfake import host, iscsilib, util, xs_errors
from smfake.fairlock import Fairlock


class Dmp:
    """mpath_dmp."""

    @staticmethod
    def activate() -> None:
        """Start multipathd."""

    deactivate = activate

    @staticmethod
    def refresh(sid: str, _npaths: int) -> None:
        """Make the map of a LUN."""
        if host.fault("no-map"):
            raise xs_errors.XenError("SMGeneral", "MultipathMapperPathMissing")
        with Fairlock("devicemapper"):
            for folder in ("mapper", "mpInuse"):
                link = host.place("dev", folder, sid)
                if not os.path.lexists(link):
                    os.symlink(os.path.realpath(iscsilib.by_id(sid)), link)

    @staticmethod
    def reset(sid: str, explicit_unmap: bool = False) -> None:
        """Remove the map; like multipath -f, fail when there is none."""
        in_use = host.place("dev", "mpInuse", sid)
        if os.path.lexists(in_use):
            os.unlink(in_use)
        assert explicit_unmap
        with Fairlock("devicemapper"):
            mapped = host.place("dev", "mapper", sid)
            if not os.path.lexists(mapped):
                raise util.CommandException(1, "/usr/sbin/multipath -f " + sid)
            os.unlink(mapped)

    @staticmethod
    def path(scsi_id: str) -> str:
        """Return the device to use for a LUN."""
        return host.place("dev", "mpInuse", scsi_id)


class Null:
    """mpath_null."""

    @staticmethod
    def activate() -> None:
        """Nothing to start."""

    deactivate = activate

    @staticmethod
    def refresh(_sid: str, _npaths: int) -> None:
        """No map to make."""

    @staticmethod
    def reset(_sid: str, explicit_unmap: bool = False) -> None:
        """No map to remove."""

    @staticmethod
    def path(scsi_id: str) -> str:
        """Return the device to use for a LUN."""
        return iscsilib.by_id(scsi_id)


class Cli:
    """mpath_cli."""

    @staticmethod
    def list_maps() -> List[str]:
        """Return the SCSI ids that have a map."""
        return host.names("dev", "mapper")


def module(name: str) -> Any:
    """Return the stand-in of one of the three modules."""
    return {"mpath_dmp": Dmp, "mpath_null": Null, "mpath_cli": Cli}[name]
