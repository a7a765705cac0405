"""Errors and findings in one line of English, for logs, faults and the plugin's answers."""

from relun.core.errors import RelunError
from relun.core.finding import Finding
from relun.core.hints import Any

# What only dom0 has to say.
_OWN = {
    "already-resigned": "{device} was resigned by relun already, its SR is {sr_uuid}",
    "lun-in-use": "{device} ({scsi_id}) is in use by SR {srs} of this pool",
    "request-invalid": "the request cannot be understood: {reason}",
    "undone-after": "{device} failed while it was written to, and was put back as it was",
}


def title(code: str, fields: Any) -> str:
    """Return what a code says, its fields filled in; a code without an entry stands for itself."""
    from relun.core.catalogue import ENTRIES, filled  # large: loaded for failures only

    return filled(ENTRIES[code].title if code in ENTRIES else _OWN.get(code, code), fields)


def remedy(code: str) -> str:
    """Return what to do about a code, empty when there is nothing."""
    from relun.core.catalogue import ENTRIES

    return ENTRIES[code].remedy if code in ENTRIES else ""


def describe(error: RelunError) -> str:
    """Return what went wrong and why, with the code."""
    said = "{} ({})".format(title(error.code, error.fields), error.code)
    cause = error.fields.get("cause")
    if isinstance(cause, RelunError):
        said += ": {} ({})".format(title(cause.code, cause.fields), cause.code)
    return said


def describe_finding(finding: Finding) -> str:
    """Return what was found and where, with the code."""
    where = finding.where
    if finding.offset >= 0:
        where = "{} at byte {}".format(where, finding.offset).strip()
    said = "{} ({})".format(title(finding.code, finding.fields), finding.code)
    return "{}: {}".format(where, said) if where else said
