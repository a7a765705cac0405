"""Old id -> new id. Everything follows from the new SR uuid, so a repeated run gives the same ids.

new VDI uuid = uuid5(new SR uuid, old VDI uuid). Every other kind of id has a namespace of its own
below the new SR uuid. An explicit map overrides single ids of any kind.
"""

import os

from relun.core.digest import sha1
from relun.core.errors import Refused
from relun.core.hints import Dict, Mapping, Optional
from relun.core.lvm2.vg import UUID_LENGTH, plain_uuid
from relun.core.names import is_uuid

# LVM reads 0-9 a-z A-Z ! and #, but never writes the last two (lib/uuid/uuid.c).
_LVM_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LVM_LETTERS = bytes(ord(_LVM_ALPHABET[byte % len(_LVM_ALPHABET)]) for byte in range(256))


def random_uuid() -> str:
    """Return a random (version 4) uuid as text."""
    return _shaped(os.urandom(16), 4)


def uuid5(namespace: str, name: str) -> str:
    """Return the name-based uuid of RFC 4122 (version 5) as text."""
    digest = sha1(pack_uuid(namespace) + name.encode("ascii")).digest()
    return _shaped(digest[:16], 5)


def pack_uuid(text: str) -> bytes:
    """Return a dashed uuid as 16 bytes in text order, as VHD and CBT store it."""
    return bytes.fromhex(text.replace("-", ""))


def unpack_uuid(raw: bytes) -> str:
    """Return 16 bytes as a dashed uuid."""
    plain = raw.hex()
    return "-".join((plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]))


class Identity:
    """The mapping of one resign. Asked twice for the same id it gives the same answer."""

    def __init__(
        self, old_sr: str, new_sr: str, overrides: Optional[Mapping[str, str]] = None
    ) -> None:
        self.old_sr = old_sr
        self.new_sr = new_sr
        self._overrides = dict(overrides or {})
        self._unused = set(self._overrides)
        self._images = uuid5(new_sr, "image")
        self._lvm = uuid5(new_sr, "lvm")
        self._given: Dict[str, Dict[str, str]] = {"sr": {}, "vdi": {}, "image": {}, "lvm": {}}

    def sr(self, old: str) -> str:
        """The new uuid of the SR; of another SR that something here still names, a derived one."""
        return self._give("sr", old, self.new_sr if old == self.old_sr else None, self.new_sr)

    def vdi(self, old: str) -> str:
        """The new VDI uuid."""
        return self._give("vdi", old, None, self.new_sr)

    def packed_vdi(self, old: bytes) -> bytes:
        """The same for 16 packed bytes; all zero means none and stays."""
        return pack_uuid(self.vdi(unpack_uuid(old))) if any(old) else old

    def image(self, old: bytes) -> bytes:
        """The new uuid of an image (VHD footer), 16 bytes; all zero means none and stays."""
        if not any(old):
            return old
        return pack_uuid(self._give("image", unpack_uuid(old), None, self._images))

    def lvm(self, old: str) -> str:
        """The new PV, VG or LV uuid, 32 characters without dashes."""
        given = self._given["lvm"]
        if old not in given:
            given[old] = self._override(old) or self._lvm_uuid(old)
        return given[old]

    def given(self, kind: str) -> Dict[str, str]:
        """All answers so far for a kind (sr, vdi, image, lvm): old -> new."""
        return dict(self._given[kind])

    def check(self) -> None:
        """Raise Refused: two ids became one, a new id is an old one, an override fits none."""
        if self._unused:
            raise Refused("map-unused", ids=sorted(self._unused))
        for kind, given in self._given.items():
            seen: Dict[str, str] = {}
            for old, new in given.items():
                if new in given:
                    raise Refused("id-collision", kind=kind, old=old, other=new, new=new)
                if new in seen:
                    raise Refused("id-collision", kind=kind, old=old, other=seen[new], new=new)
                seen[new] = old

    def _give(self, kind: str, old: str, fixed: Optional[str], namespace: str) -> str:
        given = self._given[kind]
        if old not in given:
            given[old] = self._override(old) or fixed or uuid5(namespace, old)
        return given[old]

    def _override(self, old: str) -> str:
        self._unused.discard(old)
        return self._overrides.get(old, "")

    def _lvm_uuid(self, old: str) -> str:
        seed = pack_uuid(self._lvm) + old.encode("latin-1")
        digest: bytes = sha1(b"0" + seed).digest() + sha1(b"1" + seed).digest()
        return digest[:UUID_LENGTH].translate(_LVM_LETTERS).decode("ascii")


def check_overrides(overrides: Mapping[str, str]) -> Dict[str, str]:
    """Return the map, LVM uuids undashed. Raise Refused (map-invalid) for what is no id."""
    checked = {}
    for old, new in overrides.items():
        both_uuids = is_uuid(old) and is_uuid(new)
        both_lvm = _is_lvm_uuid(old) and _is_lvm_uuid(new)
        if not (both_uuids or both_lvm) or plain_uuid(old) == plain_uuid(new):
            raise Refused("map-invalid", old=old, new=new)
        plain = plain_uuid if both_lvm else str
        checked[plain(old)] = plain(new)
    return checked


def _is_lvm_uuid(text: str) -> bool:
    plain = plain_uuid(text)
    return len(plain) == UUID_LENGTH and not set(plain) - set(_LVM_ALPHABET) and not is_uuid(text)


def _shaped(raw: bytes, version: int) -> str:
    data = bytearray(raw)
    data[6] = data[6] & 0x0F | version << 4
    data[8] = data[8] & 0x3F | 0x80
    return unpack_uuid(bytes(data))
