"""The host's own drivers: LVM over iSCSI and over Fibre Channel, and the HBA driver below it."""

import os
import sys
import xml.dom.minidom
from typing import Any, Dict, List, Optional

from smfake import SR, host, iscsilib, multipath, util, xs_errors
from smfake.lvmsr import LVMSR, append

_CAPABILITIES = ["SR_PROBE", "SR_UPDATE", "SR_METADATA", "SR_TRIM", "VDI_CREATE", "VDI_DELETE"]
_COMMON = [["SCSIid", "The scsi_id of the destination LUN"], ["allocation", "thick or thin"]]
_ISCSI = [
    ["target", "IP address or hostname of the iSCSI target"],
    ["targetIQN", "The IQN of the target LUN group to be attached"],
    ["chapuser", "The username to be used during CHAP authentication"],
    ["chappassword", "The password to be used during CHAP authentication"],
]


def driver_info(transport: str) -> Dict[str, Any]:
    """Return a driver's DRIVER_INFO."""
    lvm_name = "LVM" if host.WORLD == "renamed" else "LVHD"
    return {
        "name": "{} over {}".format(lvm_name, {"ISCSI": "iSCSI", "HBA": "FC"}[transport]),
        "description": "SR plugin which represents disks as Logical Volumes",
        "vendor": "Citrix Systems Inc",
        "copyright": "(C) 2008 Citrix Systems Inc",
        "driver_version": "1.0",
        "required_api_version": "1.0",
        "capabilities": list(_CAPABILITIES),
        "configuration": _COMMON + (_ISCSI if transport == "ISCSI" else []),
    }


class BaseISCSISR(SR.SR):
    """A session to one IQN."""

    def load(self, sr_uuid: str) -> None:
        """Check the device-config; without an IQN list what the target offers."""
        self._attached: Optional[bool] = None
        if not self.dconf.get("target"):
            raise xs_errors.XenError("ConfigTargetMissing")
        try:
            self.localIQN = self.session.xenapi.host.get_other_config(self.host_ref)["iscsi_iqn"]
        except KeyError:
            raise xs_errors.XenError("ConfigISCSIIQNMissing") from None
        self.target = self.dconf["target"].split(",")[0]
        self.port = int(self.dconf.get("port") or 3260)
        self.chapuser = self.chappassword = b""
        if "chapuser" in self.dconf:
            self.chapuser = self.dconf["chapuser"].encode("utf-8")
            if "chappassword_secret" in self.dconf:
                secret = util.get_secret(self.session, self.dconf["chappassword_secret"])
                self.chappassword = secret.encode("utf-8")
            else:
                self.chappassword = self.dconf.get("chappassword", "").encode("utf-8")
        if not self.dconf.get("targetIQN"):
            _print_targets(iscsilib.discovery(self.target, self.port, "", ""))
            raise xs_errors.XenError("ConfigTargetIQNMissing")
        self.targetIQN = self.dconf["targetIQN"]

    @property
    def attached(self) -> bool:
        """Whether there is a session."""
        return iscsilib._checkTGT(self.targetIQN, self.target)

    def attach(self, sr_uuid: str) -> None:
        """Log in if need be, count up, and make the multipath map."""
        self._mpathHandle()
        if not self.attached:
            iscsilib.login(self.target, self.port, self.targetIQN, self.chapuser, self.chappassword)
        util._incr_iscsiSR_refcount(self.targetIQN, sr_uuid)
        if "SCSIid" in self.dconf:
            iscsilib.rescan(self.targetIQN)
            if not util.pathexists(iscsilib.by_id(self.dconf["SCSIid"])):
                raise xs_errors.XenError("ConfigSCSIid")
            self.mpathmodule.refresh(self.dconf["SCSIid"], 0)

    def detach(self, sr_uuid: str) -> None:
        """Remove the map, count down, log out if that was the last use."""
        if "SCSIid" in self.dconf:
            self.mpathmodule.reset(self.dconf["SCSIid"], explicit_unmap=True)
        if util._decr_iscsiSR_refcount(self.targetIQN, sr_uuid):
            return
        if iscsilib._checkTGT(self.targetIQN):
            try:
                iscsilib.logout(self.target, self.targetIQN, all=True)
            except util.CommandException as error:
                detail = "error is {}".format(error.code)
                raise xs_errors.XenError("ISCSIQueryDaemon", detail) from error

    def _attach_LUN_bySCSIid(self, scsi_id: str) -> Any:
        if not self.attached:
            raise xs_errors.XenError("SRUnavailable")
        if not util.wait_for_path(self.mpathmodule.path(scsi_id), 15):
            raise xs_errors.XenError("ISCSIDevice")


class _OverIscsi(LVMSR):
    """LVM over iSCSI, all releases."""

    @staticmethod
    def handles(sr_type: str) -> bool:
        """Tell whether this is the driver of an SR type."""
        return sr_type == "lvmoiscsi"

    def load(self, sr_uuid: str) -> None:
        """Make the sessions' objects, then look for the VG."""
        self._sessions(sr_uuid)
        LVMSR.load(self, sr_uuid or util.gen_uuid())

    def _sessions(self, sr_uuid: str) -> None:
        self.iscsi = BaseISCSISR(self.original_srcmd, sr_uuid)
        self.iscsiSRs = [self.iscsi]
        if "SCSIid" not in self.dconf:
            uuid = sr_uuid or util.gen_uuid()
            self.iscsi.attach(uuid)
            _print_luns(iscsilib.luns(self.iscsi.targetIQN))
            self.iscsi.detach(uuid)
            raise xs_errors.XenError("ConfigSCSIid")
        self.SCSIid = self.dconf["SCSIid"]

    def create(self, sr_uuid: str, _size: int) -> None:
        """Make an SR on the LUN."""
        if util.test_SCSIid(self.session, sr_uuid, self.SCSIid):
            raise xs_errors.XenError("SRInUse")
        self.iscsi.attach(sr_uuid)
        try:
            self.iscsi._attach_LUN_bySCSIid(self.SCSIid)
            self._pathrefresh()
            self.lvm_create()
        finally:
            self.iscsi.detach(sr_uuid)

    def attach(self, sr_uuid: str) -> None:
        """Plug a PBD."""
        try:
            self.iscsi.attach(sr_uuid)
            self.iscsi._attach_LUN_bySCSIid(self.SCSIid)
            self._pathrefresh()
            self.lvm_attach()
        except Exception as error:
            self.iscsi.detach(sr_uuid)
            if isinstance(error, xs_errors.SROSError):
                raise
            raise xs_errors.XenError("SRUnavailable", error) from error

    def detach(self, sr_uuid: str) -> None:
        """Unplug a PBD."""
        self.iscsi.detach(sr_uuid)

    def scan(self, _sr_uuid: str) -> None:
        """Scan."""
        self._pathrefresh()
        self.lvm_scan()

    def probe(self) -> str:
        """Say what SR is on the LUN; not while there is a map, which could be in use."""
        uuid = util.gen_uuid()
        if self.mpath == "true" and self.SCSIid in multipath.Cli.list_maps():
            raise xs_errors.XenError("SRInUse")
        self.iscsi.attach(uuid)
        self.iscsi._attach_LUN_bySCSIid(self.SCSIid)
        self._pathrefresh()
        answer = self.lvm_probe()
        self.iscsi.detach(uuid)
        return answer


class HBASR(SR.SR):
    """Fibre Channel: the LUNs of the fabric, whose devices appear by a rescan."""

    @staticmethod
    def handles(sr_type: str) -> bool:
        """Tell whether this is the driver of an SR type."""
        return sr_type == "hba"

    def attach(self, _sr_uuid: str) -> None:
        """Start or stop multipathing."""
        self._mpathHandle()

    def _init_hbadict(self) -> None:
        for lun in host.fabric().get("hba", []):
            link = iscsilib.by_id(lun["SCSIid"])
            if host.ROOT not in lun.get("hidden", ()) and not os.path.lexists(link):
                os.symlink(lun["file"], link)

    def print_devs(self) -> str:
        """Return the LUNs as XML."""
        document = xml.dom.minidom.Document()
        listed = document.appendChild(document.createElement("Devlist"))
        for lun in host.fabric().get("hba", []):
            block = listed.appendChild(document.createElement("BlockDevice"))
            append(document, block, "SCSIid", lun["SCSIid"])
        return document.toprettyxml()


class LVMoHBASR(LVMSR):
    """LVM over Fibre Channel."""

    @staticmethod
    def handles(sr_type: str) -> bool:
        """Tell whether this is the driver of an SR type."""
        return sr_type == "lvmohba"

    def load(self, sr_uuid: str) -> None:
        """Make the HBA object, then look for the VG."""
        self.hbasr = SR.driver("hba")(self.original_srcmd, sr_uuid)
        if not self.dconf.get("SCSIid"):
            print(self.hbasr.print_devs(), file=sys.stderr)
            raise xs_errors.XenError("ConfigSCSIid")
        self.SCSIid = self.dconf["SCSIid"]
        LVMSR.load(self, sr_uuid or util.gen_uuid())

    def _open(self) -> None:
        self.hbasr.attach("")
        self.hbasr._init_hbadict()
        self.mpathmodule.refresh(self.SCSIid, 0)
        self._pathrefresh()

    def _close(self) -> None:
        self.mpathmodule.reset(self.SCSIid, explicit_unmap=True)

    def attach(self, _sr_uuid: str) -> None:
        """Plug a PBD."""
        self._open()
        self.lvm_attach()

    def detach(self, _sr_uuid: str) -> None:
        """Unplug a PBD."""
        self._close()

    def scan(self, _sr_uuid: str) -> None:
        """Scan."""
        self._pathrefresh()
        self.lvm_scan()

    def probe(self) -> str:
        """Say what SR is on the LUN."""
        if self.mpath == "true" and self.SCSIid in multipath.Cli.list_maps():
            raise xs_errors.XenError("SRInUse")
        self._open()
        answer = self.lvm_probe()
        self._close()
        return answer


class LVMoISCSISR(_OverIscsi):
    """LVM over iSCSI."""

    def create_iscsi_sessions(self, sr_uuid: str) -> None:
        """Make the objects; without a SCSI id list the LUNs and raise 107."""
        self._sessions(sr_uuid)


class OldLVMoISCSISR(_OverIscsi):
    """The same before sm 3.0.12: no create_iscsi_sessions; a LUN that stays away is no error."""

    def _sessions(self, sr_uuid: str) -> None:
        super()._sessions(sr_uuid)
        attach: Any = self.iscsi._attach_LUN_bySCSIid

        def attached(scsi_id: str) -> bool:
            try:
                attach(scsi_id)
            except xs_errors.SROSError:
                return False
            return True

        self.iscsi._attach_LUN_bySCSIid = attached  # type: ignore[method-assign]


def _print_luns(luns: List[Dict[str, Any]]) -> None:
    document = xml.dom.minidom.Document()
    listed = document.appendChild(document.createElement("iscsi-target"))
    for lun in luns:
        entry = listed.appendChild(document.createElement("LUN"))
        for key in ("vendor", "serial", "LUNid", "size", "SCSIid"):
            if lun.get(key):
                append(document, entry, key, str(lun[key]))
    print(document.toprettyxml(), file=sys.stderr)


def _print_targets(found: Any) -> None:
    document = xml.dom.minidom.Document()
    listed = document.appendChild(document.createElement("iscsi-target-iqns"))
    for number, (portal, _group, iqn) in enumerate(found):
        entry = listed.appendChild(document.createElement("TGT"))
        append(document, entry, "Index", str(number))
        address, port = portal.rsplit(":", 1)
        append(document, entry, "IPAddress", address)
        if port != "3260":
            append(document, entry, "Port", port)
        append(document, entry, "TargetIQN", iqn)
    print(document.toprettyxml(), file=sys.stderr)
