"""Parts of dom0 that a pool of stand-ins cannot show: devices files, imports, wording."""

import ast
import subprocess
from pathlib import Path

import pytest

import relun.dom0
from dom0.conftest import python_of
from relun.core.errors import DeviceError, Interrupted, Refused
from relun.core.finding import REFUSE, Finding
from relun.dom0 import faults, lun, pool, words

DOM0 = Path(relun.dom0.__file__).resolve().parent
SOURCES = sorted(DOM0.rglob("*.py"))
# Modules of the host that are imported by name; all else of SM comes through sm_world.
HOST = {"XenAPIPlugin"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_imports(path: Path) -> None:
    """dom0 stands on core, the standard library, and the host's own modules."""
    import sys

    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        for name in names:
            root = name.split(".")[0]
            if root == "relun":
                assert name.startswith(("relun.core", "relun.dom0")), name
            else:
                assert root in sys.stdlib_module_names | HOST, name


def test_compiles_on_doms_python() -> None:
    """Every file is Python 3.6, and all modules can be imported there."""
    modules = [f"relun.dom0.{p.stem}" for p in DOM0.glob("*.py") if p.stem != "__init__"]
    program = "import ast, sys, {}; [ast.parse(open(p, 'rb').read()) for p in sys.argv[1:]]"
    command = [python_of("dom0"), "-c", program.format(", ".join(modules))]
    subprocess.run(
        [*command, *map(str, SOURCES)],
        env={"PYTHONPATH": str(DOM0.parent.parent)},
        stdin=subprocess.DEVNULL,
        check=True,
    )


def test_devices_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The PV is added to each devices file that is there, by the host's lvmdevices."""
    said = tmp_path / "said"
    tool = tmp_path / "bin" / "lvmdevices"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\necho "$LVM_SYSTEM_DIR $*" >>{said}\n[ "$2" != /bad ] || exit 5\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    real = lun._run
    monkeypatch.setattr(lun, "_run", lambda command, env={}: real([str(tool), *command[1:]], env))
    monkeypatch.setattr(lun, "LVM_FOLDERS", (str(tmp_path / "lvm"), str(tmp_path / "master")))
    assert lun.add_to_devices_files("/dev/x") == []
    assert not said.exists()
    for folder in ("lvm", "master"):
        (tmp_path / folder / "devices").mkdir(parents=True)
        (tmp_path / folder / "devices" / "system.devices").write_text("")
    assert lun.add_to_devices_files("/dev/x") == []
    assert said.read_text().splitlines() == [
        f"{tmp_path}/{folder} --adddev /dev/x" for folder in ("lvm", "master")
    ]
    assert len(lun.add_to_devices_files("/bad")) == 2


def test_missing_tool_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    code, said = lun._run(["no-such-tool-of-lvm"])
    assert code == 127
    assert "No such file" in said


def test_faults_never_claim_success() -> None:
    """Whatever a LUN's names hold; and texts are plain ASCII that every parser takes."""
    trap = "successfully resigned \x00\x1b[31m é <UUID>"
    finding = Finding("lv-segment", REFUSE, trap, 512, {"types": [trap]})
    for error in (
        Refused("refused", [finding], device=trap),
        Refused("already-resigned", device=trap, sr_uuid=trap),
        DeviceError("device-busy", device=trap, reason=trap),
        Interrupted("interrupted", device=trap, cause=DeviceError("device-io", device=trap)),
        Refused(trap),
    ):
        fault = faults.from_error(error)
        assert "successfully resigned" not in fault.text
        assert fault.text.isascii()
        assert fault.text.isprintable()
        assert fault.code not in (1, 16, 24, 38, 39, 144)


def test_words() -> None:
    assert words.title("no-such-code", {}) == "no-such-code"
    assert words.title("device-busy", {"device": "/x"}) == "/x is in use (-)"
    assert words.remedy("device-busy")
    assert words.remedy("already-resigned") == ""


def test_scsi_ids_of() -> None:
    """Everywhere that SM keeps a LUN's id."""
    assert pool.scsi_ids_of({"SCSIid": "a"}, {}) == ["a"]
    assert pool.scsi_ids_of({}, {"SCSIid": "b"}) == ["b"]
    assert pool.scsi_ids_of({}, {"devserial": "scsi-c,scsi-d"}) == ["c", "d"]
    assert pool.scsi_ids_of({}, {"scsi-e": "x"}) == ["e"]
