"""The pool on a TCP port: XML-RPC at / and JSON-RPC (1.0 and 2.0) at /jsonrpc, as xapi has them."""

import json
import threading
import traceback
import xmlrpc.client
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from xapi.failure import ApiError
from xapi.pool import Pool

USER, PASSWORD = "root", "secret"
_LOGINS = ("session.login_with_password", "session.slave_local_login_with_password")


class Server:
    """Serves a pool on the loopback address until ``close``."""

    def __init__(self, pool: Pool) -> None:
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(pool))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address for XML-RPC clients."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        """Stop serving."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def _handler(pool: Pool) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.startswith("/jsonrpc"):
                self._reply(_json_rpc(pool, body), "application/json")
            else:
                self._reply(_xml_rpc(pool, body), "text/xml")

        def _reply(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            pass

    return Handler


def _xml_rpc(pool: Pool, body: bytes) -> bytes:
    arguments, method = xmlrpc.client.loads(body.decode())
    try:
        answer: Any = {"Status": "Success", "Value": _call(pool, str(method), list(arguments))}
    except ApiError as error:
        answer = {"Status": "Failure", "ErrorDescription": error.description}
    text = xmlrpc.client.dumps((answer,), methodresponse=True, allow_none=True)
    # Without space between tags, as xapi writes it; in values < and > are escaped.
    return text.replace(">\n<", "><").encode()


def _json_rpc(pool: Pool, body: bytes) -> bytes:
    asked = json.loads(body)
    second = asked.get("jsonrpc") == "2.0"
    answer: dict[str, Any] = {"id": asked["id"]} | ({"jsonrpc": "2.0"} if second else {})
    try:
        result = _call(pool, asked["method"], list(asked["params"]))
        answer["result"] = result if second else {"Status": "Success", "Value": result}
    except ApiError as error:
        code, *parameters = error.description
        if second:
            answer["error"] = {"code": 1, "message": code, "data": parameters}
        else:
            answer["result"] = {"Status": "Failure", "ErrorDescription": error.description}
    return json.dumps(answer).encode()


def _call(pool: Pool, method: str, arguments: list[Any]) -> Any:
    try:
        if method in _LOGINS:
            if arguments[:2] != [USER, PASSWORD]:
                raise ApiError("SESSION_AUTHENTICATION_FAILED", arguments[0], "")
            return pool.db.add("session", other_config={})
        session = arguments.pop(0) if arguments else ""
        if session not in pool.db.table("session"):
            raise ApiError("SESSION_INVALID", session)
        if method == "session.logout":
            del pool.db.table("session")[session]
            return ""
        return pool.call(method, arguments)
    except ApiError:
        raise
    except Exception as error:
        raise ApiError("INTERNAL_ERROR", traceback.format_exc()) from error
