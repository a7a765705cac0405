"""Plans for `test_dr`: what to attach, restore, start and wait for. TOML; docs/recipes.md has one.

Strict: a key that is not known, is missing or is of another kind is an error that names it.
Passwords have no place in a plan.
"""

import tomllib
from collections.abc import Mapping
from typing import Any, NamedTuple

from relun.pool.errors import PoolRefused
from relun.pool.waiting import WaitFor
from relun.remote.address import is_portal, is_remote, take_login

_WAITS = ("agent", "tcp", "nothing")
_MISSING = object()


class ClonePlan(NamedTuple):
    """A clone to be attached. ``hosts``: names, all hosts if empty. ``sr_uuid``: the new one.

    ``unproven``: it is a copy though nothing here proves it (the pool does not know the original).
    """

    target: str
    sr_uuid: str = ""
    name: str = ""
    hosts: tuple[str, ...] = ()
    drop_snapshots: bool = False
    unproven: bool = False


class VmPlan(NamedTuple):
    """A VM to be restored and started. ``wait``: what tells that it is up; None: nothing."""

    vm: str
    wait: WaitFor | None = WaitFor()
    metadata: str = ""
    name: str = ""
    partial: bool = False


class Plan(NamedTuple):
    """``network``: NICs are connected to this one; else with ``connect_nics`` to the original's.

    ``remove_vms``, ``detach``: what is done at the end, whatever happened.
    """

    title: str
    clones: tuple[ClonePlan, ...]
    vms: tuple[VmPlan, ...]
    pool: str = ""
    user: str = ""
    network: str = ""
    connect_nics: bool = False
    remove_vms: bool = True
    detach: bool = True


def read_plan(path: str) -> Plan:
    """Return the plan in a file. Raise PoolRefused (pool-plan)."""
    try:
        with open(path, "rb") as file:
            found = tomllib.load(file)
    except OSError as error:
        raise PoolRefused("pool-plan", file=path, reason=error.strerror or str(error)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PoolRefused("pool-plan", file=path, reason=str(error)) from error
    return _plan(_Table(found, path))


class _Table:
    """A table of the plan; what was not asked for when ``done`` is called is not known."""

    def __init__(self, content: Mapping[str, Any], file: str, where: str = "") -> None:
        self._content = content
        self._file = file
        self._where = where
        self._known: list[str] = []

    def text(self, key: str, default: str | None = None) -> str:
        return str(self._take(key, str, "a text", default))

    def flag(self, key: str, default: bool) -> bool:
        return bool(self._take(key, bool, "true or false", default))

    def number(self, key: str, default: int, most: int) -> int:
        value: int = self._take(key, int, "a whole number", default)
        if isinstance(value, bool) or not 0 < value <= most:
            raise self.error(f"{key} has to be a number from 1 to {most}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value: list[Any] = self._take(key, list, "a list of texts", [])
        if not all(isinstance(each, str) for each in value):
            raise self.error(f"{key} has to be a list of texts")
        return tuple(value)

    def table(self, key: str) -> "_Table":
        return _Table(self._take(key, dict, f"a table: [{key}]", {}), self._file, f"[{key}]: ")

    def tables(self, key: str) -> "list[_Table]":
        value = self._take(key, list, f"tables: [[{key}]]", _MISSING)
        if not value or not all(isinstance(each, dict) for each in value):
            raise self.error(f"{key} has to be tables, one or more: [[{key}]]")
        return [
            _Table(each, self._file, f"[[{key}]] number {number}: ")
            for number, each in enumerate(value, 1)
        ]

    def done(self) -> None:
        """Raise PoolRefused for a key that nobody asked for."""
        for key in self._content:
            if key not in self._known:
                raise self.error(f"{key} is not known here, only {', '.join(self._known)}")

    def error(self, reason: str) -> PoolRefused:
        return PoolRefused("pool-plan", file=self._file, reason=self._where + reason)

    def _take(self, key: str, kind: type, called: str, default: Any) -> Any:
        self._known.append(key)
        value = self._content.get(key, _MISSING if default is None else default)
        if value is _MISSING:
            raise self.error(f"{key} is missing")
        if not isinstance(value, kind):
            raise self.error(f"{key} has to be {called}")
        return value


def _plan(table: _Table) -> Plan:
    nics, after = table.table("nics"), table.table("after")
    plan = Plan(
        title=table.text("title"),
        clones=tuple(_clone(each) for each in table.tables("clone")),
        vms=tuple(_vm(each) for each in table.tables("vm")),
        pool=table.text("pool", ""),
        user=table.text("user", ""),
        network=nics.text("network", ""),
        connect_nics=nics.flag("connect", False),
        remove_vms=after.flag("remove_vms", True),
        detach=after.flag("detach", True),
    )
    for each in (table, nics, after):
        each.done()
    if plan.detach and not plan.remove_vms:
        raise after.error("detach needs remove_vms: the disks of the VMs are on the clone")
    for kind, names in (
        ("clone", [clone.target for clone in plan.clones]),
        ("vm", [vm.vm for vm in plan.vms]),
    ):
        if len(set(names)) < len(names):
            raise table.error(f"a {kind} is named twice")
    return plan


def _clone(table: _Table) -> ClonePlan:
    clone = ClonePlan(
        target=table.text("target"),
        sr_uuid=table.text("sr_uuid", ""),
        name=table.text("name", ""),
        hosts=table.texts("hosts"),
        drop_snapshots=table.flag("drop_snapshots", False),
        unproven=table.flag("unproven", False),
    )
    table.done()
    shown, login = take_login(clone.target)
    if login.password or login.target_password:
        raise table.error("a password in target; give it by --password-file or the environment")
    if not is_remote(shown) or is_portal(shown):
        raise table.error("target has to be the address of a LUN: iscsi://portal/iqn/lun")
    return clone


def _vm(table: _Table) -> VmPlan:
    vm = VmPlan(
        vm=table.text("vm"),
        metadata=table.text("metadata", ""),
        name=table.text("name", ""),
        partial=table.flag("partial", False),
        wait=_wait(table),
    )
    table.done()
    return vm


def _wait(table: _Table) -> WaitFor | None:
    kind = table.text("wait_for", "agent")
    if kind not in _WAITS:
        raise table.error(f"wait_for has to be one of {', '.join(_WAITS)}")
    port = address = None
    if kind == "tcp":
        port = table.number("port", 0, 65535)
        address = table.text("address", "")
    timeout = table.number("timeout", 300, 86400)
    if kind == "nothing":
        return None
    return WaitFor(port or 0, address or "", float(timeout))
