"""A session with a pool's xapi that is always closed."""

import ssl
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from relun.pool.errors import PoolRefused

NULL = "OpaqueRef:NULL"
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
        return " ".join(part for part in (self.code, *self.details) if part)

    def __str__(self) -> str:
        return f"{self.call}: {self.reason}"


class Connection:
    """A logged-in session. Get one from ``connect``."""

    def __init__(self, session: Any, address: Address) -> None:
        self._session = session
        self.address = address
        self.calls = 0

    def call(self, method: str, *arguments: Any) -> Any:
        """Make an API call, for example ``call("PBD.plug", pbd)``. Raise ApiFailure."""
        import XenAPI

        self.calls += 1
        try:
            return self._session.xenapi_request(method, arguments)
        except XenAPI.Failure as failure:
            raise ApiFailure(method, list(failure.details)) from failure
        except (OSError, xmlrpc.client.Error) as error:
            raise ApiFailure(method, ["no answer", str(error)]) from error

    def records(self, kind: str) -> dict[str, Record]:
        """Return all records of a class, by reference."""
        found: dict[str, Record] = self.call(f"{kind}.get_all_records")
        return found

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
    finally:
        try:
            session.xenapi.session.logout()
        except Exception:
            pass  # the connection is gone, and the session ends with its time


def _logged_in(address: Address) -> tuple[Any, Address]:
    try:
        import XenAPI
    except ImportError as error:
        raise PoolRefused("pool-package") from error
    session = _session(address)
    try:
        session.login_with_password(address.user, address.password, "1.0", "relun")
    except XenAPI.Failure as failure:
        code, *details = failure.details
        if code == "HOST_IS_SLAVE" and details:
            parts = urlsplit(address.url)
            port = f":{parts.port}" if parts.port else ""
            return _logged_in(address._replace(url=f"{parts.scheme}://{details[0]}{port}"))
        fields = {"url": address.url, "user": address.user, "reason": code}
        raise PoolRefused("pool-login", **fields) from failure
    except ssl.SSLCertVerificationError as error:
        raise PoolRefused(
            "pool-certificate", url=address.url, reason=error.verify_message
        ) from error
    except (OSError, xmlrpc.client.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise PoolRefused("pool-unreachable", url=address.url, reason=reason) from error
    return session, address


def _session(address: Address) -> Any:
    import XenAPI

    if not address.url.startswith("https://"):
        return XenAPI.Session(address.url)
    context = ssl.create_default_context(cafile=address.ca or None)
    if address.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    transport = xmlrpc.client.SafeTransport(context=context)
    return XenAPI.Session(address.url, transport=transport)
