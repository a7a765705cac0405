"""The names SM gives: VGs, LVs and the references from one volume to another.

Source: SM's lvutil, lvhdutil (VG_PREFIX, LV_PREFIX), journaler, cbtutil; device-mapper doubles
every dash of a VG or LV name and joins the two by a single one (libdm, dm_build_dm_name).
"""

import re
from typing import Callable, NamedTuple, Optional

_HEX = "[0-9a-f]"
_UUID = "{0}{{8}}-{0}{{4}}-{0}{{4}}-{0}{{4}}-{0}{{12}}".format(_HEX)
_DOUBLED = _UUID.replace("-", "--").replace("[0--9a--f]", _HEX)

UUID = re.compile(_UUID)
_WHOLE_UUID = re.compile(_UUID + r"\Z")

SR_PREFIX = "VG_XenStorage-"
FILESYSTEM_PREFIXES = {"XSLocalEXT-": "ext", "XSLocalLargeBlock-": "largeblock"}
IMAGE_PREFIXES = {"VHD-": "vhd", "LV-": "raw", "QCOW2-": "qcow2"}

# clone_ and leaf_ carry other uuids in their first sector (or, before 2013, in their name).
JOURNAL_KINDS = ("inflate", "zero", "relink", "coalesce", "clone", "leaf")
RESIZE_JOURNAL = "jvhd"

_IMAGE = re.compile(r"(VHD-|LV-|QCOW2-)(OLD_)?({})\Z".format(_UUID))
_JOURNAL = re.compile(
    r"({}|{})_({})(?:_(.*))?\Z".format("|".join(JOURNAL_KINDS), RESIZE_JOURNAL, _UUID)
)
_CBTLOG = re.compile(r"({})\.cbtlog\Z".format(_UUID))
_REFERENCE = re.compile(
    r"VG_XenStorage--(?P<dm_sr>{0})-(?P<dm_kind>VHD|LV|QCOW2)--(?P<dm_old>OLD_)?(?P<dm_vdi>{0})"
    r"|VG_XenStorage-(?P<sr>{1})/(?P<kind>VHD|LV|QCOW2)-(?P<old>OLD_)?(?P<vdi>{1})".format(
        _DOUBLED, _UUID
    )
)

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
    return bool(_WHOLE_UUID.match(text))


def parse_volume_name(name: str) -> VolumeName:
    """Classify an LV of a VG_XenStorage VG by its name."""
    if name == "MGT":
        return VolumeName("mgt")
    match = _IMAGE.match(name)
    if match:
        return VolumeName(IMAGE_PREFIXES[match.group(1)], match.group(3), bool(match.group(2)))
    match = _CBTLOG.match(name)
    if match:
        return VolumeName("cbtlog", match.group(1))
    match = _JOURNAL.match(name)
    if match:
        kind = "jvhd" if match.group(1) == RESIZE_JOURNAL else "journal"
        return VolumeName(kind, match.group(2), False, match.group(1), match.group(3) or "")
    return VolumeName("unknown")


def rename_uuids(text: str, rename: Rename) -> str:
    """Return ``text`` with every uuid in it renamed."""
    return UUID.sub(lambda match: rename(match.group()), text)


def dm_name(vg_name: str, lv_name: str) -> str:
    """Return the device-mapper name of an LV."""
    return vg_name.replace("-", "--") + "-" + lv_name.replace("-", "--")


def find_reference(text: str) -> Optional[Reference]:
    """Return the volume a path or dm name refers to, None when it names none."""
    match = _REFERENCE.search(text)
    if not match:
        return None
    if match.group("dm_sr"):
        parts = (match.group("dm_sr"), match.group("dm_kind"), match.group("dm_vdi"))
        sr_uuid, kind, vdi = (part.replace("--", "-") for part in parts)
        old = match.group("dm_old")
    else:
        sr_uuid, kind, vdi = match.group("sr"), match.group("kind"), match.group("vdi")
        old = match.group("old")
    return Reference(sr_uuid, kind + "-" + (old or "") + vdi)


def rename_references(text: str, rename_sr: Rename, rename_vdi: Rename) -> str:
    """Return ``text`` with every volume reference in it renamed, in the form it has."""

    def renamed(match: "re.Match[str]") -> str:
        reference = find_reference(match.group())
        assert reference is not None
        vg_name = SR_PREFIX + rename_sr(reference.sr_uuid)
        lv_name = rename_uuids(reference.lv_name, rename_vdi)
        if match.group("dm_sr"):
            return dm_name(vg_name, lv_name)
        return vg_name + "/" + lv_name

    return _REFERENCE.sub(renamed, text)
