"""Calls of VDI, with xapi's rules (its xapi_vdi)."""

import re

from xapi.failure import ApiError
from xapi.part import Part, unlocked

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)


class Disks(Part):
    """VDI."""

    def vdi_db_introduce(
        self,
        vdi_uuid: str,
        name_label: str,
        name_description: str,
        sr: str,
        type: str,
        sharable: bool,
        read_only: bool,
        other_config: dict[str, str],
        location: str,
        xenstore_data: dict[str, str],
        sm_config: dict[str, str],
    ) -> str:
        """VDI.db_introduce, SM's own call; a uuid stands in the pool once."""
        self._assert_internal()
        for vdi in self.db.find("VDI", SR=sr):
            if self.db.get("VDI", vdi)["location"] == location:
                raise ApiError("LOCATION_NOT_UNIQUE", sr, location)
        if not _UUID.match(vdi_uuid):
            raise ApiError("UUID_INVALID", "VDI", vdi_uuid)
        if self.db.find("VDI", uuid=vdi_uuid):
            text = f'Db_exn.Uniqueness_constraint_violation("VDI", "uuid", "{vdi_uuid}")'
            raise ApiError("INTERNAL_ERROR", text)
        return self.db.add(
            "VDI",
            uuid=vdi_uuid,
            name_label=name_label,
            name_description=name_description,
            SR=self._sr(sr),
            type=type,
            sharable=sharable,
            read_only=read_only,
            other_config=other_config,
            location=location,
            xenstore_data=xenstore_data,
            sm_config=sm_config,
        )

    def vdi_db_forget(self, vdi: str) -> str:
        """VDI.db_forget, SM's own call."""
        self._assert_internal()
        self.db.get("VDI", vdi)
        self.db.remove("VDI", vdi)
        return ""

    def vdi_forget(self, vdi: str) -> str:
        """VDI.forget: the database only, and not while it is attached."""
        self.db.get("VDI", vdi)
        if self.db.find("VBD", VDI=vdi, currently_attached=True):
            raise ApiError("VDI_IN_USE", vdi, "forget")
        self.db.remove("VDI", vdi)
        return ""

    @unlocked
    def vdi_set_name_label(self, vdi: str, value: str) -> str:
        """VDI.set_name_label: SM writes it to the LUN."""
        return self._set_name(vdi, "name_label", value)

    @unlocked
    def vdi_set_name_description(self, vdi: str, value: str) -> str:
        """VDI.set_name_description: SM writes it to the LUN."""
        return self._set_name(vdi, "name_description", value)

    def vdi_set_read_only(self, vdi: str, value: bool) -> str:
        """VDI.set_read_only: SM alone may (xapi's assert_session_has_internal_sr_access)."""
        return self._set(vdi, "read_only", value)

    def vdi_set_sharable(self, vdi: str, value: bool) -> str:
        """VDI.set_sharable: SM alone may."""
        return self._set(vdi, "sharable", value)

    def vdi_set_managed(self, vdi: str, value: bool) -> str:
        """VDI.set_managed: SM alone may."""
        return self._set(vdi, "managed", value)

    def vdi_set_virtual_size(self, vdi: str, value: str) -> str:
        """VDI.set_virtual_size: SM alone may."""
        return self._set(vdi, "virtual_size", str(int(value)))

    def vdi_set_physical_utilisation(self, vdi: str, value: str) -> str:
        """VDI.set_physical_utilisation: SM alone may."""
        return self._set(vdi, "physical_utilisation", str(int(value)))

    def vdi_set_is_a_snapshot(self, vdi: str, value: bool) -> str:
        """VDI.set_is_a_snapshot: SM alone may."""
        return self._set(vdi, "is_a_snapshot", value)

    def vdi_set_snapshot_of(self, vdi: str, value: str) -> str:
        """VDI.set_snapshot_of: SM alone may."""
        return self._set(vdi, "snapshot_of", value)

    def _set(self, vdi: str, field: str, value: object) -> str:
        record = self.db.get("VDI", vdi)
        self._assert_internal()
        record[field] = value
        return ""

    def _set_name(self, vdi: str, field: str, value: str) -> str:
        with self.db.lock:
            record = self.db.get("VDI", vdi)
            self.pool.storage.chosen_pbd(record["SR"])
            record[field] = value
        self.pool.storage.run_on_sr(record["SR"], "vdi_update", vdi)
        return ""

    def _sr(self, sr: str) -> str:
        self.db.get("SR", sr)
        return sr

    def _assert_internal(self) -> None:
        if not self.pool.internal:
            raise ApiError("PERMISSION_DENIED", "")
