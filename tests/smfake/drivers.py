"""The host's own drivers: LVM over iSCSI and over Fibre Channel, and the HBA driver below it."""

import os
import sys
import xml.dom.minidom
from typing import Any, Dict, List, Optional

from smfake import SR, host, iscsilib, lvm, multipath, util, xs_errors
from smfake.fairlock import Fairlock
from smfake.lock import LOCK_TYPE_SR, Lock

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


class LVMSR(SR.SR):
    """The LVM part of both drivers. Each LVM command is logged with whom it could see."""

    SCSIid: str

    def load(self, sr_uuid: str) -> None:
        """SM looks for the VG by name here."""
        self.ops_exclusive = ["sr_create", "sr_delete", "sr_attach", "sr_detach", "sr_scan"]
        self.isMaster = self.dconf.get("SRmaster") == "true"
        self.uuid = sr_uuid
        self.lock = Lock(LOCK_TYPE_SR, self.uuid)
        self.vgname = lvm.VG_PREFIX + sr_uuid
        _lvm_command("vgs " + self.vgname)

    def _group(self) -> Optional[lvm.Group]:
        _lvm_command("pvs " + self.dconf["device"])
        return lvm.read_group(self.dconf["device"])

    def _pathrefresh(self) -> None:
        self.dconf["device"] = self.mpathmodule.path(self.SCSIid)
        LVMSR.load(self, self.uuid)

    def lvm_create(self) -> None:
        """Make an SR: whatever is on the LUN is lost."""
        if not self.isMaster:
            raise xs_errors.XenError("LVMMaster")
        lvm.wipe(self.dconf["device"])
        host.note("formatted", self.SCSIid)

    def lvm_attach(self) -> None:
        """Find the VG, on a PV with our SCSI id."""
        group = self._group()
        if group is None or group.name != self.vgname:
            raise xs_errors.XenError("SRUnavailable", "no such volume group: " + self.vgname)

    def lvm_probe(self) -> str:
        """Return the SR on the LUN as XML."""
        document = xml.dom.minidom.Document()
        listed = document.appendChild(document.createElement("SRlist"))
        group = self._group()
        if group and group.sr_uuid:
            found = listed.appendChild(document.createElement("SR"))
            _append(document, found, "UUID", group.sr_uuid)
            _append(document, found, "Devlist", self.dconf["device"])
            size = sum(run[1] for runs in group.volumes.values() for run in runs)
            _append(document, found, "size", str(size))
        return document.toprettyxml()

    def vdi(self, uuid: str) -> Any:
        """Return one of the SR's disks."""
        return LVMVDI(self, uuid)

    def lvm_scan(self) -> None:
        """Introduce what MGT and the volumes hold and xapi does not know."""
        if not self.isMaster:
            raise xs_errors.XenError("LVMMaster")
        group = self._group()
        assert group is not None
        api = self.session.xenapi
        records = api.VDI.get_all_records()
        known = {record["uuid"]: ref for ref, record in records.items()}
        vdis = lvm.read_vdis(self.dconf["device"], group)
        logs = set(lvm.cbt_logs(group)) - {vdi.fields["uuid"] for vdi in vdis}
        there = logs | {vdi.fields["uuid"] for vdi in vdis}
        for reference, record in records.items():
            if record["SR"] == self.sr_ref and record["uuid"] not in there:
                api.VDI.db_forget(reference)
        for vdi in vdis:
            fields = vdi.fields
            if fields["uuid"] in known:
                api.VDI.set_virtual_size(known[fields["uuid"]], str(vdi.virtual_size))
                continue
            names = (fields["name_label"], fields["name_description"])
            config = {"vdi_type": fields["vdi_type"]}
            if vdi.parent:
                config["vhd-parent"] = vdi.parent
            reference = api.VDI.db_introduce(
                fields["uuid"],
                names[0],
                names[1],
                self.sr_ref,
                fields["type"],
                False,
                fields["read_only"] == "1",
                {},
                fields["uuid"],
                {},
                config,
            )
            known[fields["uuid"]] = reference
            api.VDI.set_managed(reference, fields["managed"] == "1")
            api.VDI.set_virtual_size(reference, str(vdi.virtual_size))
            api.VDI.set_is_a_snapshot(reference, fields["is_a_snapshot"] == "1")
        for vdi in vdis:
            if vdi.fields["snapshot_of"] in known:
                reference = known[vdi.fields["uuid"]]
                api.VDI.set_snapshot_of(reference, known[vdi.fields["snapshot_of"]])
        for uuid in logs - set(known):
            more: Any = ("cbt_metadata", False, True, {}, uuid, {}, {})
            api.VDI.db_introduce(uuid, "", "", self.sr_ref, *more)
        host.note("gc", self.uuid)


class LVMVDI:
    """One virtual disk of an SR."""

    def __init__(self, sr: LVMSR, uuid: str) -> None:
        self.sr = sr
        self.uuid = uuid

    def update(self) -> None:
        """Write the names that xapi has into MGT."""
        self.sr._pathrefresh()
        group = self.sr._group()
        assert group is not None
        api = self.sr.session.xenapi
        reference = api.VDI.get_by_uuid(self.uuid)
        names = (api.VDI.get_name_label(reference), api.VDI.get_name_description(reference))
        lvm.write_names(self.sr.dconf["device"], group, self.uuid, *names)


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
            if not os.path.lexists(link):
                os.symlink(lun["file"], link)

    def print_devs(self) -> str:
        """Return the LUNs as XML."""
        document = xml.dom.minidom.Document()
        listed = document.appendChild(document.createElement("Devlist"))
        for lun in host.fabric().get("hba", []):
            block = listed.appendChild(document.createElement("BlockDevice"))
            _append(document, block, "SCSIid", lun["SCSIid"])
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


def _lvm_command(command: str) -> None:
    seen = os.environ.get("LVM_DEVICE", "all devices")
    with Fairlock("devicemapper"):
        host.note("lvm", "{} [{}]".format(command, seen))


def _print_luns(luns: List[Dict[str, Any]]) -> None:
    document = xml.dom.minidom.Document()
    listed = document.appendChild(document.createElement("iscsi-target"))
    for lun in luns:
        entry = listed.appendChild(document.createElement("LUN"))
        for key in ("vendor", "serial", "LUNid", "size", "SCSIid"):
            if lun.get(key):
                _append(document, entry, key, str(lun[key]))
    print(document.toprettyxml(), file=sys.stderr)


def _print_targets(found: Any) -> None:
    document = xml.dom.minidom.Document()
    listed = document.appendChild(document.createElement("iscsi-target-iqns"))
    for number, (portal, _group, iqn) in enumerate(found):
        entry = listed.appendChild(document.createElement("TGT"))
        _append(document, entry, "Index", str(number))
        address, port = portal.rsplit(":", 1)
        _append(document, entry, "IPAddress", address)
        if port != "3260":
            _append(document, entry, "Port", port)
        _append(document, entry, "TargetIQN", iqn)
    print(document.toprettyxml(), file=sys.stderr)


def _append(document: Any, parent: Any, name: str, text: str) -> None:
    child = parent.appendChild(document.createElement(name))
    child.appendChild(document.createTextNode(text))
