"""What the rpm has installed, run where it was installed: drivers, plugin and command."""

import json
import shutil
import sys
import xmlrpc.client
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import golden
from support.scratch_root import Root, run
from xapi.worlds import Dom0

Install = Callable[[str], Root]
TESTS = Path(__file__).resolve().parents[1]
ASKED = (
    "<methodCall><methodName>sr_get_driver_info</methodName><params><param><value><struct>"
    "<member><name>host_ref</name><value>OpaqueRef:1</value></member>"
    "<member><name>command</name><value>sr_get_driver_info</value></member>"
    "<member><name>args</name><value><array><data/></array></value></member>"
    "<member><name>device_config</name><value><struct/></value></member>"
    "</struct></value></param></params></methodCall>"
)


@pytest.fixture
def host(root: Install, relun_rpm: Path) -> Callable[[str, str], Root]:
    """A function: platform, world of SM -> a root with both and relun in it."""

    def make(platform: str, world: str) -> Root:
        made = root(platform)
        _put_sm(made, world)
        made.install(relun_rpm)
        return made

    return make


@pytest.mark.parametrize(
    ("platform", "world", "folder"),
    [
        ("xenserver8", "flat", "/opt/xensource/sm"),
        ("xcpng83", "renamed", "/opt/xensource/sm"),
        ("xenserver9", "package", "/opt/xensource/sm"),
        ("xenserver9", "package", "/usr/libexec/sm/drivers"),
    ],
)
def test_drivers_answer_xapi(
    host: Callable[[str, str], Root], platform: str, world: str, folder: str
) -> None:
    made = host(platform, world)
    for driver in ("ReLVMoISCSISR", "ReLVMoHBASR"):
        path = f"{folder}/{driver}"
        direct = made.run("env", "PYTHONPATH=/site", path, ASKED)
        traced = made.run(
            "env", f"PYTHONPATH={folder}:/site", "python3", "-m", "observer", path, ASKED
        )
        assert direct == traced
        (info,), _method = xmlrpc.client.loads(direct)
        found: Any = info
        assert "resigning of duplicates" in found["name"]
        assert "SR_CREATE" in found["capabilities"]


def test_plugin_answers_xapi(host: Callable[[str, str], Root]) -> None:
    made = host("xcpng83", "renamed")
    asked = xmlrpc.client.dumps(("OpaqueRef:1", {}), "version")
    said = made.run("env", "PYTHONPATH=/site", "/etc/xapi.d/plugins/relun", asked)
    (answer,), _method = xmlrpc.client.loads(said)
    found: Any = answer
    assert found["Status"] == "Success"
    assert json.loads(found["Value"])["schema"] == "relun/1"


def test_command_resigns_a_lun(root: Install, relun_rpm: Path, tmp_path: Path) -> None:
    made = root("xenserver8")
    made.install(relun_rpm)
    original = Path(golden.copy("single", made.path / "tmp", "original.img"))
    run("cp", "--sparse=always", original, original.with_name("clone.img"))
    relun = ("env", "-i", "/usr/bin/relun")  # the locale C, as cron has it
    lun = "/tmp/clone.img"
    shown = made.run(*relun, "inspect", lun)
    assert shown == _without_dom0(tmp_path, "inspect", original.with_name("clone.img"), lun)
    assert "edits" in json.loads(made.run(*relun, "plan", lun, "--json"))["plan"]
    resigned = json.loads(made.run(*relun, "resign", lun, "--drop-snapshots", "--yes", "--json"))
    assert resigned["outcome"]["action"] == "resigned"
    compared = made.run(*relun, "verify", lun, "--against", "/tmp/original.img", "--json")
    assert json.loads(compared)["differences"] == []
    conflicts = made.run(*relun, "conflicts", lun, "/tmp/original.img")
    assert "no SR stands twice" in conflicts
    undone = json.loads(made.run(*relun, "undo", lun, "--yes", "--json"))
    assert undone["outcome"]["action"] == "undone"
    run("cmp", original.with_name("clone.img"), original)
    made.run(*relun, "resign", lun, "--yes", "--label", "{name} (copy)")
    made.run(*relun, "seal", lun, "--yes")
    again = json.loads(made.run(*relun, "recover", lun, "--json"))
    assert again["outcome"]["action"] == "nothing"
    assert "device-missing" in made.run(*relun, "inspect", "/tmp/absent", check=False)
    assert "usage: relun VERB" in made.run(*relun, check=False)


def test_every_module_of_the_command_loads_on_the_oldest_python(
    root: Install, relun_rpm: Path
) -> None:
    made = root("xenserver8")
    made.install(relun_rpm)
    package = made.path / "usr/share/relun/relun"
    names = [
        f"relun.{part}.{path.stem}"
        for part in ("cli", "core", "remote")
        for path in sorted((package / part).glob("*.py"))
    ]
    assert len(names) > 20
    code = "import sys, importlib\nsys.path.insert(0, '/usr/share/relun')\n"
    code += f"for name in {names!r}: importlib.import_module(name)"
    assert made.run("/usr/bin/python3", "-c", code) == ""
    said = made.run("/usr/bin/relun", "inspect", "iscsi://192.0.2.1/iqn.x/0", check=False)
    assert "Traceback" not in said  # dom0 has no libiscsi
    assert "remote-library" in said


def _put_sm(made: Root, world: str) -> None:
    """Put the stand-in of SM, which tests elsewhere lay out in a folder, into the root."""
    laid = made.path / "laid"
    Dom0(laid, world, Path("/fabric.json"), "http://localhost")
    for part in ("site", "opt", "usr"):
        if (laid / part).is_dir():
            run("cp", "-rL", "--remove-destination", laid / part, made.path)
    (made.path / "site" / "smfake_host.py").write_text(
        f"ROOT, FABRIC, XAPI, WORLD = '/', '/fabric.json', 'http://localhost', {world!r}\n"
    )
    (made.path / "fabric.json").write_text("{}")
    shutil.rmtree(laid)


def _without_dom0(folder: Path, verb: str, file: Path, name: str) -> str:
    """Return what the command prints on the developer's Python, the file's name as in dom0."""
    shown = run(sys.executable, "-m", "relun", verb, file)
    return shown.replace(str(file), name)
