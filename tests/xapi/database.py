"""xapi's database: tables of records, the calls that every class has, operations under way."""

import copy
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from xapi import schema
from xapi.failure import ApiError
from xapi.schema import NULL as NULL

Record = dict[str, Any]
BUSY = "OTHER_OPERATION_IN_PROGRESS"


class Database:
    """All records, by class and reference. Whoever reads or changes them holds ``lock``."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Record]] = {}
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.allowed: dict[str, Callable[[str], list[str]]] = {}  # class -> allowed_operations
        self.patience = 7200.0  # how long an operation waits for the one before, as xapi does

    def table(self, name: str) -> dict[str, Record]:
        """Return a class's records."""
        return self.tables.setdefault(name, {})

    def add(self, name: str, **fields: Any) -> str:
        """Add a record; return its reference."""
        reference = f"OpaqueRef:{uuid.uuid4()}"
        record = schema.first_values(name)
        unknown = set(fields) - set(record) - {"uuid"} if record else set()
        assert not unknown, (name, unknown)
        record.update(fields)
        record.setdefault("uuid", str(uuid.uuid4()))
        self.table(name)[reference] = record
        return reference

    def get(self, name: str, reference: str) -> Record:
        """Return a record. Raise HANDLE_INVALID."""
        if not isinstance(reference, str) or reference not in self.table(name):
            raise ApiError("HANDLE_INVALID", name, str(reference))
        return self.table(name)[reference]

    def remove(self, name: str, reference: str) -> None:
        """Remove a record, if it is there, and wake who waits for it."""
        self.table(name).pop(reference, None)
        self.changed.notify_all()

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

    def shown(self, name: str, references: list[str]) -> dict[str, Record]:
        """Return records as clients see them: with the fields that list who refers to them."""
        lists: dict[str, dict[str, list[str]]] = {}
        for (of, field), (other, via) in schema.BACK.items():
            if of == name:
                lists[field] = {}
                for reference, record in self.table(other).items():
                    lists[field].setdefault(record[via], []).append(reference)
        found = {}
        for reference in references:
            found[reference] = copy.deepcopy(self.get(name, reference))
            found[reference] |= {field: back.get(reference, []) for field, back in lists.items()}
            if name in self.allowed:
                found[reference]["allowed_operations"] = self.allowed[name](reference)
        return found

    def snapshot(self) -> dict[str, dict[str, Record]]:
        """Return a copy of everything, to be compared with a later one.

        Without sessions, and without Secrets that nothing refers to: xapi itself leaves those that
        it makes of the passwords of an SR.probe.
        """
        with self.lock:
            found = {
                name: copy.deepcopy(table)
                for name, table in self.tables.items()
                if table and name != "session"
            }
            used = {
                value
                for record in self.table("PBD").values()
                for key, value in record["device_config"].items()
                if key.endswith("_secret")
            }
        secrets = {k: v for k, v in found.pop("Secret", {}).items() if v["uuid"] in used}
        return found | ({"Secret": secrets} if secrets else {})

    @contextmanager
    def operation(
        self, name: str, reference: str, operation: str, check: Callable[[], object]
    ) -> Iterator[None]:
        """Mark an object as being worked on; the lock is free meanwhile.

        ``check`` raises what speaks against it. When that is another operation, xapi waits for
        its end (up to two hours) before it tells the client.
        """
        task = f"OpaqueRef:{uuid.uuid4()}"
        until = time.monotonic() + self.patience
        with self.lock:
            while True:
                record = self.get(name, reference)
                try:
                    check()
                    break
                except ApiError as error:
                    left = until - time.monotonic()
                    if error.description[0] != BUSY or left <= 0:
                        raise
                    self.changed.wait(left)
            record["current_operations"][task] = operation
        try:
            yield
        finally:
            with self.lock:
                record["current_operations"].pop(task)
                self.changed.notify_all()

    def call(self, name: str, verb: str, arguments: list[Any], internal: bool = False) -> Any:
        """Answer one of the calls that every class has. Raise MESSAGE_METHOD_UNKNOWN.

        ``internal``: SM asks, which may set what clients may not.
        """
        if verb == "get_all":
            return list(self.table(name))
        if verb in ("get_all_records", "get_all_records_where"):
            return self.shown(name, list(self.table(name)))
        if verb == "get_by_uuid":
            return self.by_uuid(name, arguments[0])
        if verb == "get_by_name_label":
            return self.find(name, name_label=arguments[0])
        if not arguments:
            raise ApiError("MESSAGE_METHOD_UNKNOWN", f"{name}.{verb}")
        if not verb.startswith(("get_", "set_", "add_", "remove_")):
            raise ApiError("MESSAGE_METHOD_UNKNOWN", f"{name}.{verb}")
        self.get(name, arguments[0])
        if verb == "get_record":
            return self.shown(name, [arguments[0]])[arguments[0]]
        if verb.startswith("get_"):
            shown = self.shown(name, [arguments[0]])[arguments[0]]
            if verb[len("get_") :] in shown:
                return shown[verb[len("get_") :]]
        return self._set(name, verb, arguments, internal)

    def _set(self, name: str, verb: str, arguments: list[Any], internal: bool) -> str:
        record = self.get(name, arguments[0])
        for start in ("set_", "add_to_", "remove_from_", "add_", "remove_"):
            field = verb[len(start) :]
            if verb.startswith(start) and field in record and self._open(name, field, internal):
                break
        else:
            raise ApiError("MESSAGE_METHOD_UNKNOWN", f"{name}.{verb}")
        if start == "set_":
            known = schema.CLASSES.get(name, {}).get(field)
            record[field] = known.value(field, arguments[1]) if known else arguments[1]
        elif start == "add_":
            record[field] = sorted({*record[field], arguments[1]})
        elif start == "remove_":
            record[field] = [each for each in record[field] if each != arguments[1]]
        elif start == "add_to_":
            if arguments[1] in record[field]:
                raise ApiError("MAP_DUPLICATE_KEY", name, field, arguments[0], arguments[1])
            record[field][arguments[1]] = arguments[2]
        else:
            record[field].pop(arguments[1], None)
        return ""

    @staticmethod
    def _open(name: str, field: str, internal: bool) -> bool:
        if internal or name not in schema.CLASSES:
            return True
        known = schema.CLASSES[name].get(field)
        return known is not None and known.access == schema.RW
