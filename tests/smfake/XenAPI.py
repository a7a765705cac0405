"""The host's own XenAPI module: what SM needs of it."""

import xmlrpc.client
from typing import Any, List

from smfake import host


class Failure(Exception):
    """An error of xapi."""

    def __init__(self, details: List[str]) -> None:
        super().__init__(details)
        self.details = details

    def __str__(self) -> str:
        return str(self.details)


class Session:
    """A connection to this host's xapi."""

    def __init__(self) -> None:
        self._session = ""
        self._proxy = xmlrpc.client.ServerProxy(host.XAPI, allow_none=True)
        self.xenapi = _Dispatch(self, "")

    def request(self, method: str, arguments: Any) -> Any:
        """Call a method with our session."""
        answer: Any = getattr(self._proxy, method)(self._session, *arguments)
        if answer["Status"] != "Success":
            raise Failure(answer["ErrorDescription"])
        return answer["Value"]


class _Dispatch:
    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self._name = name

    def __getattr__(self, name: str) -> "_Dispatch":
        return _Dispatch(self._session, self._name + "." + name if self._name else name)

    def __call__(self, *arguments: Any) -> Any:
        return self._session.request(self._name, arguments)


def xapi_local() -> Session:
    """Return a session of this host's xapi; the caller sets its reference."""
    return Session()
