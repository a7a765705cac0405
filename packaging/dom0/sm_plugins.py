#!/usr/bin/python3
"""Keeps relun's SR types in the list of storage drivers that xapi accepts on this host.

The list is the key ``sm-plugins``. xapi reads /etc/xapi.conf, then every file of /etc/xapi.conf.d
in the order of its name, and the last list counts: lists are not merged. Releases and add-ons bring
different lists, so relun's is made on the host: the list in force without relun, and relun's types.
It stands in a file of its own, whose name is the last of those with a list; no other is changed.

``sm_plugins.py refresh`` is run at installation and before each start of xapi, the only time xapi
reads the list. ``sm_plugins.py remove`` is run when relun is removed. ``--root DIR``: below DIR.
Exit code 0: done or nothing to do; 1: a file cannot be read or written, nothing was changed.
"""

import os
import re
import sys
from typing import List, NamedTuple, Optional, Sequence

TYPES = ("relvmoiscsi", "relvmohba")
KEY = "sm-plugins"
EVERY = "*"  # a list with it accepts every driver
NAME = "99-zz-relun.conf"
_ENDING = "-relun.conf"  # of the name that follows a later one
_MARK = "# Written by relun"
_TEXT = (
    _MARK + ", again before each start of xapi. Changes here are lost.\n"
    "# The list that is in force without relun ({source}), and relun's SR types.\n"
    "{key}={plugins}\n"
)
# As xapi takes a line apart: what is before "=" up to a blank is the key, "#" begins a comment.
_LINE = re.compile(r"([^=\\ \t]+)[\\ \t]*=[\\ \t]*(.*)")
_CODEC = {"encoding": "utf-8", "errors": "surrogateescape"}


class Setting(NamedTuple):
    """A list of drivers and the file it stands in."""

    path: str
    plugins: List[str]


def parse(text: str) -> Optional[List[str]]:
    """Return the last list in the text of a configuration file, None if it has none."""
    found = None
    for line in text.split("\n"):
        match = _LINE.search(line.partition("#")[0].rstrip(" \t"))
        if match and match.group(1) == KEY:
            found = _unquoted(match.group(2)).split()
    return found


def settings(root: str) -> List[Setting]:
    """Return all lists but relun's own in xapi's order: the last is in force. Raise OSError."""
    found = []
    for path in [_main(root), *_fragments(root)]:
        if not os.path.isfile(path):
            continue
        text = _read(path)
        plugins = None if _is_own(path, text) else parse(text)
        if plugins is not None:
            found.append(Setting(path, plugins))
    return found


def own_files(root: str) -> List[str]:
    """Return the files that relun wrote. Raise OSError."""
    return [
        path for path in _fragments(root) if os.path.isfile(path) and _is_own(path, _read(path))
    ]


def extended(plugins: Sequence[str]) -> List[str]:
    """Return a list with relun's types in it; letter case does not count."""
    known = {plugin.lower() for plugin in plugins}
    return list(plugins) + [each for each in TYPES if each not in known]


def refresh(root: str) -> str:
    """Write relun's list, or remove it where it is not needed; say what was done. Raise OSError."""
    found = settings(root)
    if not found:
        # A list of relun's own would be the only one and shut all other drivers out.
        remove(root)
        return "no {} in {} or its .d folder: nothing to extend".format(KEY, _main(root))
    path, plugins = found[-1]
    wanted = extended(plugins)
    if EVERY in plugins or len(wanted) == len(plugins):
        remove(root)
        return "{} lets relun's types in already".format(path)
    own = os.path.join(_folder(root), _name_after(path, root))
    source = path[len(root.rstrip("/")) :]
    done = _replace(own, _TEXT.format(source=source, key=KEY, plugins=" ".join(wanted)))
    for stale in own_files(root):
        if stale != own:
            os.remove(stale)
    return "{} {}".format(own, "written" if done else "is right")


def remove(root: str) -> str:
    """Remove relun's list; the others are in force again. Raise OSError."""
    paths = own_files(root)
    for path in paths:
        os.remove(path)
    return "{} removed".format(", ".join(paths)) if paths else "nothing to remove"


def main(arguments: Sequence[str]) -> int:
    """Run the command line."""
    words = list(arguments)
    root = "/"
    if len(words) == 3 and words[1] == "--root":
        root = words[2]
        del words[1:]
    actions = {"refresh": refresh, "remove": remove}
    if len(words) != 1 or words[0] not in actions:
        sys.stderr.write("usage: sm_plugins.py refresh|remove [--root DIR]\n")
        return 2
    try:
        said = actions[words[0]](root)
    except OSError as error:
        sys.stderr.write("relun: {}: {}\n".format(error.filename, error.strerror))
        return 1
    sys.stdout.write("relun: {}\n".format(said))
    return 0


def _main(root: str) -> str:
    return os.path.join(root, "etc", "xapi.conf")


def _folder(root: str) -> str:
    return os.path.join(root, "etc", "xapi.conf.d")


def _fragments(root: str) -> List[str]:
    """All of them, whatever their ending, in the order of the names' bytes: so does xapi."""
    folder = _folder(root)
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return [os.path.join(folder, name) for name in sorted(names, key=os.fsencode)]


def _is_own(path: str, text: str) -> bool:
    name = os.path.basename(path)
    # A copy under another name is somebody's own and counts as such, for xapi counts it too.
    return (name == NAME or name.endswith(_ENDING)) and text.startswith(_MARK)


def _name_after(path: str, root: str) -> str:
    """Return a name for relun's file that comes after the file with the list in force."""
    name = os.path.basename(path)
    if path == _main(root) or os.fsencode(name) < os.fsencode(NAME):
        return NAME
    return name + _ENDING


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


def _read(path: str) -> str:
    with open(path, **_CODEC) as file:  # type: ignore[call-overload]
        return str(file.read())


def _replace(path: str, text: str) -> bool:
    """Write a whole file or nothing; False if it says so already."""
    if os.path.isfile(path) and _read(path) == text:
        return False
    # Not in the folder itself, where xapi would read a half-written file as well.
    draft = os.path.join(os.path.dirname(os.path.dirname(path)), ".relun-sm-plugins")
    try:
        with open(draft, "w", **_CODEC) as file:  # type: ignore[call-overload]
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    finally:
        if os.path.exists(draft):
            os.remove(draft)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
