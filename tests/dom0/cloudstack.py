"""Apache CloudStack's side of a resign: its calls in their order, its parsing, its errors.

After CitrixResourceBase (fillHostInfo, getIscsiSR, probeScisiId, resignatureIscsiSr, removeSR) and
XenServerStorageProcessor.resignature of CloudStack 4.10 and later.
"""

from typing import Any, NamedTuple

import XenAPI

from xapi.site import TARGET, Lun, Site

# Codes that the Java SDK gives an exception class of its own; its toString() loses the parameters.
_TYPED = {
    "SR_BACKEND_FAILURE",
    "SR_DEVICE_IN_USE",
    "VDI_IN_USE",
    "SR_NOT_EMPTY",
    "VDI_MISSING",
    "INTERNAL_ERROR",
    "SR_UNKNOWN_DRIVER",
    "SR_OPERATION_NOT_SUPPORTED",
    "SR_UUID_EXISTS",
    "SESSION_INVALID",
}


class CloudStackError(Exception):
    """What CloudStack throws; its text is what the management server logs."""


class Answer(NamedTuple):
    """ResignatureAnswer."""

    size: int
    path: str
    format: str


def java_text(failure: Any) -> str:
    """Return what toString() gives for an error of the API."""
    code = str(failure.details[0])
    if code in _TYPED:
        return f"The SDK's fixed sentence for {code}"
    return "".join(map(str, failure.details))


def sm_list(session: Any) -> str:
    """Return what ``xe sm-list`` prints."""
    fields = (
        ("uuid ( RO)", "uuid"),
        ("type ( RO)", "type"),
        ("name-label ( RO)", "name_label"),
        ("name-description ( RO)", "name_description"),
        ("vendor ( RO)", "vendor"),
        ("copyright ( RO)", "copyright"),
    )
    shown = []
    for record in session.xenapi.SM.get_all_records().values():
        lines = [f"{title:>31}: {record[key]}" for title, key in fields]
        options = "; ".join(f"{k}: {v}" for k, v in record["configuration"].items())
        shown.append("\n".join([*lines, f"{'configuration ( RO)':>31}: {options}"]))
    return "\n\n\n".join(shown) + "\n"


class CloudStack:
    """A management server connected to one host (not the master unless said so)."""

    def __init__(self, site: Site, connected: int = -1, chap: tuple[str, str] = ("", "")) -> None:
        self.session = site.client()
        self.host = site.pool.hosts[connected].reference
        self.chap = chap
        self.calls: list[str] = []

    @property
    def supports_resign(self) -> bool:
        """``xe sm-list | grep "resigning of duplicates"`` over SSH."""
        lines = sm_list(self.session).splitlines()
        return any("resigning of duplicates" in line for line in lines)

    def resignature(self, lun: Lun) -> Answer:
        """The whole command."""
        sr = ""
        try:
            sr = self.get_iscsi_sr(lun, resign=True)
            vdis = self._call("SR.get_VDIs", sr)
            if len(vdis) != 1:
                raise CloudStackError(f"There were {len(vdis)} VDIs in the SR.")
            record = self._call("VDI.get_record", vdis[0])
            return Answer(int(record["virtual_size"]), record["uuid"], "VHD")
        finally:
            if sr:
                self.remove_sr(sr)

    def get_iscsi_sr(self, lun: Lun, resign: bool) -> str:
        """Attach the SR on a LUN; a new identity first, if so asked."""
        label = f"/{lun.iqn}/0"
        path = label.rstrip("/").split("/")
        if len(path) != 3:
            raise CloudStackError("Wrong iscsi path " + label)
        config = {"target": TARGET, "targetIQN": path[1]}
        if self.chap[0]:
            config.update(chapuser=self.chap[0], chappassword=self.chap[1])
        config["SCSIid"] = self.probe_scsi_id(config, path[2], label)
        uuid = self._probe_uuid(config)
        if not uuid:
            self._call("SR.create", self.host, config, "0", label, label, "lvmoiscsi", *_TAIL)
            raise CloudStackError("the LUN was formatted")
        if resign:
            uuid = self._resign(config, label)
        sr: str = self._call("SR.introduce", uuid, label, label, "lvmoiscsi", *_TAIL)
        try:
            for host in self._call("host.get_all"):
                record = {"SR": sr, "host": host, "device_config": config, "other_config": {}}
                self._call("PBD.plug", self._call("PBD.create", record))
            self._call("SR.scan", sr)
        except CloudStackError:
            self.remove_sr(sr)
            raise
        return sr

    def probe_scsi_id(self, config: dict[str, str], lun_id: str, label: str) -> str:
        """An SR.create without SCSIid fails with the list of LUNs; cut that as CloudStack does."""
        try:
            self._call("SR.create", self.host, config, "0", label, label, "lvmoiscsi", *_TAIL)
        except CloudStackError as error:
            text = str(error)
            if "SR_BACKEND_FAILURE_107" not in text:
                raise CloudStackError("Unable to create Iscsi SR " + text) from error
            for piece in text.split("<LUN>"):
                if "<LUNid>" in piece and _between(piece, "LUNid") == lun_id:
                    return _between(piece, "SCSIid")
        raise CloudStackError("can not find LUN " + lun_id)

    def remove_sr(self, sr: str) -> None:
        """Forget it all again."""
        for vdi in self._call("SR.get_VDIs", sr):
            self._call("VDI.forget", vdi)
        for pbd in self._call("SR.get_PBDs", sr):
            self._call("PBD.unplug", pbd)
            self._call("PBD.destroy", pbd)
        self._call("SR.forget", sr)

    def _resign(self, config: dict[str, str], label: str) -> str:
        known = {record["uuid"] for record in self._call("SR.get_all_records").values()}
        try:
            self._call("SR.create", self.host, config, "0", label, label, "relvmoiscsi", *_TAIL)
        except CloudStackError as error:
            if "successfully resigned" not in str(error):
                raise
        else:
            raise CloudStackError("Problem resigning the metadata")
        uuid = self._probe_uuid(config)
        if not uuid or uuid in known:
            raise CloudStackError("Non-existent or invalid SR UUID")
        return uuid

    def _probe_uuid(self, config: dict[str, str]) -> str:
        answer = self._call("SR.probe", self.host, config, "lvmoiscsi", {})
        if "<UUID>" not in answer:
            return ""
        uuid = _between(answer, "UUID")
        return uuid if len(uuid) == 36 else ""

    def _call(self, method: str, *arguments: Any) -> Any:
        self.calls.append(method)
        try:
            return self.session.xenapi_request(method, arguments)
        except XenAPI.Failure as failure:
            raise CloudStackError(java_text(failure)) from failure


_TAIL: tuple[Any, ...] = ("user", True, {})


def _between(text: str, tag: str) -> str:
    start = text.index(f"<{tag}>") + len(tag) + 2
    return text[start : text.index(f"</{tag}>", start)].strip()
