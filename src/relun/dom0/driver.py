"""The SM drivers relvmoiscsi and relvmohba: SR.create resigns a LUN and always ends in a fault.

A driver is the host's own LVM driver for the transport with another ``create``: login, CHAP,
multipath and reference counts are SM's. No part of SM that runs LVM commands is used while a clone
is attached. Every other SR call is answered with "not implemented".
"""

import signal

from relun.core.errors import RelunError
from relun.core.hints import Any, Dict, List, Sequence
from relun.dom0 import config, faults, lun, pool, sm_world
from relun.dom0.faults import Fault
from relun.dom0.version import version

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Resigner:
    """What both transports share; the host's driver class is mixed in behind a subclass of this.

    SM's SR class sets ``cmd``, ``dconf``, ``session``, ``sr_ref``, ``mpath`` and ``mpathmodule``
    before it calls ``load``.
    """

    world: sm_world.World
    transport = ""
    cmd: str
    dconf: Dict[str, str]
    session: Any
    host_ref: str
    sr_ref: str
    mpath: str
    mpathmodule: Any
    SCSIid: str
    _attached = False

    @classmethod
    def handles(cls, sr_type: str) -> bool:
        """Tell SM whether this class is the driver of an SR type."""
        return sr_type == "re" + cls.attached_as()

    @classmethod
    def attached_as(cls) -> str:
        """Return the SR type that attaches the LUN afterwards."""
        return "lvmo" + cls.transport.lower()

    def load(self, sr_uuid: str) -> None:
        """SM's second half of a constructor: log in, or list what there is and raise 107."""
        if self.cmd != "sr_create":
            raise self.world.error("Unimplemented")
        self.open_transport(sr_uuid)

    def cleanup(self) -> None:
        """SM calls this after each command; the host's class would deactivate volumes here."""

    def create(self, sr_uuid: str, _size: int) -> None:
        """Resign the LUN with the SR uuid that xapi gave. Always raises: success is a fault too."""
        with _Signals() as stopped:
            try:
                answer = self._create(sr_uuid, stopped)
            except Fault as fault:
                self.world.log("{}: fault {}: {}".format(self.SCSIid, fault.code, fault.text))
                if fault.key:
                    raise self.world.error(fault.key, fault.text) from None
                raise self.world.fault(fault.code, fault.text) from None
        raise self.world.fault(answer.code, answer.text)

    def _create(self, sr_uuid: str, stopped: "_Signals") -> faults.Answer:
        options = config.read(sr_uuid, self.dconf)
        self._refuse_a_lun_in_use()
        try:
            self.attach_lun(sr_uuid)
            self._attached = True
            path = self.mpathmodule.path(self.SCSIid)
            outcome = lun.resign(path, self.SCSIid, options, sm_world.lvm_lock(), stopped)
            failures = self._show(path)
        except RelunError as error:
            self._detach_after_failure(sr_uuid)
            raise faults.from_error(error) from error
        except BaseException:
            self._detach_after_failure(sr_uuid)
            raise
        self.world.log("{}: {} {} as {}".format(self.SCSIid, *outcome[:3]))
        try:
            self.detach_lun(sr_uuid)
        except Exception as error:
            failures.append("the LUN could not be detached: {}".format(error))
        if failures:
            text = "The LUN is resigned (SR {}), but {}".format(outcome.new_sr, "; ".join(failures))
            raise Fault(faults.NOT_CLEAN, text)
        return faults.success(self.attached_as())

    def _refuse_a_lun_in_use(self) -> None:
        users = pool.other_users(self.session, self.sr_ref, self.SCSIid)
        if users:
            raise Fault(16, "the LUN is in use by SR {}".format(", ".join(users)), "SRInUse")
        # Maps are not counted: detaching would take away one that somebody uses.
        if self.mpath == "true" and self._mapped():
            raise Fault(16, "the LUN has a multipath map already", "SRInUse")

    def _mapped(self) -> bool:
        return self.SCSIid in self.world.multipath_maps()

    def _show(self, path: str) -> List[str]:
        """Let udev and LVM see the new PV; return what went wrong."""
        lun.refresh(self.SCSIid)
        with sm_world.lvm_lock():
            return lun.add_to_devices_files(path)

    def _detach_after_failure(self, sr_uuid: str) -> None:
        try:
            self.detach_lun(sr_uuid)
        except Exception as error:  # the first failure is the one to tell
            self.world.log("{}: not detached: {}".format(self.SCSIid, error))

    def open_transport(self, sr_uuid: str) -> None:
        """Set ``SCSIid`` and make SM's transport objects, without any LVM command."""
        raise NotImplementedError

    def attach_lun(self, sr_uuid: str) -> None:
        """Make the LUN's device appear."""
        raise NotImplementedError

    def detach_lun(self, sr_uuid: str) -> None:
        """Undo all of ``attach_lun``, also when that broke off half-way."""
        raise NotImplementedError


class IscsiResigner(Resigner):
    """relvmoiscsi."""

    transport = "iSCSI"
    iscsi: Any

    def open_transport(self, sr_uuid: str) -> None:
        """Make the sessions' objects; without a SCSI id SM lists the LUNs and raises 107."""
        host: Any = super(Resigner, self)  # the host's driver class
        if hasattr(host, "create_iscsi_sessions"):
            host.create_iscsi_sessions(sr_uuid)
        else:  # SM before 3.0.12 has this inside load, before the LVM part
            host.load(sr_uuid)

    def attach_lun(self, sr_uuid: str) -> None:
        """Log in and wait for the LUN, as the host's own create does."""
        self.iscsi.attach(sr_uuid)
        if self.iscsi._attach_LUN_bySCSIid(self.SCSIid) is False:
            raise self.world.error("ISCSIDevice")

    def detach_lun(self, sr_uuid: str) -> None:
        """Remove the map, count down, and log out if nobody else needs the session.

        Where the attach broke off before there was a map, SM's way to remove it would wait for
        long, fail, and leave session and count.
        """
        if not (self._attached or self._mapped()):
            self.iscsi.mpathmodule = self.world.without_multipath()
        self.iscsi.detach(sr_uuid)


class HbaResigner(Resigner):
    """relvmohba."""

    transport = "HBA"
    hbasr: Any
    original_srcmd: Any

    def open_transport(self, sr_uuid: str) -> None:
        """Make SM's HBA object; without a SCSI id list the LUNs and raise 107."""
        self.hbasr = self.world.sr.driver("hba")(self.original_srcmd, sr_uuid)
        if not self.dconf.get("SCSIid"):
            import sys

            print(self.hbasr.print_devs(), file=sys.stderr)  # noqa: T201 - becomes an error parameter
            raise self.world.error("ConfigSCSIid")
        self.SCSIid = self.dconf["SCSIid"]

    def attach_lun(self, sr_uuid: str) -> None:
        """Make the map, and rescan the buses if the LUN is new to this host."""
        self.hbasr.attach(sr_uuid)
        if self.mpath == "true":
            self.mpathmodule.refresh(self.SCSIid, 0)
        path = self.mpathmodule.path(self.SCSIid)
        if not self.world.util.pathexists(path):
            self.hbasr._init_hbadict()
            if not self.world.util.wait_for_path(path, 15):
                raise self.world.error("InvalidDev", "no LUN {}".format(self.SCSIid))

    def detach_lun(self, sr_uuid: str) -> None:
        """Remove the map; the LUN itself stays, as it was."""
        if self.mpath == "true" and (self._attached or self._mapped()):
            self.mpathmodule.reset(self.SCSIid, explicit_unmap=True)
            self.world.util.remove_mpathcount_field(
                self.session, self.host_ref, self.sr_ref, self.SCSIid
            )


class _Signals:
    """Context and question: while it lasts, signals to end only make it answer True."""

    def __init__(self) -> None:
        self._came = False
        self._before: Dict[int, Any] = {}

    def __call__(self) -> bool:
        return self._came

    def __enter__(self) -> "_Signals":
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_exc: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, _number: int, _frame: Any) -> None:
        self._came = True


def driver(resigner: Any) -> Any:
    """Return the driver class for this host. Raise ImportError when it has no SM."""
    world = sm_world.load(resigner.transport.upper())
    return type(_class_name(resigner), (resigner, world.base), {"world": world})


def driver_info(made: Any) -> Dict[str, Any]:
    """Return what the driver tells xapi of itself.

    CloudStack takes a host for able to resign when "resigning of duplicates" stands in the name.
    """
    host = made.world.driver_info
    keys: Sequence[Sequence[str]] = config.KEYS
    return {
        "name": "{} with resigning of duplicates".format(host["name"]),
        "description": "Gives the SR on a cloned LUN a new identity. Creating an SR of this type "
        "always ends in an error; one that begins with the words of success tells "
        "that the LUN can be attached as {}.".format(made.attached_as()),
        "vendor": "relun",
        "copyright": "Apache License 2.0",
        "driver_version": version(),
        "required_api_version": "1.0",
        "capabilities": ["SR_CREATE"],
        "configuration": [list(pair) for pair in host["configuration"]]
        + [list(pair) for pair in keys],
    }


def _class_name(resigner: Any) -> str:
    return "ReLVMo{}SR".format(resigner.transport.upper())
