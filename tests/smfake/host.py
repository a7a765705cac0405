"""The host that this process runs on: its folder of state, and the storage network around it."""

import json
import os
from typing import Any, Dict, List

import smfake_host  # written by xapi.worlds into each host's search path

ROOT: str = smfake_host.ROOT
FABRIC: str = smfake_host.FABRIC
XAPI: str = smfake_host.XAPI
WORLD: str = smfake_host.WORLD


def place(*parts: str) -> str:
    """Return a path below the host's folder, its folder made."""
    path = os.path.join(ROOT, *parts)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def names(*parts: str) -> List[str]:
    """Return the names in one of the host's folders."""
    folder = os.path.join(ROOT, *parts)
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def fabric() -> Dict[str, Any]:
    """Return what the storage network offers: targets, LUNs, and faults to play."""
    with open(FABRIC, encoding="utf-8") as file:
        found: Dict[str, Any] = json.load(file)
    return found


def fault(name: str) -> Any:
    """Return what the test wants to go wrong under this name, None for nothing."""
    return fabric().get("faults", {}).get(name)


def note(kind: str, text: str) -> None:
    """Add a line to one of the host's logs."""
    with open(place("log", kind), "a", encoding="utf-8") as file:
        file.write(text + "\n")
