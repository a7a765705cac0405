"""Which mistakes are made, and what is said of what became of them."""

from pathlib import Path
from typing import Any

from mutants.child import FAILED, HARNESS, Failed, allow, forked
from mutants.operators import Mutant, mutants, mutated
from mutants.reach import Reach
from mutants.run import MODULES, judge, reasons, told
from mutants.trial import Killers, Trial, Verdicts

SOURCE = '''
SIZE = 512
def half(value: int, whole: bool = True) -> int:
    """Halve."""
    if value > SIZE and whole:
        return value // 2
    return -value
'''


def test_mistakes_are_the_usual_ones() -> None:
    """Each is made alone, nothing else changes, and no docstring or annotation is touched."""
    found = mutants("half", SOURCE)
    assert [mutant.name.rpartition(" | ")[2] for mutant in found] == [
        "512 -> 513",
        "True -> False",
        "if value > SIZE and whole -> if not (value > SIZE and whole)",
        "value > SIZE and whole -> value > SIZE or whole",
        "value > SIZE -> value >= SIZE",
        "return value // 2 -> return None",
        "value // 2 -> value * 2",
        "2 -> 3",
        "return -value -> return None",
        "-value -> value",
    ]
    assert {mutant.function for mutant in found} == {"", "half"}
    results = set()
    for mutant in found:
        namespace: dict[str, object] = {}
        exec(compile(mutated(SOURCE, mutant), "half", "exec"), namespace)
        half = namespace["half"]
        assert callable(half)
        results.add(tuple(half(value) for value in (2, 512, 513, 514)))
    assert len(results) == len(found)


def test_every_module_is_named_once() -> None:
    assert len(MODULES) == len(set(MODULES))
    assert Mutant._fields[:2] == ("module", "function")


FOUR = [Mutant("half", "half", number, 0, f"mutant {number}", 1) for number in range(4)]


def judged(codes: list[int], listed: tuple[int, ...] = (), whole: bool = False) -> dict[str, Any]:
    """Return the result when the mutants' processes end with these codes."""
    verdicts = Verdicts()
    for mutant, code in zip(FOUR, codes):
        verdicts.note(mutant, code)
    return judge(verdicts, {f"half | mutant {n}": "known" for n in listed}, whole, 40)


def test_what_is_counted() -> None:
    """Killed by a test, killed by a signal, survived; tried is the sum, whatever there is more."""
    result = judged([FAILED, -24, 0, FAILED], (2,))
    counted = ("possible", "tried", "killed", "by_time", "survived", "listed", "per_cent")
    assert [result[name] for name in counted] == [40, 4, 3, 1, 1, 1, 75.0]
    assert not result["failed"]
    assert told(result) == (
        "mutants: 4 of 40 tried: 3 killed (75.0 %; 1 of them by taking too long), "
        "1 survived, 1 of them listed\n"
    )


def test_what_fails_a_run() -> None:
    """A survivor that is not listed, one that is and was killed, one that was not tried at all."""
    cases: list[tuple[int, tuple[int, ...], str]] = [
        (0, (), "unlisted"),
        (FAILED, (1,), "listed_but_killed_or_gone"),
        (HARNESS, (), "could_not_be_tried"),
    ]
    for code, listed, name in cases:
        result = judged([FAILED, code], listed)
        assert result["failed"] and result[name] == ["half | mutant 1"]
        assert "half | mutant 1" in told(result)
    assert judged([FAILED, HARNESS])["tried"] == 1


def test_a_whole_run_asks_for_more() -> None:
    """Of a selection neither is known: whether one that is listed is gone, and the share of all."""
    assert not judged([FAILED], (3,))["failed"]
    assert judged([FAILED], (3,), whole=True)["listed_but_killed_or_gone"] == ["half | mutant 3"]
    assert not judged([FAILED, 0], (1,))["failed"]
    result = judged([FAILED, 0], (1,), whole=True)
    assert result["failed"] and "less than 95 % killed" in told(result)


def test_how_a_process_ends() -> None:
    """A failed test, anything else that goes wrong, too much time."""

    def fails() -> None:
        raise Failed("a test")

    def breaks() -> None:
        raise KeyError("no test")

    def hangs() -> None:
        allow(0.1)
        while True:
            pass

    assert forked(lambda: None) == 0
    assert forked(fails) == FAILED
    assert forked(breaks) == HARNESS
    assert forked(hangs) < 0


def test_which_tests_are_run(tmp_path: Path) -> None:
    """The killer of the last run first, then the module's own, then the quick ones; all of them.

    Only for a mutant that is known to survive a short trial is content with a few seconds of them.
    """
    reach = Reach(
        {"half half": ["core/test_slow.py::a", "core/test_half.py::b", "core/test_quick.py::c"]},
        {"core/test_slow.py::a": 9.0, "core/test_half.py::b": 1.0, "core/test_quick.py::c": 0.1},
    )

    def tests(seconds: float, listed: list[Mutant]) -> str:
        trial = Trial(FOUR, ("half",), tmp_path, seconds, 1, listed)
        return "".join(test[-1] for test in trial._tests(FOUR[0], reach))

    assert tests(60, []) == tests(0, FOUR) == "bca"
    assert tests(60, FOUR) == "bc"
    said = tmp_path / "said"
    said.write_text("core/test_slow.py::a", encoding="utf-8")
    killers = Killers(tmp_path / "killers.json")
    killers.note(FOUR[0], said)
    killers.save()
    assert tests(60, []) == "abc"
    assert not said.exists()


def test_every_listed_survivor_has_a_reason() -> None:
    listed = reasons()
    assert listed and all(len(reason) > 10 for reason in listed.values())
