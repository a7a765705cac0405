"""Reads the file of ``xe vm-export metadata=true``: a VM's records, without the pool.

It is a tar archive with one member, ova.xml: an XML-RPC value {version, objects}, each object
{class, id, snapshot}, its references replaced by the ids (xapi's export.ml and importexport.ml).
An export with disks (XVA) begins with the same member.
"""

import lzma
import tarfile
import xml.parsers.expat
import xmlrpc.client
import zlib
from typing import Any

from relun.core.names import is_uuid
from relun.pool.connection import Record
from relun.pool.errors import PoolRefused
from relun.pool.lookup import is_ordinary
from relun.pool.vm_record import VmRecord, assembled

_MEMBER = "ova.xml"
_MOST = 64 << 20  # bytes; a VM's is some 100 KiB
_CLASSES = ("VM", "VBD", "VDI", "SR", "VIF", "network")


def from_file(path: str, wanted: str) -> VmRecord:
    """Return a VM of the file, by uuid or name. Raise PoolRefused (pool-metadata, pool-several)."""
    tables = _tables(path)
    vms = {reference: vm for reference, vm in tables["VM"].items() if is_ordinary(vm)}
    key = "uuid" if is_uuid(wanted) else "name_label"
    found = [reference for reference, vm in vms.items() if vm[key] == wanted]
    if not found:
        names = sorted(vm["name_label"] for vm in vms.values())
        raise PoolRefused("pool-metadata", file=path, reason=f"no {wanted}, but {', '.join(names)}")
    if len(found) > 1:
        uuids = sorted(vms[reference]["uuid"] for reference in found)
        raise PoolRefused("pool-several", kind="VM", name=wanted, uuids=uuids)
    try:
        return assembled(tables, found[0])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PoolRefused("pool-metadata", file=path, reason=f"incomplete: {error}") from error


def _tables(path: str) -> dict[str, dict[str, Record]]:
    try:
        header = _parsed(_member(path))
        tables: dict[str, dict[str, Record]] = {kind: {} for kind in _CLASSES}
        for found in header["objects"]:
            if found["class"] in tables:
                tables[found["class"]][found["id"]] = _as_on_the_wire(found["snapshot"])
        for vm in tables["VM"].values():  # what is asked of every one of them
            is_ordinary(vm), vm["uuid"], vm["name_label"], vm["other_config"]
    except OSError as error:
        reason = error.strerror or str(error)
        raise PoolRefused("pool-metadata", file=path, reason=reason) from error
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise PoolRefused("pool-metadata", file=path, reason=f"no tar archive: {error}") from error
    except (xml.parsers.expat.ExpatError, xmlrpc.client.Error, ValueError) as error:
        raise PoolRefused("pool-metadata", file=path, reason=f"{_MEMBER}: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise PoolRefused("pool-metadata", file=path, reason=f"{_MEMBER}: no {error}") from error
    return tables


def _member(path: str) -> bytes:
    with tarfile.open(path, "r:*") as archive:
        for member in archive:
            if member.name == _MEMBER and member.isfile() and member.size <= _MOST:
                file = archive.extractfile(member)
                assert file is not None
                return file.read()
            break  # it comes first; behind it may be hundreds of GiB of disks
    raise ValueError("not found at the beginning of the archive")


def _parsed(text: bytes) -> Any:
    if b"<!DOCTYPE" in text:
        raise ValueError("a document type, which xapi never writes")
    _declaration, start, rest = text.partition(b"<value>")
    whole = b"<methodResponse><params><param>" + start + rest
    (value,), _method = xmlrpc.client.loads(whole + b"</param></params></methodResponse>")
    return value


def _as_on_the_wire(record: Record) -> Record:
    """Numbers are text in XenAPI, and plain numbers in exports of some versions."""
    return {
        key: str(value) if type(value) is int else value  # a bool stays one
        for key, value in record.items()
    }
