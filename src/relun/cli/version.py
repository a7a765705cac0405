"""relun's own version."""

import os


def version() -> str:
    """Return the version: of the package in dom0, which brings a note of it, or as installed."""
    note = os.path.join(os.path.dirname(os.path.dirname(__file__)), "VERSION")
    try:
        with open(note, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        pass
    try:
        from importlib.metadata import version as installed

        return installed("relun")
    except ImportError:  # a source tree that is not installed (PackageNotFoundError), or Python 3.6
        return "unknown"
