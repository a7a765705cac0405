"""Runs one target under libFuzzer: ``python -m hostile.one TARGET [libFuzzer options] CORPUS…``."""

import resource
import sys

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["relun"]):
    from hostile.targets import TARGETS

_MEMORY = 64 << 20  # what one input may take
_LIBFUZZER = 128 << 20  # the corpus and the tables of libFuzzer itself, which grow in a run


def limit_memory() -> None:
    """Let an allocation beyond what is in use now and the limits fail, as a MemoryError."""
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[0])
    most = pages * resource.getpagesize() + _MEMORY + _LIBFUZZER
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main() -> None:
    """Fuzz until told to stop, or up to the first crash."""
    target = TARGETS[sys.argv.pop(1)]
    for data in target.seeds():  # imports and caches are made before memory is counted
        target.run(data)
    atheris.Setup(sys.argv, target.run)
    limit_memory()
    atheris.Fuzz()


if __name__ == "__main__":
    main()
