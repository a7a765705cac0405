"""Lays out a host's dom0 in a folder: SM of one world, relun's parts, configuration."""

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
SRC = HERE.parent.parent / "src"
DRIVERS = SRC / "relun" / "dom0" / "drivers"
PLUGINS = SRC / "relun" / "dom0" / "plugins"
# The worlds, and the flat one of early XCP-ng 8.3.
WORLDS = ("flat", "old-flat", "renamed", "package")

_CORE = ("util", "xs_errors", "lock", "mpath_dmp", "mpath_null", "mpath_cli")
_LIBRARY = ("SR", "SRCommand", "BaseISCSI")
_MULTIPATH = ("mpath_dmp", "mpath_null", "mpath_cli")
_ALIAS = "import sys\n\nimport smfake.{0}\n\nsys.modules[__name__] = smfake.{0}\n"
_MULTIPATH_ALIAS = (
    "import sys\n\nfrom smfake import multipath\n\n"
    'sys.modules[__name__] = multipath.module("{0}")\n'
)
_OLD_SR = (
    "import sys\n\nfrom smfake import SR, xs_errors\n\n"
    "SR.SROSError = xs_errors.SROSError\nsys.modules[__name__] = SR\n"
)
_DRIVER = (
    "from smfake import SR, drivers\n\n"
    'DRIVER_INFO = drivers.driver_info("{1}")\n'
    "{0} = type({0!r}, (drivers.{2},), {{}})\n"
    "SR.registerSR(drivers.HBASR)\n"
    'if __name__ == "__main__":\n'
    "    from smfake import SRCommand\n\n"
    "    SRCommand.run({0}, DRIVER_INFO)\n"
    "SR.registerSR({0})\n"
)
_LAUNCHER = (
    "from {1} import {0}, DRIVER_INFO\nfrom sm import SRCommand\nSRCommand.run({0}, DRIVER_INFO)\n"
)
_SITE = ("XenAPI", "XenAPIPlugin", "fairlock")
# Lists of sm-plugins as hosts have them.
WHITELIST = "ext nfs iscsi lvmoiscsi dummy file hba rawhba udev iso lvm lvmohba lvmofcoe shm smb"


class Dom0:
    """The files of one host. ``sm_dir`` is where xapi looks for drivers."""

    def __init__(self, root: Path, world: str, fabric: Path, xapi: str) -> None:
        self.root = root
        self.world = world
        self.site = root / "site"
        flat = root / "opt" / "xensource" / "sm"
        self.sm_dir = flat
        self.plugins = root / "etc" / "xapi.d" / "plugins"
        for folder in (self.site, flat, self.plugins, root / "etc" / "xapi.conf.d"):
            folder.mkdir(parents=True)
        (self.site / "smfake").symlink_to(HERE.parent / "smfake")
        _write(
            self.site / "smfake_host.py",
            f"ROOT = {str(root)!r}\nFABRIC = {str(fabric)!r}\nXAPI = {xapi!r}\n"
            f"WORLD = {world.replace('old-', '')!r}\n",
        )
        for name in _SITE:
            if name == "fairlock" and world == "old-flat":
                continue
            _write(self.site / f"{name}.py", _ALIAS.format(name))
        for name in ("observer", "sitecustomize"):
            (self.site / f"{name}.py").symlink_to(HERE.parent / "smfake" / f"{name}.py")
        if world == "package":
            self._package()
        else:
            self._flat()
        _write(root / "etc" / "xapi.conf", f"# the pool's hosts\nsm-plugins={WHITELIST}\n")

    def install(self, drivers: bool = True, plugin: bool = True, whitelist: bool = True) -> None:
        """Install relun as its pack does: links to its files, and a line in xapi.conf.d."""
        if drivers:
            for file in sorted(DRIVERS.glob("ReLVM*.py")):
                (self.sm_dir / file.stem).symlink_to(file)
        if plugin:
            (self.plugins / "relun").symlink_to(PLUGINS / "relun.py")
        if whitelist:
            _write(
                self.root / "etc" / "xapi.conf.d" / "99-zz-relun.conf",
                f"sm-plugins={WHITELIST} relvmoiscsi relvmohba\n",
            )

    def traces(self) -> dict[str, list[str]]:
        """Return what a use of SM has left on the host: sessions, counts, maps, devices."""
        found = {}
        for name, parts in {
            "sessions": ("session",),
            "references": ("sr-ref",),
            "maps": ("dev", "mapper"),
            "mpInuse": ("dev", "mpInuse"),
            "devices": ("dev", "disk", "by-id"),
        }.items():
            folder = self.root.joinpath(*parts)
            found[name] = sorted(os.listdir(folder)) if folder.is_dir() else []
        return {name: names for name, names in found.items() if names}

    def log(self, name: str) -> list[str]:
        """Return the lines of one of the host's logs."""
        path = self.root / "log" / name
        return path.read_text().splitlines() if path.exists() else []

    def _flat(self) -> None:
        for name in (*_CORE, *_LIBRARY):
            _write(self.sm_dir / f"{name}.py", _alias(name))
        if self.world == "old-flat":
            _write(self.sm_dir / "xs_errors.py", "from smfake.xs_errors import XenError\n")
            _write(self.sm_dir / "SR.py", _OLD_SR)
        stem = "LVMo{}SR" if self.world == "renamed" else "LVHDo{}SR"
        old = "Old" if self.world == "old-flat" else ""
        for transport in ("ISCSI", "HBA"):
            name = stem.format(transport)
            base = f"{old if transport == 'ISCSI' else ''}LVMo{transport}SR"
            path = self.sm_dir / f"{name}.py"
            _write(path, _DRIVER.format(name, transport, base), executable=True)
            (self.sm_dir / f"LVMo{transport}SR").symlink_to(path)

    def _package(self) -> None:
        package = self.site / "sm"
        executables = self.root / "usr" / "libexec" / "sm" / "drivers"
        for folder in (package / "core", package / "drivers", executables):
            folder.mkdir(parents=True)
        for folder in (package, package / "core", package / "drivers"):
            _write(folder / "__init__.py", "")
        for name in _CORE:
            _write(package / "core" / f"{name}.py", _alias(name))
            # The old names, as the host's shims have them: stars, so nothing with an underscore.
            if name not in _MULTIPATH:
                _write(self.sm_dir / f"{name}.py", f"from sm.core.{name} import *  # noqa: F403\n")
        for name in _LIBRARY:
            _write(package / f"{name}.py", _alias(name))
        for transport in ("ISCSI", "HBA"):
            name = f"LVHDo{transport}SR"
            text = _DRIVER.format(name, transport, f"LVMo{transport}SR")
            _write(package / "drivers" / f"{name}.py", text)
            launcher = executables / f"LVMo{transport}SR"
            _write(launcher, _LAUNCHER.format(name, f"sm.drivers.{name}"), executable=True)
            (self.sm_dir / f"LVMo{transport}SR").symlink_to(launcher)


def _alias(name: str) -> str:
    if name in _MULTIPATH:
        return _MULTIPATH_ALIAS.format(name)
    return _ALIAS.format("drivers" if name == "BaseISCSI" else name)


def _write(path: Path, text: str, executable: bool = False) -> None:
    path.write_text(text)
    path.chmod(0o755 if executable else 0o644)
