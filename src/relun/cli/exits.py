"""Exit codes."""

from enum import IntEnum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Exit(IntEnum):
    """What relun tells its caller. docs/cli.md lists them."""

    DONE = 0  # or nothing to do
    REFUSED = 1  # refused or failed; nothing was changed
    USAGE = 2
    INTERRUPTED = 3  # a LUN is in progress: `relun recover`; or a pool's verb stopped half-way
    DIFFERENT = 4  # verify found differences; something did not come up in pool test-dr


MEANINGS = {
    Exit.DONE: "done, or nothing to do",
    Exit.REFUSED: "refused or failed; nothing was changed",
    Exit.USAGE: "the command line is wrong",
    Exit.INTERRUPTED: "interrupted, a LUN is in progress: run `relun recover`; of `relun pool`: "
    "something stands half-way, the error names it: run the same command again",
    Exit.DIFFERENT: "verify found differences; of `pool test-dr`: something did not come up",
}
_BY_WEIGHT = (Exit.DONE, Exit.DIFFERENT, Exit.REFUSED, Exit.USAGE, Exit.INTERRUPTED)


def worst(codes: "Iterable[Exit]") -> Exit:
    """Return the code that counts when several targets ended differently."""
    return max(codes, key=_BY_WEIGHT.index, default=Exit.DONE)
