"""A host of the pool on a TCP port: XML-RPC at / and JSON-RPC (1.0 and 2.0) at /jsonrpc."""

import json
import ssl
import threading
import traceback
import xmlrpc.client
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from xapi.failure import ApiError
from xapi.faults import Dropped
from xapi.pool import PASSWORD as PASSWORD
from xapi.pool import USER as USER
from xapi.pool import Host, Pool


class Server:
    """Serves a pool on a loopback address until ``close``.

    ``host``: which host answers there, the master unless given. ``certificate``: a file with a
    certificate and its key, for TLS.
    """

    def __init__(
        self,
        pool: Pool,
        address: str = "127.0.0.1",
        port: int = 0,
        host: Host | None = None,
        certificate: Path | None = None,
    ) -> None:
        self._http = _Http((address, port), _handler(pool, host))
        self._scheme = "https" if certificate else "http"
        if certificate:
            self._http.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._http.tls.load_cert_chain(certificate)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        """The address for XML-RPC clients."""
        return f"{self._scheme}://{self._http.server_address[0]}:{self.port}"  # type: ignore[str-bytes-safe]

    def close(self) -> None:
        """Stop serving."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # clients keep their connections open
    request_queue_size = 128
    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread, then answer."""
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        try:
            secured = self.tls.wrap_socket(request, server_side=True)
        except OSError:
            return  # a client that does not trust us
        with secured:
            super().finish_request(secured, client_address)


def _handler(pool: Pool, host: Host | None) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                if self.path.startswith("/jsonrpc"):
                    self._reply(_json_rpc(pool, host, body), "application/json")
                else:
                    self._reply(_xml_rpc(pool, host, body), "text/xml")
            except (Dropped, ConnectionError):
                self.close_connection = True

        def _reply(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            pass

    return Handler


def _xml_rpc(pool: Pool, host: Host | None, body: bytes) -> bytes:
    arguments, method = xmlrpc.client.loads(body.decode())
    try:
        value = _call(pool, host, str(method), list(arguments))
        answer: Any = {"Status": "Success", "Value": value}
    except ApiError as error:
        answer = {"Status": "Failure", "ErrorDescription": error.description}
    text = xmlrpc.client.dumps((answer,), methodresponse=True, allow_none=True)
    # Without space between tags, as xapi writes it; in values < and > are escaped.
    return text.replace(">\n<", "><").encode()


def _json_rpc(pool: Pool, host: Host | None, body: bytes) -> bytes:
    asked = json.loads(body)
    second = asked.get("jsonrpc") == "2.0"
    answer: dict[str, Any] = {"id": asked["id"]} | ({"jsonrpc": "2.0"} if second else {})
    try:
        result = _call(pool, host, asked["method"], list(asked["params"]))
        answer["result"] = result if second else {"Status": "Success", "Value": result}
    except ApiError as error:
        code, *parameters = error.description
        if second:
            answer["error"] = {"code": 1, "message": code, "data": parameters}
        else:
            answer["result"] = {"Status": "Failure", "ErrorDescription": error.description}
    return json.dumps(answer, default=str).encode()


def _call(pool: Pool, host: Host | None, method: str, arguments: list[Any]) -> Any:
    try:
        return pool.request(host, method, arguments)
    except (ApiError, Dropped):
        raise
    except Exception as error:
        raise ApiError("INTERNAL_ERROR", traceback.format_exc()) from error
