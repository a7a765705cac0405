"""The functions of the xapi plugin ``relun``: JSON in, JSON out, the engine's verbs between.

Arguments are strings, as xapi has them. ``request`` may hold a JSON object instead, or besides.
A LUN that a pool's PBD speaks of is not written to, and one that another program holds neither.
"""

import json
import time

from relun.core import objects, sysfs, verbs
from relun.core.device import Device, open_device
from relun.core.errors import DeviceError, Refused, RelunError
from relun.core.hints import Any, Callable, Dict, List, Sequence
from relun.core.options import Options
from relun.core.repository import IN_PROGRESS
from relun.dom0 import answers, lun, luns, sm_world, words
from relun.dom0.version import version as own_version

Asked = Dict[str, Any]
_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_LUNS = {"device", "devices", "SCSIid", "request"}
_OPTIONS = {
    "sr-uuid",
    "label",
    "map",
    "drop-snapshots",
    "drop-cbt",
    "force-journals",
    "force-mgt",
    "lvm-only",
}


def inspect(_session: Any, asked: Asked) -> Dict[str, Any]:
    """Say what is on a LUN."""
    with _Opened(_paths(asked)) as devices:
        found = verbs.inspect(devices)
        return answers.report(
            "inspect", devices, repository=objects.repository_object(found, words.title)
        )


def plan(_session: Any, asked: Asked) -> Dict[str, Any]:
    """Say what a resign would change."""
    options = _options(asked)
    with _Opened(_paths(asked)) as devices:
        made = verbs.plan(devices, options)
        return answers.report("plan", devices, plan=objects.plan_object(made, words.title))


def resign(session: Any, asked: Asked) -> Dict[str, Any]:
    """Give the SR on a LUN a new identity."""
    options = _options(asked)
    paths = _paths(asked)
    luns.refuse_if_used(session, paths)
    scsi_id = luns.scsi_id_of(paths[0]) if len(paths) == 1 else ""

    def act(devices: List[Device]) -> verbs.Outcome:
        found = verbs.inspect(devices)
        if lun.resigned_here(found, scsi_id):
            raise Refused("already-resigned", device=paths[0], sr_uuid=found.sr_uuid)
        return verbs.resign(devices, options._replace(device_hint=lun.hint(scsi_id)))

    return _change("resign", paths, act)


def recover(_session: Any, asked: Asked) -> Dict[str, Any]:
    """Finish an interrupted resign or undo. Nobody can use such a LUN: it is hidden."""
    return _change("recover", _paths(asked), verbs.recover)


def undo(session: Any, asked: Asked) -> Dict[str, Any]:
    """Give back the clone as it was."""
    paths = _paths(asked)
    luns.refuse_if_used(session, paths)
    return _change("undo", paths, verbs.undo)


def verify(_session: Any, asked: Asked) -> Dict[str, Any]:
    """Check a resigned SR; with ``against`` (a path), that nothing leads back to its original."""
    with _Opened(_paths(asked, {"against"})) as devices:
        if asked.get("against"):
            with _Opened(_listed(asked["against"])) as originals:
                differences = verbs.verify(devices, originals)
        else:
            differences = verbs.verify(devices)
        answer = answers.report(
            "verify", devices, differences=objects.findings_object(differences, words.title)
        )
        answer["exit"] = answers.DIFFERENT if differences else answers.DONE
        return answer


def conflicts(session: Any, asked: Asked) -> Dict[str, Any]:
    """Hold this host's LUNs against the pool's database: which are originals, which are clones."""
    _refuse_unknown(asked, {"device", "devices", "request"})
    named = asked.get("devices") or asked.get("device")
    paths = _listed(named) if named else sysfs.all_disks()
    seen, unreadable = luns.look(paths)
    return {
        "schema": objects.SCHEMA,
        "verb": "conflicts",
        "looked_at": list(paths),
        "conflicts": luns.conflicts(seen, luns.known_srs(session)),
        "in_progress": [
            {"device": found.path, "scsi_id": found.scsi_id}
            for found in seen
            if found.repository.state == IN_PROGRESS
        ],
        "unreadable": [
            {
                "device": path,
                "code": error.code,
                "title": words.title(error.code, error.fields),
            }
            for path, error in unreadable
        ],
    }


def version(_session: Any, asked: Asked) -> Dict[str, Any]:
    """Say which version this is and what it can do."""
    _refuse_unknown(asked, {"request"})
    return {
        "schema": objects.SCHEMA,
        "verb": "version",
        "version": own_version(),
        "functions": sorted(_VERBS),
    }


_VERBS: Dict[str, Callable[[Any, Asked], Dict[str, Any]]] = {
    "inspect": inspect,
    "plan": plan,
    "resign": resign,
    "recover": recover,
    "undo": undo,
    "verify": verify,
    "conflicts": conflicts,
    "version": version,
}


def functions() -> Dict[str, Callable[[Any, Dict[str, str]], str]]:
    """Return the table for XenAPIPlugin.dispatch."""
    return {name: _answering(name) for name in _VERBS}


def _answering(name: str) -> Callable[[Any, Dict[str, str]], str]:
    def answer(session: Any, arguments: Dict[str, str]) -> str:
        paths: Sequence[str] = ()
        try:
            asked = _asked(arguments)
            paths = _named(asked)
            found = _VERBS[name](session, asked)
        except RelunError as error:
            found = answers.failure(name, paths, error)
        return json.dumps(found, sort_keys=True)

    return answer


def _asked(arguments: Dict[str, str]) -> Asked:
    asked: Asked = dict(arguments)
    if "request" in asked:
        try:
            asked.update(json.loads(asked["request"]))
        except (ValueError, TypeError) as error:
            raise Refused("request-invalid", reason=str(error)) from error
    return asked


def _named(asked: Asked) -> List[str]:
    return _listed(asked.get("devices") or asked.get("device") or asked.get("SCSIid") or "")


def _listed(value: Any) -> List[str]:
    """Return a list of paths: a list, a JSON list, or one path."""
    if isinstance(value, str) and value.startswith("["):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise Refused("request-invalid", reason=str(error)) from error
    found = value if isinstance(value, list) else [value] if value else []
    if not all(isinstance(path, str) for path in found):
        raise Refused("request-invalid", reason="a path is not a string")
    return list(found)


def _paths(asked: Asked, more: Any = frozenset()) -> List[str]:
    """Return the paths of the LUNs that are asked for. Raise Refused when there are none."""
    _refuse_unknown(asked, _LUNS | set(more))
    return _resolved(asked)


def _resolved(asked: Asked) -> List[str]:
    found = _listed(asked.get("devices") or asked.get("device") or "")
    if not found and asked.get("SCSIid"):
        found = [luns.path_of(asked["SCSIid"])]
    if not found:
        raise Refused("request-invalid", reason="device, devices or SCSIid is needed")
    return found


def _refuse_unknown(asked: Asked, known: Any) -> None:
    unknown = sorted(set(asked) - set(known))
    if unknown:
        raise Refused("request-invalid", reason="unknown: {}".format(", ".join(unknown)))


def _options(asked: Asked) -> Options:
    """Return the options of a resign and take them out of what is asked."""
    given = {key: asked.pop(key) for key in list(asked) if key in _OPTIONS}
    label = str(given.get("label", ""))
    mapped = given.get("map") or {}
    try:
        mapped = json.loads(mapped) if isinstance(mapped, str) else mapped
    except ValueError as error:
        raise Refused("request-invalid", reason=str(error)) from error
    if not isinstance(mapped, dict):
        raise Refused("request-invalid", reason="map is not an object")
    return Options(
        sr_uuid=str(given.get("sr-uuid", "")),
        id_map=mapped,
        label=label,
        date=time.strftime("%Y-%m-%d") if "{date}" in label else "",
        drop_snapshots=_boolean(given, "drop-snapshots"),
        drop_cbt=_boolean(given, "drop-cbt"),
        force_journals=_boolean(given, "force-journals"),
        force_mgt=_boolean(given, "force-mgt"),
        lvm_only=_boolean(given, "lvm-only"),
    )


def _boolean(given: Asked, key: str) -> bool:
    value = given.get(key, False)
    if isinstance(value, bool):
        return value
    if str(value).lower() not in _BOOLEANS:
        raise Refused("request-invalid", reason="{} is neither true nor false".format(key))
    return _BOOLEANS[str(value).lower()]


def _change(
    verb: str, paths: Sequence[str], act: Callable[[List[Device]], verbs.Outcome]
) -> Dict[str, Any]:
    """Run a verb that writes: the LUN held exclusively, and no LVM command beside it."""
    with _Opened(paths, writable=True) as devices, sm_world.lvm_lock():
        outcome = act(devices)
        answer = answers.report(
            verb, devices, outcome=objects.outcome_object(outcome, devices, words.title)
        )
    for path in paths:
        lun.refresh(luns.scsi_id_of(path))
    if outcome.action in ("resigned", "recovered"):
        with sm_world.lvm_lock():
            answer["notes"] = [
                {
                    "code": "devices-file",
                    "severity": "warn",
                    "title": failed,
                    "where": path,
                    "offset": None,
                    "fields": {},
                }
                for path in paths
                for failed in lun.add_to_devices_files(path)
            ]
    return answer


class _Opened:
    """Context: the devices at these paths. Raise DeviceError when one cannot be opened."""

    def __init__(self, paths: Sequence[str], writable: bool = False) -> None:
        self._paths = paths
        self._writable = writable
        self._devices: List[Device] = []

    def __enter__(self) -> List[Device]:
        try:
            for path in self._paths:
                self._devices.append(open_device(path, self._writable))
        except DeviceError:
            self.__exit__()
            raise
        return self._devices

    def __exit__(self, *_exc: Any) -> None:
        for device in self._devices:
            device.close()
