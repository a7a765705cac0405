"""The host's XenAPIPlugin: calls one function of a table by a request in argv."""

import sys
import xmlrpc.client
from typing import Any, Callable, Dict

import XenAPI


class Failure(Exception):
    """A failure with a code and parameters of the plugin's own."""

    def __init__(self, code: str, params: Any) -> None:
        super().__init__(code)
        self.params = [code, *params]


def dispatch(functions: Dict[str, Callable[[Any, Dict[str, str]], str]]) -> None:
    """Answer the request in argv."""
    params, method = xmlrpc.client.loads(sys.argv[1])
    if method not in functions:
        print(_failure(["UNKNOWN_XENAPI_PLUGIN_FUNCTION", method]))
        return
    session: Any = XenAPI.xapi_local()
    session._session = params[0]
    arguments: Any = params[1]
    try:
        value = functions[str(method)](session, arguments)
        print(xmlrpc.client.dumps(({"Status": "Success", "Value": value},), "", True))
    except Failure as error:
        print(_failure(error.params))
    except Exception as error:
        name = error.__class__.__name__
        print(_failure(["XENAPI_PLUGIN_FAILURE", method, name, str(error)]))


def _failure(description: Any) -> str:
    answer: Any = {"Status": "Failure", "ErrorDescription": description}
    return xmlrpc.client.dumps((answer,), "", True)
