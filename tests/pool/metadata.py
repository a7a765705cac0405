"""Writes the file of ``xe vm-export metadata=true`` as xapi does (its export.ml)."""

import io
import tarfile
import xmlrpc.client
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

Record = dict[str, Any]
Tables = dict[str, dict[str, Record]]
VERSION = {
    "hostname": "buildhost",
    "date": "2026-01-01",
    "product_version": "8.4.0",
    "product_brand": "XenServer",
    "build_number": "x",
    "xapi_major": "1",
    "xapi_minor": "20",
    "export_vsn": "2",
}
_FOLLOWED = {
    "VM": {"VBDs": "VBD", "VIFs": "VIF"},
    "VBD": {"VDI": "VDI"},
    "VIF": {"network": "network"},
    "VDI": {"SR": "SR"},
    "SR": {},
    "network": {},
}


def export(tables: Tables, vms: list[str], file: Path, mode: str = "w") -> None:
    """Write the records of VMs (references) and of all that they refer to."""
    write(ova({"version": VERSION, "objects": _objects(tables, vms)}), file, mode)


def write(content: bytes, file: Path, mode: str = "w", name: str = "ova.xml") -> None:
    """Write an archive with one member."""
    with tarfile.open(file, mode) as archive:  # type: ignore[call-overload]
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))


def ova(header: Record) -> bytes:
    """Return a header as xapi's Xmlrpc.to_string writes it."""
    return ('<?xml version="1.0"?>' + _value(header)).encode()


def _objects(tables: Tables, vms: list[str]) -> list[Record]:
    ids: dict[str, str] = {}
    order: list[tuple[str, str]] = []

    def follow(kind: str, reference: str) -> None:
        if reference in ids or reference not in tables[kind]:
            return
        ids[reference] = f"Ref:{len(ids)}"
        order.append((kind, reference))
        for field, other in _FOLLOWED[kind].items():
            value = tables[kind][reference][field]
            for each in value if isinstance(value, list) else [value]:
                follow(other, each)

    for vm in vms:
        follow("VM", vm)
    return [
        {"class": kind, "id": ids[reference], "snapshot": _renamed(tables[kind][reference], ids)}
        for kind, reference in order
    ]


def _renamed(value: Any, ids: dict[str, str]) -> Any:
    """Put the ids in place of references; those of objects that are not there become NULL."""
    if isinstance(value, dict):
        return {key: _renamed(each, ids) for key, each in value.items()}
    if isinstance(value, list):
        renamed = [_renamed(each, ids) for each in value]
        return [each for each in renamed if each != "OpaqueRef:NULL"]
    if isinstance(value, str) and value.startswith("OpaqueRef:"):
        return ids.get(value, "OpaqueRef:NULL")
    return value


def _value(value: Any) -> str:
    if isinstance(value, bool):
        inner = f"<boolean>{int(value)}</boolean>"
    elif isinstance(value, float):
        inner = f"<double>{value}</double>"
    elif isinstance(value, dict):
        members = (
            f"<member><name>{escape(key)}</name>{_value(each)}</member>"
            for key, each in value.items()
        )
        inner = f"<struct>{''.join(members)}</struct>"
    elif isinstance(value, list):
        inner = f"<array><data>{''.join(map(_value, value))}</data></array>"
    elif isinstance(value, xmlrpc.client.DateTime):
        inner = f"<dateTime.iso8601>{value}</dateTime.iso8601>"
    else:
        inner = escape(str(value))
    return f"<value>{inner}</value>" if inner else "<value/>"
