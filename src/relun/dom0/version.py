"""relun's version, from the note that the package puts beside relun's folders."""

import os


def version() -> str:
    """Return the version, "unknown" in a source tree."""
    note = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "VERSION")
    try:
        with open(note, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return "unknown"
