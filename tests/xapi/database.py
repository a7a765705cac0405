"""xapi's database: tables of records, and the calls that every class has."""

import itertools
import threading
import uuid
from typing import Any

from xapi.failure import ApiError

Record = dict[str, Any]
NULL = "OpaqueRef:NULL"


class Database:
    """All records, by class and reference."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Record]] = {}
        self.lock = threading.RLock()
        self._numbers = itertools.count(1)

    def table(self, name: str) -> dict[str, Record]:
        """Return a class's records."""
        return self.tables.setdefault(name, {})

    def add(self, name: str, **fields: Any) -> str:
        """Add a record; return its reference."""
        reference = f"OpaqueRef:{uuid.uuid4()}"
        fields.setdefault("uuid", str(uuid.uuid4()))
        self.table(name)[reference] = fields
        return reference

    def get(self, name: str, reference: str) -> Record:
        """Return a record. Raise HANDLE_INVALID."""
        if reference not in self.table(name):
            raise ApiError("HANDLE_INVALID", name, reference)
        return self.table(name)[reference]

    def find(self, name: str, **fields: Any) -> list[str]:
        """Return references of the records that have these values."""
        return [
            reference
            for reference, record in self.table(name).items()
            if all(record.get(key) == value for key, value in fields.items())
        ]

    def by_uuid(self, name: str, value: str) -> str:
        """Return the reference of a record. Raise UUID_INVALID."""
        found = self.find(name, uuid=value)
        if not found:
            raise ApiError("UUID_INVALID", name, value)
        return found[0]

    def call(self, name: str, verb: str, arguments: list[Any]) -> Any:
        """Answer one of the calls that every class has. Raise MESSAGE_METHOD_UNKNOWN."""
        if verb == "get_all":
            return list(self.table(name))
        if verb == "get_all_records":
            return {ref: dict(record) for ref, record in self.table(name).items()}
        if verb == "get_all_records_where":
            return {ref: dict(record) for ref, record in self.table(name).items()}
        if verb == "get_by_uuid":
            return self.by_uuid(name, arguments[0])
        if verb == "get_by_name_label":
            return self.find(name, name_label=arguments[0])
        action, _, field = verb.partition("_")
        record = self.get(name, arguments[0]) if arguments else {}
        if verb == "get_record":
            return dict(record)
        if verb.startswith("add_to_"):
            mapping = record[verb[len("add_to_") :]]
            if arguments[1] in mapping:
                raise ApiError("MAP_DUPLICATE_KEY", name, arguments[1])
            mapping[arguments[1]] = arguments[2]
        elif verb.startswith("remove_from_"):
            record[verb[len("remove_from_") :]].pop(arguments[1], None)
        elif action == "get" and field in record:
            return record[field]
        elif action == "set" and field in record:
            record[field] = arguments[1]
        else:
            raise ApiError("MESSAGE_METHOD_UNKNOWN", f"{name}.{verb}")
        return ""
