"""Errors carry a code and fields, and say whether the LUN was changed."""

import pytest

from relun.core.errors import DeviceError, FormatError, Interrupted, Refused, RelunError


def test_code_and_fields() -> None:
    error = DeviceError("device-busy", device="/dev/sdb")
    assert (error.code, error.fields) == ("device-busy", {"device": "/dev/sdb"})
    assert str(error) == "device-busy {'device': '/dev/sdb'}"


def test_format_error_has_an_offset() -> None:
    error = FormatError("label-checksum", 512, sector=1)
    assert (error.offset, error.fields) == (512, {"offset": 512, "sector": 1})


def test_refusal_has_findings() -> None:
    assert Refused("plan").findings == ()
    refused = Refused("plan", ["one", "two"], lun="x")
    assert (refused.findings, refused.fields) == (("one", "two"), {"lun": "x"})


@pytest.mark.parametrize("kind", [DeviceError, Refused, RelunError])
def test_nothing_was_changed(kind: type) -> None:
    assert issubclass(kind, RelunError)
    assert not kind("code").changed


def test_an_interrupted_lun_was_changed() -> None:
    assert Interrupted("apply").changed
    assert not FormatError("code", 0).changed
