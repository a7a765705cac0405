"""The NICs of a restored VM: there, but cut off unless asked otherwise."""

from typing import NamedTuple

from relun.core.finding import NOTE, Finding
from relun.pool.connection import Connection, Record
from relun.pool.errors import PoolRefused
from relun.pool.lookup import find_network
from relun.pool.vm_record import Nic, VmRecord

# xapi has no NIC without a network. In this mode the host drops all that comes and goes on it,
# and it needs no licence (xapi's xapi_vif.ml), unlike "locked".
_CUT_OFF = "disabled"


class NicOptions(NamedTuple):
    """``network``: uuid or name of one that all NICs are connected to. ``connect``: to the same
    networks as the original's.
    """

    network: str = ""
    connect: bool = False
    keep_mac: bool = False


class Nics(NamedTuple):
    """``found``: records for VIF.create, the VM missing."""

    found: tuple[Record, ...]
    notes: tuple[Finding, ...]


def nics(connection: Connection, vm: VmRecord, options: NicOptions) -> Nics:
    """Return the NICs to be made. Raise PoolRefused (pool-network-missing, pool-several).

    A NIC whose network this pool does not have is left out, unless it is to be connected.
    """
    here = find_network(connection, options.network) if options.network else ""
    networks = {} if here else connection.records("network")
    found, notes = [], []
    for nic in vm.nics:
        network = here or _same(networks, nic)
        if network:
            found.append(_record(nic, network, options))
        elif options.connect:
            raise PoolRefused("pool-network-missing", network=nic.network_name or nic.network_uuid)
        else:
            fields = {"vm": vm.name, "nic": nic.device, "network": nic.network_name}
            notes.append(Finding("pool-nic-left-out", NOTE, fields=fields))
    return Nics(tuple(found), tuple(notes))


def _same(networks: dict[str, Record], nic: Nic) -> str:
    """The network by its uuid; in another pool by its name, where only one has it."""
    by_uuid = [ref for ref, each in networks.items() if each["uuid"] == nic.network_uuid]
    if by_uuid:
        return by_uuid[0]
    by_name = [ref for ref, each in networks.items() if each["name_label"] == nic.network_name]
    return by_name[0] if len(by_name) == 1 else ""


def _record(nic: Nic, network: str, options: NicOptions) -> Record:
    vif = nic.vif
    connected = options.connect or bool(options.network)
    # A lock to addresses (locked) is for the original's network and MAC address.
    mode = "network_default" if connected else _CUT_OFF
    return {
        "device": nic.device,
        "network": network,
        "MAC": vif["MAC"] if options.keep_mac else "",  # empty: xapi makes one
        "MTU": vif["MTU"],
        "other_config": dict(vif["other_config"]),
        "qos_algorithm_type": vif["qos_algorithm_type"],
        "qos_algorithm_params": dict(vif["qos_algorithm_params"]),
        "locking_mode": mode,
        "ipv4_allowed": [],
        "ipv6_allowed": [],
    }
