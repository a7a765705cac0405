"""SR.probe: what SM finds on a LUN, and the LUNs that it finds at a target."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping

from relun.pool.connection import ApiFailure, Connection
from relun.pool.errors import PoolRefused

SM_REFUSED = "SR_BACKEND_FAILURE"  # and a number: the host's SM could not reach the LUN, or use it
_LUNS_LISTED = "SR_BACKEND_FAILURE_107"  # SM's answer to a device-config without a SCSIid


def probed_srs(
    connection: Connection, host: str, sr_type: str, device_config: Mapping[str, str]
) -> list[str]:
    """Return the uuids of the SRs that SM finds on a LUN. Raise ApiFailure."""
    answer = connection.call("SR.probe", host, dict(device_config), sr_type, {})
    return [text for entry in _entries(answer, "SR") for text in _texts(entry, "UUID")]


def scsi_id_at(
    connection: Connection, host: str, device_config: Mapping[str, str], lun: int
) -> str:
    """Return the SCSI id of a LUN of an iSCSI target, as SM on that host tells it.

    Raise ApiFailure, PoolRefused (pool-lun-missing).
    """
    try:
        connection.call("SR.probe", host, dict(device_config), "lvmoiscsi", {})
    except ApiFailure as failure:
        if failure.code != _LUNS_LISTED:
            raise
        for entry in _entries(failure.details[-1] if failure.details else "", "LUN"):
            if [str(lun)] == list(_texts(entry, "LUNid")):
                for scsi_id in _texts(entry, "SCSIid"):
                    return scsi_id
    raise PoolRefused("pool-lun-missing", lun=lun, target=device_config["targetIQN"])


def _entries(text: str, tag: str) -> Iterator[ElementTree.Element]:
    """Yield the elements of an XML document that may have something before it."""
    start = text.find("<?xml")
    try:
        root = ElementTree.fromstring(text[max(start, 0) :].strip())
    except ElementTree.ParseError:
        return
    yield from root.iter(tag)


def _texts(entry: ElementTree.Element, tag: str) -> Iterator[str]:
    # SM of Python 2 writes a text on a line of its own.
    for element in entry.iter(tag):
        if element.text and element.text.strip():
            yield element.text.strip()
