"""The time as reports and marks have it."""

import time


def timestamp(seconds: float | None = None) -> str:
    """Return a time (now, or seconds since 1970) as ISO 8601 in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
