"""The LVM part of the host's own drivers."""

import os
import xml.dom.minidom
from typing import Any, Optional

from smfake import SR, host, lvm, xs_errors
from smfake.fairlock import Fairlock
from smfake.lock import LOCK_TYPE_SR, Lock


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
        lvm_command("vgs " + self.vgname)

    def _group(self) -> Optional[lvm.Group]:
        lvm_command("pvs " + self.dconf["device"])
        there = os.path.exists(self.dconf["device"])
        return lvm.read_group(self.dconf["device"]) if there else None

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
            append(document, found, "UUID", group.sr_uuid)
            append(document, found, "Devlist", self.dconf["device"])
            size = sum(run[1] for runs in group.volumes.values() for run in runs)
            append(document, found, "size", str(size))
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


def lvm_command(command: str) -> None:
    """Note an LVM command and which devices it sees."""
    seen = os.environ.get("LVM_DEVICE", "all devices")
    with Fairlock("devicemapper"):
        host.note("lvm", "{} [{}]".format(command, seen))


def append(document: Any, parent: Any, name: str, text: str) -> None:
    """Append an element with a text."""
    child = parent.appendChild(document.createElement(name))
    child.appendChild(document.createTextNode(text))
