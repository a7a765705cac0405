"""What is left to do in the pool after a resign: xe commands with all values that are known."""

import os

from relun.cli.words import quote
from relun.core import sysfs
from relun.core.repository import FILE_SR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from relun.cli.report import Report
    from relun.core.sysfs import BlockNode

_UNKNOWN = {"target": "ADDRESS", "targetIQN": "IQN", "SCSIid": "SCSI_ID", "device": "DEVICE"}
# VG prefix of a file SR -> SR type.
_FILE_TYPES = {"XSLocalEXT-": "ext", "XSLocalLargeBlock-": "largeblock"}


def next_steps(report: "Report") -> "list[str]":
    """Return the commands to run on a host of the pool. UPPER CASE words are to be filled in."""
    assert report.plan is not None
    repository = report.plan.repository
    assert repository.vg is not None
    new = report.plan.change.new_sr
    name = repository.mgt.content.sr_name if repository.mgt and repository.mgt.content else ""
    label = quote(name or "SR " + new[:8])
    kind, config = _connection(report.nodes()[0], report.paths[0])
    if repository.kind == FILE_SR:
        prefix = repository.vg.name[: -len(new)]
        kind, config = _FILE_TYPES[prefix], {"device": config.get("device", "")}
    shown = " ".join(
        f"device-config:{key}={value or _UNKNOWN[key]}" for key, value in config.items()
    )
    shared = "shared=false" if repository.kind == FILE_SR or kind == "lvm" else "shared=true"
    probe = [] if repository.kind == FILE_SR else [f"xe sr-probe type={kind} {shown}"]
    return [
        *probe,
        f"xe sr-introduce uuid={new} name-label={label} type={kind} {shared} content-type=user",
        "for host in $(xe host-list --minimal | tr , ' '); do",
        f"    pbd=$(xe pbd-create sr-uuid={new} host-uuid=$host {shown})",
        "    xe pbd-plug uuid=$pbd",
        "done",
        f"xe sr-scan uuid={new}",
    ]


def _connection(node: "BlockNode | None", path: str = "") -> "tuple[str, dict[str, str]]":
    """Return the SR type and device-config that lead to a device: iSCSI, Fibre Channel, local."""
    iscsi = {"target": "", "targetIQN": "", "SCSIid": ""}
    if path.startswith("iscsi://") and node is not None:
        return "lvmoiscsi", {**_of_address(path), "SCSIid": node.scsi_id}
    if node is None or not node.name:  # a file, an export: how its LUN will be reached is not known
        return "lvmoiscsi", iscsi
    place = _scsi_place(node.name)
    for part in place.split("/"):
        if part.startswith("session"):
            found = _iscsi(part)
            return "lvmoiscsi", {**found, "SCSIid": node.scsi_id}
    if node.scsi_id:
        return "lvmohba", {"SCSIid": node.scsi_id}
    return "lvm", {"device": "/dev/" + node.name}


def _of_address(path: str) -> "dict[str, str]":
    from relun.remote.address import ISCSI_PORT, parse_iscsi

    address = parse_iscsi(path)
    host, _colon, port = address.portal.rpartition(":")
    found = {"target": host.strip("[]"), "targetIQN": address.iqn}
    return found if port == str(ISCSI_PORT) else {**found, "port": port}


def _scsi_place(name: str) -> str:
    """Return where the device, or the first path of a multipath map, hangs in sysfs."""
    folder = os.path.join(sysfs.ROOT, "sys/class/block", name)
    try:
        paths = sorted(os.listdir(os.path.join(folder, "slaves")))
    except OSError:
        paths = []
    if paths:
        folder = os.path.join(sysfs.ROOT, "sys/class/block", paths[0])
    return os.path.realpath(os.path.join(folder, "device"))


def _iscsi(session: str) -> "dict[str, str]":
    base = os.path.join(sysfs.ROOT, "sys/class")
    connection = "connection" + session[len("session") :] + ":0"
    return {
        "target": _read(base, "iscsi_connection", connection, "persistent_address"),
        "targetIQN": _read(base, "iscsi_session", session, "targetname"),
    }


def _read(*parts: str) -> str:
    try:
        with open(os.path.join(*parts), encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""
