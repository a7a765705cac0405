"""A session with a pool's xapi that is always closed."""

import ssl
import time
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from xml.parsers.expat import ExpatError

from relun.pool.errors import PoolRefused
from relun.pool.transport import Transport

NULL = "OpaqueRef:NULL"
NO_ANSWER = "no answer"  # the code of a call whose answer never came: it may have been done
_NO_ANSWER = (OSError, HTTPException, ExpatError, xmlrpc.client.Error)
Record = dict[str, Any]


class Address(NamedTuple):
    """Where a pool's master is and who asks. ``ca``: a file of certificates to trust."""

    url: str
    user: str = "root"
    password: str = ""
    ca: str = ""
    insecure: bool = False

    def __repr__(self) -> str:
        return f"Address(url={self.url!r}, user={self.user!r}, …)"


class ApiFailure(Exception):  # noqa: N818 - xapi's own word
    """xapi answered a call with an error: ``call``, ``code``, and ``details`` (its parameters)."""

    def __init__(self, call: str, details: list[str]) -> None:
        super().__init__(call, details)
        self.call = call
        self.code = details[0] if details else "?"
        self.details = details[1:]

    @property
    def reason(self) -> str:
        """xapi's words in one line."""
        return " ".join(" ".join((self.code, *self.details)).split())

    def __str__(self) -> str:
        return f"{self.call}: {self.reason}"


class Connection:
    """A logged-in session. Get one from ``connect``.

    ``calls`` counts API calls, ``seconds`` is the time they took.
    """

    def __init__(self, session: Any, address: Address) -> None:
        self._session = session
        self.address = address
        self.calls = 0
        self.seconds = 0.0
        self._passwords: set[str] = set()  # in what was sent: SM's answers may repeat them

    def call(self, method: str, *arguments: Any) -> Any:
        """Make an API call, for example ``call("PBD.plug", pbd)``. Raise ApiFailure."""
        import XenAPI

        self.calls += 1
        self._passwords.update(_passwords(arguments))
        began = time.monotonic()
        try:
            return self._session.xenapi_request(method, arguments)
        except XenAPI.Failure as failure:
            # Without the failure as its cause: that has xapi's words as they came.
            raise ApiFailure(method, [self._shown(str(part)) for part in failure.details]) from None
        except _NO_ANSWER as error:
            raise ApiFailure(method, [NO_ANSWER, _reason(error)]) from error
        finally:
            self.seconds += time.monotonic() - began

    def _shown(self, text: str) -> str:
        """Return a text without the passwords that were sent."""
        for password in self._passwords:
            text = text.replace(password, "…")
        return text

    def records(self, kind: str) -> dict[str, Record]:
        """Return all records of a class, by reference."""
        found: dict[str, Record] = self.call(f"{kind}.get_all_records")
        return found

    def records_of(self, kind: str, field: str, reference: str) -> dict[str, Record]:
        """Return the records of a class whose ``field`` is a reference, e.g. the VDIs of an SR."""
        where = f'field "{field}" = "{reference}"'
        found: dict[str, Record] = self.call(f"{kind}.get_all_records_where", where)
        return {ref: record for ref, record in found.items() if record[field] == reference}

    def record(self, kind: str, reference: str) -> Record:
        """Return one record. Raise ApiFailure (HANDLE_INVALID)."""
        found: Record = self.call(f"{kind}.get_record", reference)
        return found

    def find(self, kind: str, uuid: str) -> str:
        """Return the reference of the object with a uuid, empty if there is none."""
        try:
            return str(self.call(f"{kind}.get_by_uuid", uuid))
        except ApiFailure as failure:
            if failure.code in ("UUID_INVALID", "HANDLE_INVALID"):
                return ""
            raise

    def another(self) -> "Connection":
        """Return a connection of the same session for another thread."""
        other = _session(self.address)
        other._session = self._session._session
        return Connection(other, self.address)

    def close(self) -> None:
        """Close the TCP connection; the session stays, and the next call opens another one."""
        self._session.transport.close()

    @property
    def session(self) -> str:
        """The session's reference."""
        return str(self._session._session)

    @property
    def master(self) -> str:
        """The reference of the pool's master."""
        (pool,) = self.records("pool").values()
        return str(pool["master"])


@contextmanager
def connect(address: Address) -> Iterator[Connection]:
    """Log in to a pool and out again, whatever happens. Raise PoolRefused.

    A slave sends relun to its master.
    """
    session, address = _logged_in(address)
    try:
        yield Connection(session, address)
    except KeyboardInterrupt:
        session.transport.close()  # a call may be under way on it; the logout gets a new one
        raise
    finally:
        try:
            session.xenapi.session.logout()
        except Exception:
            pass  # the connection is gone, and the session ends with its time
        session.transport.close()


def _logged_in(address: Address, may_redirect: bool = True) -> tuple[Any, Address]:
    try:
        import XenAPI
    except ImportError as error:
        raise PoolRefused("pool-package") from error
    try:
        session = _session(address)
        session.login_with_password(address.user, address.password, "1.0", "relun")
    except XenAPI.Failure as failure:
        code, *details = failure.details
        session.transport.close()
        if code == "HOST_IS_SLAVE" and details and may_redirect:
            return _logged_in(address._replace(url=_url_of(address.url, details[0])), False)
        fields = {"url": address.url, "user": address.user, "reason": code}
        raise PoolRefused("pool-login", **fields) from failure
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or str(error)
        raise PoolRefused("pool-certificate", url=address.url, reason=reason) from error
    except _NO_ANSWER as error:
        raise PoolRefused("pool-unreachable", url=address.url, reason=_reason(error)) from error
    return session, address


def _url_of(url: str, host: str) -> str:
    """Return the same URL at another host."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{port}"


def _passwords(sent: Any) -> Iterator[str]:
    """Yield the passwords in the arguments of a call, as those of a device-config."""
    if isinstance(sent, dict):
        for key, value in sent.items():
            if isinstance(value, str) and value and key.endswith("password"):
                yield value
            else:
                yield from _passwords(value)
    elif isinstance(sent, (list, tuple)):
        for value in sent:
            yield from _passwords(value)


def _session(address: Address) -> Any:
    import XenAPI

    context = None
    if address.url.startswith("https://"):
        context = ssl.create_default_context(cafile=address.ca or None)
        if address.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
    return XenAPI.Session(address.url, transport=Transport(context))


def _reason(error: Exception) -> str:
    words = error.strerror if isinstance(error, OSError) else ""
    return words or str(error) or type(error).__name__
