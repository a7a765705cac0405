"""The classic flow as ``xe`` shows it. docs/dom0.md holds the transcript that this test makes.

RELUN_UPDATE_DOCS=1 writes it there. Uuids and host paths are put in a fixed form first.
"""

import os
import re
from pathlib import Path
from typing import Any

import XenAPI

from xapi.site import Lun, Site

DOCUMENT = Path(__file__).resolve().parent.parent.parent / "docs" / "dom0.md"
BEGIN, END = "<!-- transcript -->\n", "<!-- end of transcript -->\n"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Xe:
    """Types commands and notes what they print."""

    def __init__(self, site: Site) -> None:
        self.session = site.client()
        self.lines: list[str] = []
        self.root = str(site.folder)

    def type(self, command: str, method: str, *arguments: Any) -> Any:
        """Note a command and call what it stands for."""
        self.lines.append("# xe " + command)
        try:
            return self.session.xenapi_request(method, arguments)
        except XenAPI.Failure as failure:
            code, *parameters = failure.details
            self.lines.append(f"Error code: {code}")
            self.lines.append("Error parameters: " + ", ".join(map(str, parameters)))
            return None

    def show(self, text: str) -> None:
        """Note what a command prints."""
        self.lines.append(text)

    def transcript(self) -> str:
        """Return all of it, in a form that does not change from run to run."""
        text = re.sub(re.escape(self.root) + r"/host\d", "", "\n".join(self.lines))
        known: dict[str, str] = {}
        for uuid in _UUID.findall(text):
            known.setdefault(uuid, f"{len(known) + 1}" * 8 + "-0000-4000-8000-000000000000")
        for uuid, shown in known.items():
            text = text.replace(uuid, shown)
        return "\n".join(line.rstrip() for line in text.splitlines())


def classic_flow(xe: Xe, lun: Lun) -> None:
    """sr-create, sr-probe, sr-introduce, pbd-create, pbd-plug, vdi-list."""
    api = xe.session.xenapi
    host = api.host.get_all()[0]
    host_uuid = api.host.get_uuid(host)
    words = " ".join(f"device-config:{key}={value}" for key, value in lun.config.items())
    tail: Any = ("user", True, {})
    probe = f"sr-probe type=lvmoiscsi {words}"
    xe.show(xe.type(probe, "SR.probe", host, lun.config, "lvmoiscsi", {}).strip())
    config = {**lun.config, "resign": "true"}
    command = f"sr-create type=relvmoiscsi shared=true name-label=x {words} "
    command += "device-config:resign=true"
    xe.type(command, "SR.create", host, config, "0", "x", "", "relvmoiscsi", *tail)
    answer = xe.type(probe, "SR.probe", host, lun.config, "lvmoiscsi", {})
    xe.show(answer.strip())
    uuid = answer.split("<UUID>")[1].split("</UUID>")[0].strip()
    command = f"sr-introduce uuid={uuid} type=lvmoiscsi name-label=clone shared=true "
    command += "content-type=user"
    sr = xe.type(command, "SR.introduce", uuid, "clone", "", "lvmoiscsi", *tail)
    xe.show(uuid)
    record = {"SR": sr, "host": host, "device_config": lun.config}
    command = f"pbd-create sr-uuid={uuid} host-uuid={host_uuid} {words}"
    pbd = xe.type(command, "PBD.create", record)
    pbd_uuid = api.PBD.get_uuid(pbd)
    xe.show(pbd_uuid)
    xe.type(f"pbd-plug uuid={pbd_uuid}", "PBD.plug", pbd)
    xe.type(f"sr-scan uuid={uuid}", "SR.scan", sr)
    for vdi in xe.type(f"vdi-list sr-uuid={uuid}", "SR.get_VDIs", sr):
        found = api.VDI.get_record(vdi)
        xe.show(f"uuid ( RO)                : {found['uuid']}")
        xe.show(f"          name-label ( RW): {found['name_label']}")
        xe.show(f"    name-description ( RW): {found['name_description']}")
        xe.show(f"             sr-uuid ( RO): {uuid}")
        xe.show(f"        virtual-size ( RO): {found['virtual_size']}")
        xe.show(f"            sharable ( RO): {str(found['sharable']).lower()}")
        xe.show(f"           read-only ( RO): {str(found['read_only']).lower()}")


def test_transcript_is_the_documents(one_site: Site) -> None:
    xe = Xe(one_site)
    lun = one_site.lun("single")
    before = lun.config["SCSIid"]
    classic_flow(xe, lun)
    made = f"```\n{xe.transcript()}\n```\n"
    assert before in made
    text = DOCUMENT.read_text()
    head, _, rest = text.partition(BEGIN)
    printed, _, tail = rest.partition(END)
    if os.environ.get("RELUN_UPDATE_DOCS"):
        DOCUMENT.write_text(head + BEGIN + made + END + tail)
    else:
        assert printed == made
