"""Scratch roots: dom0 of each platform in a folder, with rpm's database and a Python of its own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parents[1] / "packaging"
BUILD = HERE.parents[1] / "packaging" / "build.py"
PYTHON36 = HERE.parents[1] / ".venv36" / "bin" / "python"

BASE = "ext nfs iscsi lvmoiscsi dummy file hba rawhba udev iso lvm lvmohba lvmofcoe shm smb"
XCP_NG = BASE + " cephfs glusterfs xfs zfs largeblock"
XOSTOR = BASE + " cephfs glusterfs xfs zfs ext4 largeblock linstor"
OURS = " relvmoiscsi relvmohba"
LINSTOR = "99-enable-sm-driver-linstor.conf"

_CONF = """# Configuration for xapi

# The directory containing the storage manager plugins.
# sm-dir = /opt/xensource/sm

# Whitelist of SM plugins
sm-plugins={plugins}

# Directory for xapi plugins
# xapi-plugins-root = /etc/xapi.d/plugins
"""
# Of the commands that scriptlets may use; dom0 has them all.
_COMMANDS = ("sh", "cat", "find", "rm", "env")
# Of CPython's library, what no scriptlet needs.
_LEFT_OUT = ("test", "site-packages", "idlelib", "lib2to3", "ensurepip", "tkinter", "config-*")
_SYSTEMCTL = '#!/bin/sh\necho "$@" >>/systemctl.log\n'


# Where Fedora's kin have the database; Debian's rpm has it in the caller's home.
_DATABASE = ("--dbpath", "/var/lib/rpm")
# Debian's rpm will not install anything, not even in another root, unless told so.
_FORCE = ("--force-debian",) if os.path.exists("/etc/debian_version") else ()


class Platform(NamedTuple):
    """A kind of host."""

    name: str
    xapi: str
    sm: str
    plugins: str


PLATFORMS = {
    found.name: found
    for found in (
        Platform("xenserver8", "26.1.4", "3.2.12", BASE),
        Platform("xcpng83", "26.1.4", "3.2.12", XCP_NG),
        Platform("xenserver9", "26.4.0", "4.1.14", BASE),
        Platform("xcpng82", "1.249.41", "2.30.8", XCP_NG),
    )
}


def run(*command: object, check: bool = True) -> str:
    """Run a command and return what it printed, stderr with it."""
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0 or not check, f"{command}\n{done.stdout}"
    return done.stdout


class Packages:
    """Builds and keeps the stand-ins' packages and the root that all others are copies of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._base: Path | None = None

    def of(self, platform: Platform) -> dict[str, Path]:
        """Return the packages of a platform by name."""
        top = self.folder / platform.name
        if not top.exists():
            files = top / "files"
            _lay_out(files, platform)
            defined = {
                "_topdir": top,
                "platform": platform.name,
                "xapi_version": platform.xapi,
                "sm_version": platform.sm,
                "files_folder": files,
            }
            options = [w for name, value in defined.items() for w in ("-D", f"{name} {value}")]
            run("rpmbuild", "--quiet", "-bb", *options, HERE / "hosts.spec")
        found = sorted(top.glob("RPMS/*/*.rpm"))
        return {path.name.rsplit("-", 2)[0]: path for path in found}

    def base(self) -> Path:
        """Return a root with a shell, CPython 3.6 and an empty database of rpm."""
        if self._base is None:
            base = self.folder / "base"
            _make_base(base)
            self._base = base
        return self._base


class Root:
    """A scratch root of one platform."""

    def __init__(self, path: Path, packages: Packages, platform: Platform) -> None:
        self.path = path
        self.packages = packages.of(platform)
        run("cp", "-al", packages.base(), path)
        shutil.rmtree(path / "var" / "lib" / "rpm")
        shutil.copytree(packages.base() / "var" / "lib" / "rpm", path / "var" / "lib" / "rpm")
        self.install(self.packages["python3"], self.packages["sm"], self.packages["xapi-core"])

    def rpm(self, *arguments: object, check: bool = True) -> str:
        """Run rpm on this root, its scriptlets inside it."""
        return run("rpm", *_DATABASE, *_FORCE, "--root", self.path, *arguments, check=check)

    def install(self, *packages: object, check: bool = True) -> str:
        """Install or upgrade packages and return what was printed."""
        return self.rpm("-U", *packages, check=check)

    def remove(self, name: str) -> str:
        """Remove a package and return what was printed."""
        return self.rpm("-e", name)

    def run(self, *command: object, check: bool = True) -> str:
        """Run a command inside."""
        return run("chroot", self.path, *command, check=check)

    def start_xapi(self) -> str:
        """Do what systemd does before it starts xapi; return the list that xapi would read."""
        for dropin in sorted(self.path.glob("usr/lib/systemd/system/xapi.service.d/*.conf")):
            for command in re.findall("(?m)^ExecStartPre=-(.*)$", dropin.read_text()):
                self.run(*command.split())
        return self.plugins()

    def plugins(self) -> str:
        """Return the list in force: files in xapi's order, the last one counts."""
        etc = self.path / "etc"
        found = ""
        for path in [etc / "xapi.conf", *sorted((etc / "xapi.conf.d").iterdir())]:
            for line in path.read_text().splitlines():
                if line.startswith("sm-plugins="):
                    found = line.removeprefix("sm-plugins=")
        return found

    def running(self) -> None:
        """Let systemd run."""
        (self.path / "run" / "systemd" / "system").mkdir(parents=True)

    def told_systemd(self) -> list[str]:
        """Return the calls of systemctl since the last time."""
        log = self.path / "systemctl.log"
        if not log.exists():
            return []
        found = log.read_text().splitlines()
        log.unlink()
        return found

    def snapshot(self) -> dict[str, tuple[int, str]]:
        """Return path -> (mode, content or target) of all there is, rpm's database left out."""
        found = {}
        for folder, folders, files in os.walk(self.path):
            if folder == str(self.path):
                folders.remove(PYTHON36.name)
            if folder == str(self.path / "var" / "lib"):
                folders.remove("rpm")
            for name in (*folders, *files):
                path = Path(folder, name)
                content = ""
                if path.is_symlink():
                    content = os.readlink(path)
                elif path.is_file():
                    content = path.read_bytes().hex() if path.stat().st_size < 4096 else "large"
                found[str(path.relative_to(self.path))] = (path.lstat().st_mode, content)
        return found


def query(*arguments: object) -> str:
    """Ask rpm about a package file; no database is used."""
    return run("rpm", "--dbpath", "/nonexistent", "--nosignature", "-qp", *arguments)


def build_rpm(dist: Path, version: str = "") -> Path:
    """Build relun's rpm and return its path; under another version where one is given."""
    command = [sys.executable, str(BUILD), "rpm", "--dist", str(dist)]
    if version:
        command += ["--version", version]
    return Path(run(*command).strip())


def _lay_out(files: Path, platform: Platform) -> None:
    _write(files / "etc/xapi.conf", _CONF.format(plugins=platform.plugins))
    (files / "etc/xapi.conf.d").mkdir()
    (files / "etc/xapi.d/plugins").mkdir(parents=True)
    _write(files / "usr/lib/systemd/system/xapi.service", "[Service]\nExecStart=/bin/true\n")
    linstor = f"# DO NOT MODIFY\nsm-plugins={XOSTOR}\n"
    _write(files / "etc/xapi.conf.d" / LINSTOR, linstor)
    python = "python3" if platform.sm > "3" else "python"
    _write(files / "opt/xensource/sm/SRCommand.py", f"#!/usr/bin/{python}\n")
    driver = files / "opt/xensource/sm/LVMoISCSISR"
    if platform.name == "xenserver9":
        _write(files / "etc/xapi.conf.d/xenserver9.conf", "# of this release\nuse-xmlrpc=true\n")
        _write(files / "etc/xapi.conf.d/tracing.conf", "observer-max-file-size=1048576\n")
        _write(files / "usr/libexec/sm/drivers/LVMoISCSISR", "#!/usr/bin/python3\n", 0o755)
        driver.symlink_to("/usr/libexec/sm/drivers/LVMoISCSISR")
    else:
        _write(driver, f"#!/usr/bin/{python}\n", 0o755)


def _make_base(root: Path) -> None:
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    for command in _COMMANDS:
        found = shutil.which(command)
        assert found is not None
        _with_libraries(root, Path(found), Path("/usr/bin") / command)
    _write(root / "usr/bin/systemctl", _SYSTEMCTL, 0o755)
    _python(root)
    for folder in (
        "dev",
        "run",
        "tmp",
        "var/lib/rpm",
        "var/tmp",
        "usr/libexec",
        "usr/share/licenses",
    ):
        (root / folder).mkdir(parents=True)
    (root / "dev" / "null").touch()
    run("rpm", *_DATABASE, "--root", root, "--initdb")


def _python(root: Path) -> None:
    """Copy CPython 3.6 to /python, and let /usr/bin/python3 lead to it."""
    code = "import sys; print(sys.base_prefix, 'python%d.%d' % sys.version_info[:2])"
    prefix, name = run(PYTHON36, "-c", code).split()
    place = Path("/") / PYTHON36.name
    library = Path(prefix) / "lib" / name
    _with_libraries(root, Path(prefix) / "bin" / name, place / "bin" / name)
    shutil.copytree(
        library,
        root / f"{place.relative_to('/')}/lib/{name}",
        ignore=shutil.ignore_patterns(*_LEFT_OUT),
    )
    for extension in (library / "lib-dynload").glob("*.so"):
        _libraries(root, extension)
    (root / "usr/bin/python3").symlink_to(place / "bin" / name)
    assert run("chroot", root, "/usr/bin/python3", "-c", "import json, zlib, uuid") == ""


def _with_libraries(root: Path, source: Path, place: Path) -> None:
    target = root / place.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
    _libraries(root, source)


def _libraries(root: Path, binary: Path) -> None:
    for library in re.findall(r"(/\S+\.so\S*) \(0x", run("ldd", binary, check=False)):
        target = root / library.lstrip("/")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(library, target)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
