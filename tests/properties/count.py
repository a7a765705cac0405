"""Counts the examples of each property."""

from collections import Counter

TRIED: Counter[str] = Counter()


def tried(what: str) -> None:
    """One more example of the property ``what`` ran to its end."""
    TRIED[what] += 1
