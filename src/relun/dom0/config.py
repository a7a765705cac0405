"""The device-config keys of relun's own SR types."""

import time

from relun.core.hints import Dict
from relun.core.options import Options
from relun.dom0.faults import BAD_CONFIG, Fault

KEYS = (
    ("resign", "Give the LUN a new identity; true is the default and the only value that works"),
    ("drop-snapshots", "Remove snapshots and changed block logs on the way (default true)"),
    ("label", "New names of SR and VDIs: a text with {name}, {date} and {sr} (optional)"),
)
_BOOLEANS = {"true": True, "false": False}


def read(sr_uuid: str, device_config: Dict[str, str]) -> Options:
    """Return the options that a device-config asks for. Raise Fault (BAD_CONFIG)."""
    if not _boolean(device_config, "resign", True):
        raise Fault(BAD_CONFIG, "this SR type only resigns: resign=false leaves nothing to do")
    label = device_config.get("label", "")
    return Options(
        sr_uuid=sr_uuid,
        label=label,
        date=time.strftime("%Y-%m-%d") if "{date}" in label else "",
        drop_snapshots=_boolean(device_config, "drop-snapshots", True),
    )


def _boolean(device_config: Dict[str, str], key: str, default: bool) -> bool:
    value = device_config.get(key, "")
    if not value:
        return default
    if value.lower() not in _BOOLEANS:
        raise Fault(BAD_CONFIG, "{} must be true or false, not {!r}".format(key, value))
    return _BOOLEANS[value.lower()]
