"""Ids and guest data, derived from an SR's seed and a volume's key."""

import hashlib
import re
import uuid
from typing import Any, Dict, List, Tuple

from support.builder.model import Cbt, Journal, Plain, Record, Sr, Vhd

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


def lvm_id(seed: str, what: str) -> str:
    """Return 32 characters as LVM2 draws them."""
    number = int.from_bytes(hashlib.sha256((seed + "/" + what).encode("utf-8")).digest(), "big")
    text = ""
    for _ in range(32):
        number, digit = divmod(number, len(_ALPHABET))
        text += _ALPHABET[digit]
    return text


def make_uuid(seed: str, what: str) -> str:
    """Return a uuid as SM draws them (version 4 in form)."""
    digest = hashlib.sha256((seed + "/" + what).encode("utf-8")).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


class Names:
    """The ids of an SR: uuids by key, LV names, footer uuids."""

    def __init__(self, sr: Sr) -> None:
        self.sr = sr
        self.sr_uuid = sr.uuid or make_uuid(sr.seed, "sr")
        self.vg = sr.vg_name or sr.vg_prefix + self.sr_uuid
        self.uuids: Dict[str, str] = {}
        self.names: Dict[str, str] = {}
        self.footers: Dict[str, str] = {}
        self.by_key: Dict[str, Any] = {}
        for volume in sr.volumes:
            if isinstance(volume, (Cbt, Journal, Plain)):
                continue
            if volume.key in self.by_key:
                raise ValueError("two volumes of key {}".format(volume.key))
            vdi = volume.uuid or make_uuid(sr.seed, "vdi/" + volume.key)
            self.by_key[volume.key], self.uuids[volume.key] = volume, vdi
            self.names[volume.key] = volume.prefix + vdi
            if isinstance(volume, Vhd):
                made = make_uuid(sr.seed, "footer/" + volume.key)
                self.footers[volume.key] = volume.footer_uuid or made

    def resolve(self, key: str) -> str:
        """Return the uuid of a key; other text (a uuid, an OpaqueRef, nothing) as it is.

        A key without a volume gets a uuid of its own: so a dangling reference is written.
        """
        if not key or _UUID.match(key) or key.startswith("OpaqueRef"):
            return key
        return self.uuids.get(key) or make_uuid(self.sr.seed, "vdi/" + key)

    def runs(self, volume: Any) -> List[Tuple[int, bytes]]:
        """Return the guest data that a volume itself holds as (offset, bytes)."""
        runs = []
        for offset, length in volume.data:
            name = "{}/{}/{}".format(self.sr.seed, volume.key, offset)
            runs.append((offset, hashlib.shake_128(name.encode("utf-8")).digest(length)))
        return runs

    def guest(self, key: str) -> bytearray:
        """Return the whole virtual disk of a volume, through its parents."""
        volume = self.by_key[key]
        parent = getattr(volume, "parent", "")
        data = self.guest(parent)[: volume.size] if parent in self.by_key else bytearray()
        data += bytes(volume.size - len(data))
        for offset, run in self.runs(volume):
            data[offset : offset + len(run)] = run
        content = getattr(volume, "content", b"")
        data[: len(content)] = content
        return data

    def records(self) -> List[Record]:
        """Return MGT's records: one for each disk, then the further ones."""
        made = []
        for key, volume in self.by_key.items():
            if volume.in_mgt:
                record = volume.record or Record(key, name=key)
                kind = {"VHD-": "vhd", "LV-": "aio", "QCOW2-": "qcow2"}
                default = kind.get(volume.prefix.replace("OLD_", ""), "vhd")
                made.append(record._replace(vdi_type=record.vdi_type or default))
        return made + list(self.sr.records)
