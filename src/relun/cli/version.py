"""relun's own version."""


def version() -> str:
    """Return the version of the installed package."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("relun")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "unknown"
