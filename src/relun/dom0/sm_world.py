"""The storage manager (SM) of this host: which modules it has, and how they differ.

All knowledge of SM's versions is here. Three worlds are alive (names of modules and calls):

===================== ======================= ========================= ========================
need                  flat                    renamed                   package
===================== ======================= ========================= ========================
found on              XenServer 8; XCP-ng 8.3 XCP-ng 8.3 from           SM 4.x: XenServer 9,
                      up to sm 3.2.12-16      sm 3.2.12-17.2            XCP-ng 9
iSCSI driver          LVHDoISCSISR            LVMoISCSISR               sm.drivers.LVHDoISCSISR
Fibre Channel driver  LVHDoHBASR              LVMoHBASR                 sm.drivers.LVHDoHBASR
util, lock, xs_errors flat                    flat                      below sm.core
mpath_cli, mpath_null flat                    flat                      below sm.core
SR, SRCommand         flat                    flat                      below sm
LVM command lock      Fairlock, "devicemapper"; the same, without       as renamed
                      older: Lock("lvm")      exception
SROSError             in xs_errors; older: SR in xs_errors              in sm.core.xs_errors
create_iscsi_sessions since sm 3.0.12; older: yes                       yes
                      a part of load()
_attach_LUN_bySCSIid  raises 67; older: False raises 67                 raises 67
BaseISCSI.detach      (sr_uuid)               (sr_uuid)                 (sr_uuid)
===================== ======================= ========================= ========================

The driver is looked for in the order renamed, flat, package, package with the new names.
"""

import importlib
import importlib.util

from relun.core.hints import Any, NamedTuple, Tuple

ISCSI, HBA = "ISCSI", "HBA"  # as the drivers' names have them

# (name, prefixes of: drivers, SR and SRCommand, util and its like; stem of the drivers' names)
_WORLDS = (
    ("renamed", "", "", "", "LVMo{}SR"),
    ("flat", "", "", "", "LVHDo{}SR"),
    ("package", "sm.drivers.", "sm.", "sm.core.", "LVHDo{}SR"),
    ("package", "sm.drivers.", "sm.", "sm.core.", "LVMo{}SR"),
)
_LVM_LOCK = "devicemapper"  # every LVM and device-mapper command of SM runs under it
_OLD_LVM_LOCK = "lvm"


class World(NamedTuple):
    """SM's modules on this host. ``base`` is the host's driver class for the LUN's transport."""

    name: str
    base: Any
    driver_info: Any  # of ``base``
    sr: Any
    command: Any
    util: Any
    xs_errors: Any
    core: str  # prefix of util and its like

    def error(self, key: str, detail: str = "") -> Exception:
        """Return the error that SM's own table of codes has under ``key``."""
        raised: Exception = self.xs_errors.XenError(key, detail or None)
        return raised

    def fault(self, code: int, text: str) -> Exception:
        """Return an error with a code and a text of our own."""
        home = self.xs_errors if hasattr(self.xs_errors, "SROSError") else self.sr
        raised: Exception = home.SROSError(code, text)
        return raised

    def log(self, text: str) -> None:
        """Write to SM's log; never to stdout, which is xapi's."""
        self.util.SMlog("relun: " + text)

    def multipath_maps(self) -> Tuple[str, ...]:
        """Return the SCSI ids that have a multipath map now; none when there is no multipathd."""
        try:
            return tuple(importlib.import_module(self.core + "mpath_cli").list_maps())
        except Exception as error:  # SM itself takes every failure here for "none"
            self.log("no multipath maps listed: {}".format(error))
            return ()

    def without_multipath(self) -> Any:
        """Return SM's multipath module of a host that has no multipath."""
        return importlib.import_module(self.core + "mpath_null")


class _Held:
    """A lock with acquire and release, as a context."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_exc: Any) -> None:
        self._lock.release()


def load(transport: str) -> World:
    """Import the host's SM for a transport (ISCSI or HBA). Raise ImportError when there is none."""
    for name, drivers, libraries, core, stem in _WORLDS:
        module = drivers + stem.format(transport)
        if _exists(module):
            driver = importlib.import_module(module)
            return World(
                name,
                getattr(driver, stem.format(transport)),
                driver.DRIVER_INFO,
                importlib.import_module(libraries + "SR"),
                importlib.import_module(libraries + "SRCommand"),
                importlib.import_module(core + "util"),
                importlib.import_module(core + "xs_errors"),
                core,
            )
    raise ImportError("no SM with LVM over {} on this host".format(transport))


def lvm_lock() -> Any:
    """Return the lock, as a context, that each of SM's LVM commands takes for itself."""
    if importlib.util.find_spec("fairlock"):
        return importlib.import_module("fairlock").Fairlock(_LVM_LOCK)
    for core in ("", "sm.core."):
        if _exists(core + "lock"):
            return _Held(importlib.import_module(core + "lock").Lock(_OLD_LVM_LOCK))
    raise ImportError("no SM on this host")


def _exists(module: str) -> bool:
    """Tell whether a module can be found, without importing more than its packages."""
    package = module.split(".")[0]
    if importlib.util.find_spec(package) is None:
        return False
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:  # a package of that name which is not SM
        return False
