"""Waits until a guest is up: its agent has reported, or a TCP port answers."""

import socket
import time
from collections.abc import Callable
from typing import NamedTuple

from relun.pool.connection import NO_ANSWER, NULL, ApiFailure, Connection, Record
from relun.pool.errors import PoolRefused
from relun.pool.steps import Cancelled, never

_FIRST, _MOST = 0.1, 1.0  # seconds between two looks: more and more, so that times are exact
_CONNECT = 3.0  # seconds for a TCP connection


class WaitFor(NamedTuple):
    """What tells that a guest is up. ``port`` 0: its agent. ``address``: of the port, else the
    one that the agent reports. ``timeout``: seconds.
    """

    port: int = 0
    address: str = ""
    timeout: float = 300.0

    @property
    def text(self) -> str:
        """In a few words."""
        if not self.port:
            return "guest agent"
        return f"TCP port {self.port}" + (f" of {self.address}" if self.address else "")


class Up(NamedTuple):
    """``address``: where the guest can be reached, as far as that is known."""

    address: str
    agent: str  # version of its drivers, empty when the agent has not reported


def wait_for(
    connection: Connection,
    vm: str,
    name: str,
    wanted: WaitFor,
    cancelled: Cancelled = never,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Up:
    """Return when the guest of ``vm`` (a reference; ``name`` for errors) is up.

    A pool that does not answer for a while is waited for as well. Raise PoolRefused (pool-not-up,
    pool-stopped), ApiFailure.
    """
    ends, between = clock() + wanted.timeout, _FIRST
    while True:
        up, why, over = _look(connection, vm, wanted)
        if up is not None:
            return up
        if over or clock() >= ends:
            raise PoolRefused("pool-not-up", vm=name, waited=wanted.text, reason=why)
        if cancelled():
            raise PoolRefused("pool-stopped", step=f"{name} was up")
        pause(min(between, max(0.0, ends - clock())))
        between = min(2 * between, _MOST)


def _look(connection: Connection, vm: str, wanted: WaitFor) -> tuple[Up | None, str, bool]:
    """Return the guest if it is up, else why it is not, and whether it never will be."""
    try:
        record = connection.record("VM", vm)
        if record["power_state"] != "Running":
            return None, f"the VM is {record['power_state'].lower()}", True
        reported = _reported(connection, record)
    except ApiFailure as failure:
        if failure.code != NO_ANSWER:
            raise
        return None, failure.reason, False
    return *_judge(reported, wanted), False


def _judge(reported: Record, wanted: WaitFor) -> tuple[Up | None, str]:
    up = Up(wanted.address or _address(reported), _agent(reported))
    if not wanted.port:
        return (up, "") if up.agent else (None, "its agent has not reported")
    if not up.address:
        return None, "no address is known: its agent reports none"
    try:
        with socket.create_connection((up.address, wanted.port), timeout=_CONNECT):
            return up, ""
    except OSError as error:
        return None, f"{up.address}, port {wanted.port}: {error.strerror or error}"


def _reported(connection: Connection, vm: Record) -> Record:
    reference = vm["guest_metrics"]
    if reference == NULL:
        return {}
    try:
        return connection.record("VM_guest_metrics", reference)
    except ApiFailure as failure:
        if failure.code != "HANDLE_INVALID":  # xapi replaced it at this moment
            raise
        return {}


def _agent(reported: Record) -> str:
    """The version of the guest's drivers: its agent writes it when it starts."""
    version = reported.get("PV_drivers_version", {})
    parts = (version.get(key, "") for key in ("major", "minor", "micro", "build"))
    return ".".join(part for part in parts if part)


def _address(reported: Record) -> str:
    """The first address, IPv4 before IPv6; keys are 0/ip, 0/ipv4/0, 0/ipv6/0 (xapi)."""
    networks = reported.get("networks", {})
    for kind in ("ip", "ipv4", "ipv6"):
        for key in sorted(networks):
            if key.split("/")[1:2] == [kind] and networks[key]:
                return str(networks[key])
    return ""
