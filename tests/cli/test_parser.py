"""Usage: what is refused with code 2, help, version."""

import pytest

from cli.conftest import Relun
from relun.cli.exits import Exit, worst
from relun.cli.parser import VERBS


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("frobnicate",),
        ("--", "inspect"),
        ("inspect",),
        ("resign", "--sr-uuid", "x"),
        ("resign", "a", "--json-lines"),
        ("resign", "a", "--drop-snap"),
        ("explain", "no-such-code"),
    ],
)
def test_wrong_usage(relun: Relun, words: tuple[str, ...]) -> None:
    """Code 2, a message on standard error, nothing on standard output."""
    run = relun(*words)
    assert run.code == 2
    assert run.err.startswith("usage: relun")
    assert not run.out


@pytest.mark.parametrize("option", ["--sr-uuid", "--map", "--map-out", "--original"])
def test_options_for_one_sr(relun: Relun, lun: str, bad: str, option: str) -> None:
    """What can fit one SR only is not taken for several."""
    run = relun("resign", lun, bad, option, "something")
    assert run.code == 2
    assert f"{option} is for one SR, and these targets are 2 SRs" in run.err


def test_version(relun: Relun) -> None:
    """The version is the package's."""
    run = relun("--version")
    assert (run.code, run.out[:6]) == (0, "relun ")
    assert run.out[6].isdigit()


def test_help_names_every_verb(relun: Relun) -> None:
    """So that nobody needs to guess."""
    run = relun("--help")
    assert run.code == 0
    assert [verb for verb in VERBS if f"\n  {verb} " not in run.out] == []


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(relun: Relun, verb: str) -> None:
    """Each has its description and options."""
    run = relun(verb, "--help")
    assert run.code == 0
    assert f"usage: relun {verb}" in run.out
    assert "--json" in run.out


def test_worst_code() -> None:
    """An unfinished LUN weighs more than a refusal, that more than a difference."""
    assert worst([]) == Exit.DONE
    assert worst([Exit.DONE, Exit.DIFFERENT]) == Exit.DIFFERENT
    assert worst([Exit.DIFFERENT, Exit.REFUSED, Exit.DONE]) == Exit.REFUSED
    assert worst([Exit.INTERRUPTED, Exit.REFUSED]) == Exit.INTERRUPTED
