"""The names SM gives: VGs, LVs and the references from one volume to another.

Source: SM's lvutil, lvhdutil (VG_PREFIX, LV_PREFIX), journaler, cbtutil; device-mapper doubles
every dash of a VG or LV name and joins the two by a single one (libdm, dm_build_dm_name).
"""

import re

from relun.core.hints import Callable, List, NamedTuple, Optional, Tuple

SR_PREFIX = "VG_XenStorage-"
FILESYSTEM_PREFIXES = {"XSLocalEXT-": "ext", "XSLocalLargeBlock-": "largeblock"}
IMAGE_PREFIXES = {"VHD-": "vhd", "LV-": "raw", "QCOW2-": "qcow2"}

# clone_ and leaf_ carry other uuids in their first sector (or, before 2013, in their name).
JOURNAL_KINDS = ("inflate", "zero", "relink", "coalesce", "clone", "leaf")
RESIZE_JOURNAL = "jvhd"

_HEX_AND_DASH = "0123456789abcdef-"
_ANY_UUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
_UUID_LENGTH = 36
_UUID_SHAPE = (8, 4, 4, 4, 12)
_DISPLACED = "OLD_"
_CBTLOG = ".cbtlog"

Rename = Callable[[str], str]  # old uuid -> new uuid


class VolumeName(NamedTuple):
    """What an LV name says. ``kind``: vhd, raw, qcow2, mgt, cbtlog, journal, jvhd or unknown."""

    kind: str
    vdi: str = ""
    displaced: bool = False  # an …OLD_… leaf waiting for deletion
    journal: str = ""  # inflate, zero, …
    value: str = ""  # what a journal's name says after the VDI

    @property
    def is_image(self) -> bool:
        """The LV holds a disk image."""
        return self.kind in ("vhd", "raw", "qcow2")


class Reference(NamedTuple):
    """A parent's name as an image tells it."""

    sr_uuid: str
    lv_name: str


def is_uuid(text: str) -> bool:
    """Tell whether ``text`` is a uuid as SM writes it: dashed, lower case."""
    # Without a regular expression: compiling one is a noticeable part of relun's start-up.
    return (
        len(text) == _UUID_LENGTH
        and not text.strip(_HEX_AND_DASH)
        and tuple(map(len, text.split("-"))) == _UUID_SHAPE
    )


def parse_volume_name(name: str) -> VolumeName:
    """Classify an LV of a VG_XenStorage VG by its name."""
    if name == "MGT":
        return VolumeName("mgt")
    for prefix, kind in IMAGE_PREFIXES.items():
        if name.startswith(prefix):
            vdi = name[len(prefix) :]
            displaced = vdi.startswith(_DISPLACED)
            if displaced:
                vdi = vdi[len(_DISPLACED) :]
            if is_uuid(vdi):
                return VolumeName(kind, vdi, displaced)
    if name.endswith(_CBTLOG) and is_uuid(name[: -len(_CBTLOG)]):
        return VolumeName("cbtlog", name[: -len(_CBTLOG)])
    return _parse_journal_name(name) or VolumeName("unknown")


def _parse_journal_name(name: str) -> Optional[VolumeName]:
    kind, _underscore, rest = name.partition("_")
    vdi, value = rest[:_UUID_LENGTH], rest[_UUID_LENGTH:]
    if not is_uuid(vdi) or value[:1] not in ("", "_"):
        return None
    if kind == RESIZE_JOURNAL:
        return VolumeName("jvhd", vdi, False, kind, value[1:])
    if kind in JOURNAL_KINDS:
        return VolumeName("journal", vdi, False, kind, value[1:])
    return None


def find_uuids(text: str) -> List[str]:
    """Return every uuid in ``text``."""
    return re.findall(_ANY_UUID, text)


def rename_uuids(text: str, rename: Rename) -> str:
    """Return ``text`` with every uuid in it renamed."""
    return re.sub(_ANY_UUID, lambda match: rename(match.group()), text)


def dm_name(vg_name: str, lv_name: str) -> str:
    """Return the device-mapper name of an LV."""
    return vg_name.replace("-", "--") + "-" + lv_name.replace("-", "--")


def find_reference(text: str) -> Optional[Reference]:
    """Return the volume a path or dm name refers to, None when it names none."""
    found = _references(text)
    return found[0][2] if found else None


def rename_references(text: str, rename_sr: Rename, rename_vdi: Rename) -> str:
    """Return ``text`` with every volume reference in it renamed, in the form it has."""
    parts = []
    position = 0
    for start, doubled, old in _references(text):
        new = Reference(rename_sr(old.sr_uuid), rename_uuids(old.lv_name, rename_vdi))
        parts += [text[position:start], _written(new, doubled)]
        position = start + len(_written(old, doubled))
    return "".join(parts) + text[position:]


def _written(reference: Reference, doubled: bool) -> str:
    vg_name = SR_PREFIX + reference.sr_uuid
    if doubled:
        return dm_name(vg_name, reference.lv_name)
    return vg_name + "/" + reference.lv_name


def _references(text: str) -> List[Tuple[int, bool, Reference]]:
    """Return (position, dashes are doubled, reference) of every reference in ``text``."""
    found = []
    start = text.find(SR_PREFIX)
    while start >= 0:
        doubled = text.startswith("-", start + len(SR_PREFIX))
        reference = _reference_at(text[start:], doubled)
        if reference:
            found.append((start, doubled, reference))
        start = text.find(SR_PREFIX, start + 1)
    return found


def _reference_at(text: str, doubled: bool) -> Optional[Reference]:
    dash, separator = ("--", "-") if doubled else ("-", "/")
    length = _UUID_LENGTH + 4 * (len(dash) - 1)
    at = len(SR_PREFIX) - 1 + len(dash)
    sr_uuid, rest = text[at : at + length].replace(dash, "-"), text[at + length :]
    for kind in IMAGE_PREFIXES:
        for prefix in (kind, kind + _DISPLACED):
            before = separator + prefix.replace("-", dash)
            vdi = rest[len(before) : len(before) + length].replace(dash, "-")
            if rest.startswith(before) and is_uuid(vdi) and is_uuid(sr_uuid):
                reference = Reference(sr_uuid, prefix + vdi)
                # Some dashes may be doubled and others not: then it is no name of that volume.
                return reference if text.startswith(_written(reference, doubled)) else None
    return None
