"""MGT's side of a new identity: SR uuid, VDI uuids and what they are snapshots of, names if asked.

Nothing but the named elements changes. ``metadata_of_pool`` is emptied: with it a plugged clone
would capture the pool's disaster-recovery replication (xapi looks at it when an SR is plugged).
"""

from relun.core.finding import WARN, Finding
from relun.core.hints import Dict, List, Sequence, Set
from relun.core.identity import Identity
from relun.core.mgt import SECTOR, Mgt, Record, references_vdi
from relun.core.options import Options
from relun.core.rewrite.images import Patch

_NO_POOL = ("", "OpaqueRef:NULL")


class MgtRewrite:
    """Builds the patches of MGT; what does not fit goes to ``findings``."""

    def __init__(self, mgt: Mgt, identity: Identity, options: Options) -> None:
        self.mgt = mgt
        self.identity = identity
        self.options = options
        self.findings: List[Finding] = []

    def patches(self, dropped: Set[str]) -> List[Patch]:
        """Return the patches; the records of the VDIs ``dropped`` are marked deleted."""
        found = [Patch(0, self.mgt.head, self._head(), "MGT: SR record")]
        for record in self.mgt.records:
            new = self._record(record, dropped)
            found.append(Patch(record.offset, record.raw, new.raw, "MGT: VDI record"))
        return found

    def _head(self) -> bytes:
        head = self.mgt.with_sr_uuid(self.identity.new_sr)
        if not self.options.label:
            return head
        sector = self.mgt.sr_name_sector(self._label(self.mgt.sr_name))
        if sector is None:
            self.findings.append(Finding("label-too-long", WARN, "MGT: SR record"))
            return head
        return head[: 2 * SECTOR] + sector + head[3 * SECTOR :]

    def _record(self, record: Record, dropped: Set[str]) -> Record:
        elements = record.elements
        changes: Dict[str, str] = {}
        for name in ("uuid", "snapshot_of"):
            if references_vdi(elements.get(name, "")):
                changes[name] = self.identity.vdi(elements[name])
        if elements.get("metadata_of_pool", "") not in _NO_POOL:
            changes["metadata_of_pool"] = ""
        if dropped and record.uuid in dropped and record.live:
            changes["deleted"] = "1"
        new = record.replaced(**changes)
        if not self.options.label or not new.live or new.deleted:
            return new
        renamed = new.renamed(self._label(record.name)) if record.parsable else None
        if renamed is None:
            where = "MGT record at {}".format(record.offset)
            self.findings.append(Finding("label-too-long", WARN, where, -1, {"vdi": record.uuid}))
            return new
        return renamed

    def _label(self, name: str) -> str:
        return (
            self.options.label.replace("{name}", name)
            .replace("{date}", self.options.date)
            .replace("{sr}", self.mgt.sr_name)
        )


def dead_records(findings: Sequence[Finding]) -> Set[str]:
    """Return the VDIs whose records no volume stands behind."""
    return {finding.fields["vdi"] for finding in findings if finding.code == "mgt-dead-record"}
