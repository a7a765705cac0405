"""Addresses, and the passwords that are parted from them."""

from __future__ import annotations

import pytest

from relun.core.errors import DeviceError
from relun.remote.address import (
    IscsiAddress,
    NbdAddress,
    is_portal,
    is_remote,
    parse_iscsi,
    parse_nbd,
    take_login,
)
from relun.remote.login import Login, parse_login

LUN = "10.0.0.1/iqn.2024-01.lab:one/3"


@pytest.mark.parametrize(
    ("typed", "shown", "login"),
    [
        (f"iscsi://{LUN}", f"iscsi://{LUN}", Login()),
        (f"iscsi://me%pass@{LUN}", f"iscsi://me@{LUN}", Login("me", "pass")),
        (f"iscsi://me@{LUN}", f"iscsi://me@{LUN}", Login("me")),
        (f"iscsi://me%p@s/s%w:rd@{LUN}", f"iscsi://me@{LUN}", Login("me", "p@s/s%w:rd")),
        (f"iscsi://me:pass@{LUN}", f"iscsi://me@{LUN}", Login("me", "pass")),
        (
            f"iscsi://iqn.1993-08.org.debian:01:abc%pass@{LUN}",
            f"iscsi://iqn.1993-08.org.debian:01:abc@{LUN}",
            Login("iqn.1993-08.org.debian:01:abc", "pass"),
        ),
        (
            f"iscsi://me%pass@{LUN}?target_user=it&target_password=other",
            f"iscsi://me@{LUN}",
            Login("me", "pass", "it", "other"),
        ),
        ("iscsi://me%pass@portal", "iscsi://me@portal", Login("me", "pass")),
        ("nbd://host/ex", "nbd://host/ex", Login()),
    ],
)
def test_take_login(typed: str, shown: str, login: Login) -> None:
    """What is left has no password in it."""
    assert take_login(typed) == (shown, login)


def test_login_is_never_shown() -> None:
    """Neither by repr nor by str nor in a tuple."""
    login = Login("me", "secret-one", "it", "secret-two")
    assert "secret" not in "{} {!r} {}".format(login, login, [login])


@pytest.mark.parametrize(
    ("shown", "address"),
    [
        (f"iscsi://{LUN}", IscsiAddress("10.0.0.1:3260", "iqn.2024-01.lab:one", 3)),
        ("iscsi://me@h:1/iqn.x/0/", IscsiAddress("h:1", "iqn.x", 0, "me")),
        ("iscsi://[fe80::1]:3261/eui.02/9", IscsiAddress("[fe80::1]:3261", "eui.02", 9)),
        ("iscsi://portal", IscsiAddress("portal:3260")),
        ("iscsi://me@portal:5/", IscsiAddress("portal:5", user="me")),
    ],
)
def test_iscsi(shown: str, address: IscsiAddress) -> None:
    """Parsed, and written again in a form that means the same."""
    assert parse_iscsi(shown) == address
    assert parse_iscsi(str(address)) == address
    assert is_portal(shown) == (not address.iqn)
    assert is_remote(shown)


@pytest.mark.parametrize(
    ("shown", "address"),
    [
        ("nbd://host", NbdAddress("", "host")),
        ("nbd://host:10/", NbdAddress("", "host", 10)),
        ("nbd://[::1]/a%20b", NbdAddress("a b", "::1")),
        ("nbd+unix:///?socket=/run/s", NbdAddress("", socket="/run/s")),
        ("nbd+unix:///ex?socket=/run/a%20b", NbdAddress("ex", socket="/run/a b")),
    ],
)
def test_nbd(shown: str, address: NbdAddress) -> None:
    """Parsed."""
    assert parse_nbd(shown) == address
    assert is_remote(shown)
    assert not is_portal(shown)


@pytest.mark.parametrize(
    "shown",
    [
        "iscsi://",
        "iscsi://h/iqn.x",
        "iscsi://h/iqn.x/one",
        "iscsi://h/iqn.x/-1",
        "iscsi://h/iqn.x/256",
        "iscsi://h/disk/1",
        "iscsi://h/iqn.x/y/1",
        "iscsi://h:port/iqn.x/1",
        "nbd://",
        "nbd://h:x/",
        "nbd+unix:///ex",
        "nbd+unix://host/ex?socket=/s",
    ],
)
def test_malformed(shown: str) -> None:
    """Refused, with the form that was expected."""
    with pytest.raises(DeviceError) as caught:
        parse_nbd(shown) if shown.startswith("nbd") else parse_iscsi(shown)
    assert caught.value.code == "address-malformed"
    assert caught.value.fields["form"]


@pytest.mark.parametrize("path", ["/dev/sdb", "lun.img", "http://x/y", "./iscsi://x"])
def test_paths(path: str) -> None:
    """Everything else is a path."""
    assert not is_remote(path)


def test_password_file() -> None:
    """Keys and values; a line that is neither is not repeated in the error."""
    text = "# CHAP\nuser = me\npassword = p = q # r\n\ntarget_user=it\n"
    assert parse_login(text) == Login("me", "p = q # r", "it")
    for wrong in ("user = me\nsecret-word\n", "pasword = secret-word\n"):
        with pytest.raises(ValueError, match="line") as caught:
            parse_login(wrong)
        assert "secret-word" not in str(caught.value)
    assert Login("me").filled(Login("you", "pass")) == Login("me", "pass")
