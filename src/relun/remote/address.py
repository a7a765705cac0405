"""Addresses of remote LUNs. What is shown, logged or compared never has a password in it.

    iscsi://[user@]portal[:port]/iqn/lun     a LUN
    iscsi://[user@]portal[:port]             a portal: all its targets and LUNs
    nbd://host[:port][/export]               an NBD export over TCP
    nbd+unix:///[export]?socket=PATH         an NBD export over a Unix socket

As typed, an iSCSI address may hold passwords: ``user%password@`` for CHAP and
``?target_user=…&target_password=…`` for mutual CHAP. ``take_login`` parts them from the address.
"""

import re

from relun.core.errors import DeviceError
from relun.core.hints import Dict, NamedTuple, Tuple
from relun.remote.login import Login

ISCSI_PORT, NBD_PORT = 3260, 10809

# The last "@" ends the user's part: a name of a target or export after it has none.
_WITH_USER = re.compile(r"(?P<scheme>iscsi://)(?P<user>.*)@(?P<rest>[^@]*)\Z", re.DOTALL)


class IscsiAddress(NamedTuple):
    """Where a LUN is; ``iqn`` is empty and ``lun`` -1 for a portal."""

    portal: str  # host:port, [host]:port for IPv6
    iqn: str = ""
    lun: int = -1
    user: str = ""

    def __str__(self) -> str:
        start = "iscsi://" + (self.user + "@" if self.user else "") + self.portal
        return "{}/{}/{}".format(start, self.iqn, self.lun) if self.iqn else start


class NbdAddress(NamedTuple):
    """Where an NBD export is: by host and port, or by ``socket``."""

    export: str = ""
    host: str = ""
    port: int = NBD_PORT
    socket: str = ""


def is_remote(path: str) -> bool:
    """Tell whether a target is an address rather than a path."""
    return path.startswith(("iscsi://", "nbd://", "nbd+unix://"))


def is_portal(path: str) -> bool:
    """Tell whether an address names a portal, that is any number of LUNs."""
    return path.startswith("iscsi://") and path[len("iscsi://") :].strip("/").count("/") == 0


def take_login(typed: str) -> Tuple[str, Login]:
    """Return the address as it may be shown, and the names and passwords that were in it."""
    found = _WITH_USER.match(typed)
    rest, user, password = typed, "", ""
    if found:
        user, password = _parted(found.group("user"))
        rest = found.group("scheme") + found.group("rest")
    if not rest.startswith("iscsi://"):
        return typed, Login()
    rest, _mark, query = rest.partition("?")
    options = _options(query)
    login = Login(
        user,
        password,
        options.get("target_user", ""),
        options.get("target_password", ""),
    )
    shown = "iscsi://" + (user + "@" if user else "") + rest[len("iscsi://") :]
    return shown, login


def _parted(text: str) -> Tuple[str, str]:
    """Part user and password. "%" stands between them; ":" is taken too, as URLs have it."""
    user, _mark, password = text.partition("%")
    if not password and not user.startswith(("iqn.", "eui.", "naa.")):  # names with ":" in them
        user, _mark, password = text.partition(":")
    return user, password


def parse_iscsi(shown: str) -> IscsiAddress:
    """Parse an address without passwords. Raise DeviceError (address-malformed)."""
    user, at, rest = shown[len("iscsi://") :].rpartition("@")
    portal, _slash, path = rest.strip("/").partition("/")
    iqn, _slash, lun = path.rpartition("/")
    host, port = _host_and_port(shown, portal, ISCSI_PORT)
    shown_host = "[{}]".format(host) if ":" in host else host
    address = IscsiAddress("{}:{}".format(shown_host, port), user=user if at else "")
    if not path:
        return address
    if "/" in iqn or not iqn.startswith(("iqn.", "eui.", "naa.")) or not lun.isdigit():
        raise DeviceError("address-malformed", device=shown, form="iscsi://portal/iqn/lun")
    if int(lun) > 255:  # libiscsi addresses LUNs by the peripheral method
        raise DeviceError("address-malformed", device=shown, form="a LUN up to 255")
    return address._replace(iqn=iqn, lun=int(lun))


def parse_nbd(shown: str) -> NbdAddress:
    """Parse an NBD address. Raise DeviceError (address-malformed)."""
    from urllib.parse import urlsplit  # iSCSI does without: it is slow to load

    parts = urlsplit(shown)
    export = _unquoted(parts.path[1:])
    if parts.scheme == "nbd+unix":
        socket = _options(parts.query).get("socket", "")
        if parts.netloc or not socket:
            form = "nbd+unix:///export?socket=PATH"
            raise DeviceError("address-malformed", device=shown, form=form)
        return NbdAddress(export, socket=socket)
    host, port = _host_and_port(shown, parts.netloc, NBD_PORT)
    return NbdAddress(export, host, port)


def _host_and_port(shown: str, text: str, default: int) -> Tuple[str, int]:
    found = re.match(r"(\[[0-9a-fA-F:.%]+\]|[^\[\]:/@]+)(?::([0-9]{1,5}))?\Z", text)
    if not found:
        raise DeviceError("address-malformed", device=shown, form="host or host:port")
    return found.group(1).strip("[]"), int(found.group(2) or default)


def _options(query: str) -> Dict[str, str]:
    if not query:
        return {}
    from urllib.parse import parse_qsl

    return dict(parse_qsl(query))


def _unquoted(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text)
