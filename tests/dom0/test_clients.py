"""Other clients of xapi than the Python one: Xen Orchestra's, and JSON-RPC by hand."""

import json
import os
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from dom0.test_contract import SUCCESS
from xapi.server import PASSWORD, USER
from xapi.site import Site

HERE = Path(__file__).resolve().parent
MODULES = HERE.parent.parent / ".cache" / "node_modules"


@pytest.mark.skipif(not shutil.which("node"), reason="missing: node (package nodejs)")
@pytest.mark.skipif(not (MODULES / "xen-api").exists(), reason="missing: xen-api (make setup)")
@pytest.mark.parametrize("transport", ["json-rpc", "xml-rpc"])
def test_xen_orchestra(one_site: Site, transport: str) -> None:
    lun = one_site.lun("single")
    done = subprocess.run(
        [
            "node",
            str(HERE / "xen_api_client.mjs"),
            one_site.server.url,
            transport,
            json.dumps(lun.config),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=dict(os.environ, NODE_MODULES=str(MODULES)),
        check=True,
    )
    found = json.loads(done.stdout)
    assert {"relvmoiscsi", "relvmohba"} <= set(found["types"])
    assert found["code"] == "SR_BACKEND_FAILURE_1"
    # Its XML-RPC takes an empty string for nothing.
    assert [part or "" for part in found["params"]] == ["", SUCCESS.format("lvmoiscsi"), ""]
    assert found["before"].count("<UUID>") == found["after"].count("<UUID>") == 1
    assert found["before"] != found["after"]
    assert "resign" in found["version"]["functions"]


@pytest.mark.parametrize("second", [True, False])
def test_json_rpc(one_site: Site, second: bool) -> None:
    """Version 2.0, and 1.0 whose errors come in the result."""

    def call(method: str, *params: Any) -> Any:
        asked: dict[str, Any] = {"id": 7, "method": method, "params": params}
        if second:
            asked["jsonrpc"] = "2.0"
        request = urllib.request.Request(
            one_site.server.url + "/jsonrpc",
            json.dumps(asked).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            found = json.load(answer)
        assert found["id"] == 7
        return found

    session = call("session.login_with_password", USER, PASSWORD)["result"]
    session = session if second else session["Value"]
    lun = one_site.lun("single")
    arguments: Any = (
        one_site.master.reference,
        lun.config,
        0,
        "x",
        "",
        "relvmoiscsi",
        "user",
        True,
        {},
    )
    answer = call("SR.create", session, *arguments)
    text = SUCCESS.format("lvmoiscsi")
    if second:
        assert answer["error"]["message"] == "SR_BACKEND_FAILURE_1"
        assert answer["error"]["data"] == ["", text, ""]
    else:
        assert answer["result"]["ErrorDescription"] == ["SR_BACKEND_FAILURE_1", "", text, ""]
