"""What the command line asks of a resign, as core's Options; id maps from and to files."""

from relun.core.errors import Refused
from relun.core.finding import WARN, Finding
from relun.core.options import Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from relun.cli.report import Report

ONE_SR_ONLY = ("--sr-uuid", "--map", "--map-out", "--original")


def options(arguments: "argparse.Namespace", report: "Report") -> Options:
    """Return the options of a resign. Raise Refused (map-unreadable)."""
    (node, *_others) = report.nodes()
    return Options(
        sr_uuid=arguments.sr_uuid,
        id_map=read_map(arguments.map) if arguments.map else {},
        label=arguments.label,
        # So that a later look tells the resigned LUN from copies of it.
        device_hint="/dev/disk/by-id/scsi-" + node.scsi_id if node and node.scsi_id else "",
        date=_today() if "{date}" in arguments.label else "",
        drop_snapshots=arguments.drop_snapshots,
        drop_cbt=arguments.drop_cbt,
        force_journals=arguments.force_journals,
        force_mgt=arguments.force_mgt,
        lvm_only=arguments.lvm_only,
    )


def read_map(path: str) -> "dict[str, str]":
    """Return the map in a file: JSON {old: new}, or lines of old and new id, # for a comment."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        return _from_json(text) if text.lstrip().startswith("{") else _from_lines(text)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Refused("map-unreadable", file=path, reason=reason) from error


def check_writable(path: str) -> None:
    """Raise Refused (map-unwritable) when nothing can be saved at ``path``."""
    try:
        with open(path, "a", encoding="utf-8"):
            pass
    except OSError as error:
        raise Refused("map-unwritable", file=path, reason=error.strerror) from error


def save_map(report: "Report", path: str) -> None:
    """Save old and new ids of all kinds so that ``read_map`` takes them.

    The LUN has its new identity by then: a failure becomes a note of the report.
    """
    import json

    assert report.plan is not None
    merged = {old: new for ids in report.plan.new_ids.values() for old, new in ids.items()}
    try:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(merged, file, indent=1)
            file.write("\n")
    except OSError as error:
        fields = {"file": path, "reason": error.strerror}
        report.notes += (Finding("map-unwritable", WARN, fields=fields),)


def _from_json(text: str) -> "dict[str, str]":
    import json

    found = json.loads(text)
    if not all(isinstance(new, str) for new in found.values()):
        raise ValueError("every new id must be a string")
    return dict(found)


def _from_lines(text: str) -> "dict[str, str]":
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or words[0] in found:
            raise ValueError(f"line {number}: one old and one new id, each old id once")
        found[words[0]] = words[1]
    return found


def _today() -> str:
    import time

    return time.strftime("%Y-%m-%d")
