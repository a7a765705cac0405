"""What is in relun's rpm, and that dom0's old rpm and Python can do with it."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

from support.scratch_root import PYTHON36, Root, build_rpm, query, run

ROOT = Path(__file__).resolve().parents[2]
HOME = "/usr/share/relun"
DRIVERS = ("ReLVMoISCSISR", "ReLVMoHBASR")
# rpm 4.11, of XenServer 8 and XCP-ng 8.3, knows these.
OLD_RPM = {"CompressedFileNames", "FileDigests", "PayloadFilesHavePrefix"}


def test_files(relun_rpm: Path) -> None:
    found = set(query("-l", relun_rpm).split())
    sources = {
        f"{HOME}/relun/{path.relative_to(ROOT / 'src/relun')}"
        for part in ("core", "dom0", "cli", "remote")
        for path in (ROOT / "src" / "relun" / part).rglob("*.py")
    }
    assert sources
    inside = {name for name in found if name.startswith(HOME) and name.endswith(".py")}
    modules = {f"{HOME}/relun/__init__.py", f"{HOME}/relun/__main__.py", f"{HOME}/sm_plugins.py"}
    assert inside == sources | modules
    assert {name for name in found if not name.startswith(HOME)} == {
        "/usr/bin/relun",
        "/usr/lib/systemd/system/xapi.service.d",
        "/usr/lib/systemd/system/xapi.service.d/relun.conf",
        "/usr/libexec/sm",
        "/usr/libexec/sm/drivers",
        "/etc/xapi.d/plugins/relun",
        *(f"/opt/xensource/sm/{driver}" for driver in DRIVERS),
        *(f"/usr/libexec/sm/drivers/{driver}" for driver in DRIVERS),
        *(name for name in found if name.startswith("/usr/share/licenses/relun")),
    }


def test_what_the_files_import_is_there(relun_rpm: Path) -> None:
    """Imports that only some command makes would be missed by a mere start."""
    found = set(query("-l", relun_rpm).split())
    for name in sorted(found):
        source = ROOT / "src" / name[len(HOME) + 1 :]
        if name.startswith(f"{HOME}/relun/") and source.suffix == ".py":
            for module in re.findall(r"(?m)^\s*(?:from|import) (relun[\w.]*)", source.read_text()):
                if module.startswith("relun.pool."):
                    continue  # only ever tried: `relun pool` says that it is not in here
                path = f"{HOME}/{module.replace('.', '/')}"
                assert {path, f"{path}.py"} & found, (name, module)


def test_no_pool_verbs_in_the_package(relun_rpm: Path, tmp_path: Path) -> None:
    """They need a newer Python and XenAPI; on any Python relun says so and knows its own codes."""
    unpack = f"rpm2cpio {relun_rpm} | cpio -idm --quiet -D {tmp_path}"
    run("bash", "-c", unpack)
    assert not (tmp_path / HOME.lstrip("/") / "relun" / "pool").exists()
    for python in (PYTHON36, sys.executable):
        where = f"PYTHONPATH={tmp_path}{HOME}"
        relun = ("env", "-i", where, python, "-m", "relun")
        said = run(*relun, "pool", "conflicts", "--pool", "https://192.0.2.1", check=False)
        assert "relun pool needs Python 3.11" in said or "not in the package for dom0" in said
        assert "device-busy" in run(*relun, "explain")


def test_nothing_in_the_package_is_configuration_of_xapi(relun_rpm: Path) -> None:
    """The list of drivers is made on the host; a file of the package would be a fixed list."""
    assert "xapi.conf" not in query("-l", relun_rpm)
    assert query("-c", relun_rpm).strip() == ""
    for source in (ROOT / "packaging").rglob("*"):
        if source.is_file() and source.suffix in (".spec", ".conf"):
            assert "sm-plugins=" not in source.read_text(), source


def test_modes_and_owners(relun_rpm: Path) -> None:
    lines = query("-l", "--dump", relun_rpm).splitlines()
    for line in lines:
        path, _size, _time, _digest, mode, owner, group, *_flags = line.split()
        assert (owner, group) == ("root", "root")
        assert int(mode, 8) & 0o022 == 0 or mode.startswith("012"), line  # links have all bits
        runs = path in ("/usr/bin/relun", f"{HOME}/sm_plugins.py") or (
            re.search(r"/dom0/(drivers/ReLVMo|plugins/relun\.py)", path) is not None
        )
        if mode.startswith("010"):
            assert bool(int(mode, 8) & 0o111) == runs, line


def test_it_needs_nothing_outside_dom0(relun_rpm: Path) -> None:
    found = set(query("--requires", relun_rpm).splitlines())
    features = {re.sub(r"rpmlib\((.*)\).*", r"\1", each) for each in found if "rpmlib" in each}
    assert features <= OLD_RPM
    others = {each for each in found if "rpmlib" not in each}
    assert others == {"/bin/sh", "/usr/bin/python3", "sm >= 3", "xapi-core"}
    fields = "%{ARCH} %{PAYLOADCOMPRESSOR} %{FILEDIGESTALGO}"
    assert query("--qf", fields, relun_rpm) == "noarch gzip 8"  # 8: SHA-256


def test_scriptlets(relun_rpm: Path) -> None:
    said = query("--scripts", relun_rpm)
    kinds = re.findall(r"(?m)^(\w+) (?:script|program)", said)
    assert kinds == ["postinstall", "preuninstall", "postuninstall", "posttrans"]
    commands = re.sub(r"echo '.*'", "", said)
    for forbidden in ("toolstack", "systemctl start", "systemctl restart", "xe ", "reboot"):
        assert forbidden not in commands
    assert query("--triggers", relun_rpm).strip() == ""


def test_all_files_compile_on_the_oldest_python(
    root: Callable[[str], Root], relun_rpm: Path
) -> None:
    host = root("xenserver8")
    host.install(relun_rpm)
    names = [host.path / name.lstrip("/") for name in query("-l", relun_rpm).split()]
    files = [path for path in names if path.is_file() and not path.is_symlink()]
    python = [
        path
        for path in files
        if path.suffix == ".py" or path.read_bytes().startswith(b"#!/usr/bin/python3")
    ]
    assert len(python) > 60
    code = "import sys\nfor n in sys.argv[1:]: compile(open(n, encoding='utf-8').read(), n, 'exec')"
    assert run(PYTHON36, "-c", code, *python) == ""


def test_same_sources_make_the_same_package(tmp_path: Path) -> None:
    first, second = build_rpm(tmp_path / "1", "9"), build_rpm(tmp_path / "2", "9")
    assert first.read_bytes() == second.read_bytes()
