"""Writes a random part of a device's dirty cache out: destage.py SEED DEVICE …

Each dirty page goes out or stays with even odds, as an array's cache is emptied in an order of its
own; what stays is lost with the power.
"""

import ctypes
import os
import random
import sys

_WAIT_BEFORE, _WRITE, _WAIT_AFTER = 1, 2, 4
_PAGE = 4096

libc = ctypes.CDLL(None, use_errno=True)
libc.sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]


def destage(device: str, ranges: list[tuple[int, int]], odds: random.Random) -> None:
    """Write a random half of the pages in these ranges out."""
    fd = os.open(device, os.O_RDWR)
    for start, end in ranges:
        for page in range(start // _PAGE, -(-end // _PAGE)):
            if odds.random() < 0.5:
                libc.sync_file_range(fd, page * _PAGE, _PAGE, _WAIT_BEFORE | _WRITE | _WAIT_AFTER)
    os.close(fd)


if __name__ == "__main__":
    seed, where, *devices = sys.argv[1:]
    chosen = [(int(a), int(b)) for a, b in (word.split("-") for word in where.split(","))]
    chance = random.Random(int(seed))
    for name in devices:
        destage(name, chosen, chance)
