"""Addresses of remote LUNs on the command line, and the passwords for them.

Passwords are parted from the addresses before anything else sees the words of the command line:
usage errors, reports and logs can show only what is left.
"""

import os
import re

from relun.core.errors import DeviceError
from relun.remote.address import is_portal, is_remote, take_login
from relun.remote.initiator import HOST_NAME, own_initiator
from relun.remote.login import Login, parse_login

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from relun.core.device import Device

_VARIABLES = Login(*("RELUN_ISCSI_" + field.upper() for field in Login._fields))
_HOST_NAME = HOST_NAME
_READING = ("inspect", "plan", "conflicts")  # verbs that take all LUNs of a portal

# The password in what was to be an address: a scheme that relun does not know.
_MISTYPED = re.compile(r"\A([a-zA-Z][a-zA-Z+.-]*://[^/%@]*)%.*@", re.DOTALL)

_typed: "dict[str, Login]" = {}  # by address as it may be shown
_from_file: "list[Login]" = []
_unreachable: "dict[str, DeviceError]" = {}  # portals


def hide(words: "Sequence[str]") -> "list[str]":
    """Return the words of a command line without passwords, which are kept for ``open_address``."""
    return [_hidden(word) for word in words]


def prepare(arguments: "argparse.Namespace") -> None:
    """Read the password file; for verbs that read, put LUNs in the place of portals."""
    if getattr(arguments, "password_file", None):
        try:
            _from_file[:] = [_read(arguments.password_file)]
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            arguments.parser.error(f"--password-file {arguments.password_file}: {reason}")
    if getattr(arguments, "pool_verb", arguments.verb) in _READING:
        arguments.targets = [lun for target in arguments.targets for lun in _luns(target)]


def unreachable(shown: str) -> "DeviceError | None":
    """Return why a portal could not be asked for its LUNs, None for all other addresses."""
    return _unreachable.get(shown)


def open_address(shown: str, writable: bool) -> "Device":
    """Open a remote LUN. Raise DeviceError."""
    if shown in _unreachable:
        raise _unreachable[shown]
    from relun.remote.opening import open_remote

    return open_remote(shown, login_of(shown), writable)


def _hidden(word: str) -> str:
    option, equals, address = word.partition("=") if word.startswith("-") else ("", "", word)
    if not is_remote(address):
        return _MISTYPED.sub(r"\1@", word)
    shown, login = take_login(address)
    _typed[shown] = login
    return option + equals + shown


def login_of(shown: str) -> Login:
    """Return names and passwords for an address: typed, of the password file, the environment."""
    login = _typed.get(shown, Login())
    for more in (*_from_file, Login(*(os.environ.get(name, "") for name in _VARIABLES))):
        login = login.filled(more)
    return login.filled(Login(initiator=own_initiator(_HOST_NAME)))


def _luns(target: str) -> "list[str]":
    if not is_portal(target):
        return [target]
    from relun.remote.discovery import luns_of_portal

    try:
        found = luns_of_portal(target, login_of(target)) or [target]
    except DeviceError as error:
        _unreachable[target] = error  # told when its turn comes
        return [target]
    _typed.update(dict.fromkeys(found, _typed[target]))
    return found


def _read(path: str) -> Login:
    with open(path, encoding="utf-8") as file:
        if os.fstat(file.fileno()).st_mode & 0o004:
            raise ValueError("everybody may read it (chmod o-r)")
        return parse_login(file.read())
