"""Calls of VBD, VIF and network, with xapi's rules (its xapi_vbd, xapi_vif, xapi_network)."""

import re
from hashlib import md5

from xapi import guests
from xapi.database import BUSY, NULL, Record
from xapi.failure import ApiError
from xapi.part import Part, passes
from xapi.schema import from_client

# VDIs that a VBD may be made for.
_VDI_TYPES = ("system", "user", "ephemeral", "suspend", "crashdump", "metadata", "rrd", "pvs_cache")
_LOCKING_MODES = ("network_default", "locked", "unlocked", "disabled")
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}\Z")
_POSITIONS = 16


class Devices(Part):
    """VBD, VIF, network."""

    # --- VBD

    def vbd_create(self, record: Record) -> str:
        """VBD.create: the database only."""
        fields = from_client("VBD", record)
        vm, vdi = fields["VM"], fields["VDI"]
        self.db.get("VM", vm)
        if not fields["empty"]:
            kind = self.db.get("VDI", vdi)["type"]
            if kind not in _VDI_TYPES:
                raise ApiError("VDI_INCOMPATIBLE_TYPE", vdi, kind)
        if fields["type"] == "CD" and fields["mode"] != "RO":
            raise ApiError("VBD_CDS_MUST_BE_READONLY")
        if fields["type"] != "CD" and fields["empty"]:
            raise ApiError("VBD_NOT_REMOVABLE_MEDIA", "in constructor")
        if fields["mode"] == "RW" and self.db.get("VDI", vdi)["read_only"]:
            raise ApiError("VDI_READONLY", vdi)
        fields.update(device="", currently_attached=False)
        fields["userdevice"] = self._position(vm, fields["userdevice"])
        return self.db.add("VBD", **fields)

    def vbd_destroy(self, vbd: str) -> str:
        """VBD.destroy: not while it is attached."""
        record = self.db.get("VBD", vbd)
        if record["currently_attached"]:
            vm = self.db.get("VM", record["VM"])["uuid"]
            text = f"VBD '{record['uuid']}' still attached to '{vm}'"
            raise ApiError("OPERATION_NOT_ALLOWED", text)
        self.db.remove("VBD", vbd)
        return ""

    def vbd_plug(self, vbd: str) -> str:
        """VBD.plug."""
        self._check_plug(vbd)
        self.attach(vbd)
        return ""

    def _check_plug(self, vbd: str) -> None:
        record = self._hot(vbd, "VBD", attached=False)
        self.check_attachable(vbd)
        if record["type"] != "CD" and record["mode"] == "RO" and self._is_hvm(record["VM"]):
            raise ApiError("DISK_VBD_MUST_BE_READWRITE_FOR_HVM", vbd)
        sr = self.db.get("VDI", record["VDI"])["SR"]
        host = self.db.get("VM", record["VM"])["resident_on"]
        if not self.db.find("PBD", SR=sr, host=host, currently_attached=True):
            raise ApiError("SR_HAS_NO_PBDS", sr)

    def vbd_unplug(self, vbd: str) -> str:
        """VBD.unplug."""
        self._check_unplug(vbd)
        self.db.get("VBD", vbd)["currently_attached"] = False
        return ""

    def _check_unplug(self, vbd: str) -> None:
        record = self._hot(vbd, "VBD", attached=True)
        if not record["unpluggable"]:
            raise ApiError("VBD_NOT_UNPLUGGABLE", vbd)

    def vbd_insert(self, vbd: str, vdi: str) -> str:
        """VBD.insert a disc into a drive."""
        record = self._drive(vbd)
        if not record["empty"]:
            raise ApiError("VBD_NOT_EMPTY", vbd)
        self.db.get("VDI", vdi)
        record.update(VDI=vdi, empty=False)
        return ""

    def vbd_eject(self, vbd: str) -> str:
        """VBD.eject the disc of a drive."""
        record = self._drive(vbd)
        if record["empty"]:
            raise ApiError("VBD_IS_EMPTY", vbd)
        record.update(VDI=NULL, empty=True)
        return ""

    def vbd_set_mode(self, vbd: str, value: str) -> str:
        """VBD.set_mode, of a halted VM."""
        record = self.db.get("VBD", vbd)
        state = self.db.get("VM", record["VM"])["power_state"]
        if state != "Halted":
            raise ApiError("VM_BAD_POWER_STATE", record["VM"], "halted", state.lower())
        record["mode"] = value
        return ""

    def attach(self, vbd: str) -> None:
        """Attach a VBD under the name that its position has in the guest."""
        record = self.db.get("VBD", vbd)
        letter = chr(ord("a") + (_number(record["userdevice"]) or 0))
        record.update(currently_attached=True, device=f"xvd{letter}")

    def allowed_vbd(self, vbd: str) -> list[str]:
        """Return the operations of a VBD that nothing speaks against at the moment."""
        checks = {
            "attach": self.check_attachable,
            "plug": self._check_plug,
            "unplug": self._check_unplug,
        }
        return [name for name, check in checks.items() if passes(check, vbd)]

    def allowed_vif(self, vif: str) -> list[str]:
        """Return the operations of a VIF that nothing speaks against at the moment."""
        attached = {"plug": False, "unplug": True}
        found = [each for each, is_ in attached.items() if passes(self._hot, vif, "VIF", is_)]
        return ["attach", *found]

    def check_attachable(self, vbd: str) -> None:
        """Raise what speaks against attaching a VBD: another VM has its disk, the disk's state."""
        record = self.db.get("VBD", vbd)
        if record["empty"] or record["currently_attached"]:
            return
        vdi = self.db.get("VDI", record["VDI"])
        if not vdi["managed"]:
            raise ApiError("VDI_NOT_MANAGED", vbd)
        for task, operation in vdi["current_operations"].items():
            raise ApiError(BUSY, "VDI", record["VDI"], operation, task)
        others = [
            self.db.get("VBD", other)
            for other in self.db.find("VBD", VDI=record["VDI"], currently_attached=True)
        ]
        writes = [other for other in others if other["mode"] == "RW"]
        if not vdi["sharable"] and (writes or (others and record["mode"] == "RW")):
            raise ApiError("VDI_IN_USE", record["VDI"])
        if record["mode"] == "RW" and vdi["read_only"]:
            raise ApiError("VDI_READONLY", record["VDI"])

    # --- VIF

    def vif_create(self, record: Record) -> str:
        """VIF.create: an empty MAC makes one of the VM's seed and the device's number."""
        fields = from_client("VIF", record)
        vm, device = fields["VM"], fields["device"]
        seed = self.db.get("VM", vm)["other_config"].get("mac_seed")
        self.db.get("network", fields["network"])
        if not device.isdecimal():
            raise ApiError("INVALID_DEVICE", device)
        made = not fields["MAC"] and seed is not None
        if made:
            fields["MAC"] = make_mac(int(device), str(seed))
        if not _MAC.match(fields["MAC"]):
            raise ApiError("MAC_INVALID", fields["MAC"])
        for other in self.db.find("VIF", VM=vm):
            if int(self.db.get("VIF", other)["device"]) == int(device):
                raise ApiError("DEVICE_ALREADY_EXISTS", device)
        fields["currently_attached"] = False
        return self.db.add("VIF", MAC_autogenerated=made, **fields)

    def vif_destroy(self, vif: str) -> str:
        """VIF.destroy: not while it is attached to a running VM."""
        record = self.db.get("VIF", vif)
        running = self.db.get("VM", record["VM"])["power_state"] != "Halted"
        if running and record["currently_attached"]:
            raise ApiError("OPERATION_NOT_ALLOWED", "VIF currently attached to a running VM")
        self.db.remove("VIF", vif)
        return ""

    def vif_plug(self, vif: str) -> str:
        """VIF.plug."""
        self._hot(vif, "VIF", attached=False)["currently_attached"] = True
        return ""

    def vif_unplug(self, vif: str) -> str:
        """VIF.unplug."""
        self._hot(vif, "VIF", attached=True)["currently_attached"] = False
        return ""

    def vif_move(self, vif: str, network: str) -> str:
        """VIF.move to another network."""
        self.db.get("network", network)
        self.db.get("VIF", vif)["network"] = network
        return ""

    def vif_set_locking_mode(self, vif: str, value: str) -> str:
        """VIF.set_locking_mode: disabled lets nothing through."""
        if value not in _LOCKING_MODES:
            raise ApiError("FIELD_TYPE_ERROR", "locking_mode")
        self.db.get("VIF", vif)["locking_mode"] = value
        return ""

    # --- network

    def network_create(self, record: Record) -> str:
        """network.create: no host's NIC is on it."""
        fields = from_client("network", record)
        fields["bridge"] = fields.get("bridge") or f"xapi{len(self.db.table('network'))}"
        return self.db.add("network", **fields)

    def network_destroy(self, network: str) -> str:
        """network.destroy: not while a VIF is attached to it or a NIC is on it."""
        record = self.db.get("network", network)
        vifs = self.db.find("VIF", network=network)
        attached = [vif for vif in vifs if self.db.get("VIF", vif)["currently_attached"]]
        if attached:
            raise ApiError("NETWORK_CONTAINS_VIF", *attached)
        if record["PIFs"]:
            raise ApiError("NETWORK_CONTAINS_PIF", *record["PIFs"])
        for vif in vifs:
            self.db.remove("VIF", vif)
        self.db.remove("network", network)
        return ""

    def pinned(self, network: str) -> list[str]:
        """Return the hosts that a network without NICs is on: where running VMs use it."""
        if self.db.get("network", network)["PIFs"]:
            return []
        vms = [self.db.get("VIF", vif)["VM"] for vif in self.db.find("VIF", network=network)]
        records = [self.db.get("VM", vm) for vm in vms]
        return [each["resident_on"] for each in records if each["power_state"] == "Running"]

    # --- parts

    def vm_get_allowed_vbd_devices(self, vm: str) -> list[str]:
        """VM.get_allowed_VBD_devices."""
        self.db.get("VM", vm)
        return [str(number) for number in range(_POSITIONS) if number not in self._taken(vm)]

    def vm_get_allowed_vif_devices(self, vm: str) -> list[str]:
        """VM.get_allowed_VIF_devices."""
        taken = [self.db.get("VIF", vif)["device"] for vif in self.db.find("VIF", VM=vm)]
        return [str(number) for number in range(7) if str(number) not in taken]

    def _position(self, vm: str, wanted: str) -> str:
        taken = self._taken(vm)
        if wanted == "autodetect":
            free = [number for number in range(_POSITIONS) if number not in taken]
            if not free:
                raise ApiError("INVALID_DEVICE", wanted)
            return str(free[0])
        number = _number(wanted)
        if number is None:
            raise ApiError("INVALID_DEVICE", wanted)
        if number in taken:
            raise ApiError("DEVICE_ALREADY_EXISTS", wanted)
        return wanted

    def _taken(self, vm: str) -> list[int | None]:
        return [
            _number(self.db.get("VBD", vbd)["userdevice"]) for vbd in self.db.find("VBD", VM=vm)
        ]

    def _is_hvm(self, vm: str) -> bool:
        return bool(self.db.get("VM", vm)["domain_type"] == "hvm")

    def _hot(self, device: str, kind: str, attached: bool) -> Record:
        """Return a device that may be plugged or unplugged. Raise what speaks against it."""
        record = self.db.get(kind, device)
        vm = self.db.get("VM", record["VM"])
        if vm["power_state"] != "Running":
            state = vm["power_state"].lower()
            raise ApiError("VM_BAD_POWER_STATE", record["VM"], "running", state)
        if record["currently_attached"] != attached:
            code = "DEVICE_ALREADY_DETACHED" if attached else "DEVICE_ALREADY_ATTACHED"
            raise ApiError(code, device)
        if vm["domain_type"] == "hvm" and not guests.drivers_detected(self.db, vm):
            raise ApiError("VM_MISSING_PV_DRIVERS", record["VM"])
        return record

    def _drive(self, vbd: str) -> Record:
        record = self.db.get("VBD", vbd)
        if record["type"] != "CD":
            raise ApiError("VBD_NOT_REMOVABLE_MEDIA", vbd)
        return record


def make_mac(device: int, seed: str) -> str:
    """Return the MAC that xapi makes of a VM's seed (gen_mac of xapi_vif_helpers)."""
    hashed = seed.encode()
    for _time in range(2 * device + 1):
        hashed = md5(hashed).digest()
    second = md5(hashed).digest()
    first = (hashed[0] | 2) & ~1  # locally administered, one receiver
    return bytes([first, *hashed[1:4], *second[1:3]]).hex(":")


def _number(name: str) -> int | None:
    """Return the position that a device's name stands for: 1, xvdb and hdb are the same."""
    if name.isdecimal():
        return int(name)
    found = re.match(r"(?:xvd|hd|sd)([a-p])\Z", name)
    return ord(found.group(1)) - ord("a") if found else None
