"""What the user may ask of a resign."""

from relun.core.hints import Mapping, NamedTuple

# Refusals that an option lifts: finding code -> option.
FORCED_BY = {
    "journal-undo": "force_journals",
    "mgt-dead-record": "force_mgt",
    "sr-filesystem": "lvm_only",
}


class Options(NamedTuple):
    """``label``: pattern for SR and VDI names with {name}, {date} and {sr}; ``date`` fills it.

    ``device_hint``: the path that the metadata of a VG of one PV shall name as the PV's.
    """

    sr_uuid: str = ""  # random when empty
    id_map: Mapping[str, str] = {}
    label: str = ""
    device_hint: str = ""  # the original's stays when empty
    date: str = ""
    drop_snapshots: bool = False
    drop_cbt: bool = False
    force_journals: bool = False
    force_mgt: bool = False
    lvm_only: bool = False

    def lifts(self, code: str) -> bool:
        """Tell whether the refusal ``code`` is lifted."""
        return code in FORCED_BY and bool(getattr(self, FORCED_BY[code]))
