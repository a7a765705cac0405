"""The pool's address, user and password: from the command line, environment, a file or a prompt."""

import os
import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from relun.pool.connection import Address


_LOOPBACK = re.compile(r"(127\.[0-9.]+|localhost|\[::1\])(:[0-9]+)?/*\Z")


def address(arguments: "argparse.Namespace") -> "Address":
    """Return where the pool is and who logs in. Exits with code 2 when that is not known."""
    from relun.pool.connection import Address

    url = arguments.pool or os.environ.get("RELUN_POOL", "")
    if not url:
        arguments.parser.error("which pool? --pool URL, or RELUN_POOL")
    url = url if "://" in url else "https://" + url
    scheme, _mark, rest = url.partition("://")
    if scheme not in ("https", "http") or not rest.strip("/") or "@" in rest:
        arguments.parser.error("--pool: https://HOST[:PORT] (the user by --user)")
    if scheme == "http" and not (arguments.insecure or _LOOPBACK.match(rest)):
        arguments.parser.error("--pool: http:// tells the password to the network; --insecure")
    if arguments.ca and (os.path.isdir(arguments.ca) or not os.access(arguments.ca, os.R_OK)):
        arguments.parser.error("--ca {}: cannot be read".format(arguments.ca))
    user = arguments.user or os.environ.get("RELUN_POOL_USER", "") or "root"
    password = _password(arguments, user, url)
    return Address(url.rstrip("/"), user, password, arguments.ca or "", arguments.insecure)


def _password(arguments: "argparse.Namespace", user: str, url: str) -> str:
    path = arguments.pool_password_file
    if path:
        try:
            return _read(path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            arguments.parser.error("--pool-password-file {}: {}".format(path, reason))
    if "RELUN_POOL_PASSWORD" in os.environ:
        return os.environ["RELUN_POOL_PASSWORD"]
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        arguments.parser.error(
            "no password: RELUN_POOL_PASSWORD, --pool-password-file, or a terminal to ask on"
        )
    from getpass import getpass

    return getpass("password of {} at {}: ".format(user, url), sys.stderr)


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        if os.fstat(file.fileno()).st_mode & 0o004:
            raise ValueError("everybody may read it (chmod o-r)")
        return file.readline().rstrip("\r\n")
