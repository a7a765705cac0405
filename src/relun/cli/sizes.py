"""Sizes for people."""

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")


def size(count: int) -> str:
    """Return a number of bytes in the largest unit that leaves at least one whole."""
    if count < 1024:
        return f"{count} B"
    power = min((count.bit_length() - 1) // 10, len(_UNITS))
    value = f"{count / 1024**power:.1f}"
    return f"{value[:-2] if value.endswith('.0') else value} {_UNITS[power - 1]}"


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
