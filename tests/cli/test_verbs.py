"""Every verb, every exit code."""

import json
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.conftest import NEW_SR, Relun, digest
from relun.core import verbs
from relun.core.errors import Refused
from support.builder import Built, Sr, Vhd, build, empty, plain_group


def test_resign_and_undo(relun: Relun, lun: str) -> None:
    """The whole way forth and back; the last line of each says what there is now."""
    before = digest(lun)
    run = relun("resign", lun, "--sr-uuid", NEW_SR)
    assert run.code == 0 and not run.err
    assert f"{lun}: resigned" in run.out
    assert f"-> {NEW_SR}" in run.out
    assert "5 flushes" in run.out
    assert f"xe sr-introduce uuid={NEW_SR} name-label='Büro' type=lvmoiscsi" in run.out
    assert digest(lun) != before
    assert "resigned by relun" in relun("inspect", lun).out
    run = relun("undo", lun)
    assert run.code == 0
    assert "byte for byte" in run.out
    assert digest(lun) == before
    assert "nothing to undo" in relun("undo", lun).out


@pytest.mark.parametrize("words", [("plan",), ("resign", "--dry-run")])
def test_plan_writes_nothing(relun: Relun, lun: str, words: tuple[str, ...]) -> None:
    """Also not to a file that may not be written to."""
    os.chmod(lun, stat.S_IRUSR)
    before = digest(lun)
    run = relun(*words, lun, "--sr-uuid", NEW_SR)
    assert run.code == 0
    assert "Nothing was written." in run.out
    assert NEW_SR in run.out
    assert digest(lun) == before


def test_plan_shows_more(relun: Relun, lun: str) -> None:
    """-v lists the edits, -vv their bytes."""
    assert "PV label" in relun("plan", lun).out
    run = relun("plan", lun, "-v")
    assert "           4096     512  metadata area header" in run.out
    assert "      old " not in run.out
    assert "      new " in relun("plan", lun, "-vv").out


def test_verify(relun: Relun, lun: str, tmp_path: Path) -> None:
    """Clean after a resign, code 4 when a byte differs."""
    original = tmp_path / "original.img"
    original.write_bytes(Path(lun).read_bytes())
    relun("resign", lun)
    run = relun("verify", lun, "--against", original)
    assert (run.code, run.out) == (0, f"{lun}: clean\n")
    with original.open("r+b") as file:
        file.seek(-8 * 1024 * 1024, os.SEEK_END)
        file.write(b"x")
    run = relun("verify", lun, "--against", original)
    assert run.code == 4
    assert "bytes-differ" in run.out
    run = relun("verify", lun, "--against", tmp_path / "none")
    assert run.code == 1
    assert "device-missing" in run.err


def test_seal(relun: Relun, lun: str) -> None:
    """Afterwards there is no way back."""
    relun("resign", lun)
    run = relun("seal", lun)
    assert run.code == 0 and "no undo any more" in run.out
    assert relun("undo", lun).code == 0
    assert "nothing to undo" in relun("undo", lun).out


def test_conflicts(relun: Relun, lun: str, bad: str, tmp_path: Path) -> None:
    """A copy is found, a resigned one is none any more; what cannot be read is told."""
    clone = tmp_path / "clone.img"
    clone.write_bytes(Path(lun).read_bytes())
    run = relun("conflicts", lun, clone, bad)
    assert run.code == 0
    assert "stands on 2 LUNs" in run.out
    assert str(clone) in run.out and bad not in run.out
    relun("resign", clone)
    assert relun("conflicts", lun, clone).out.startswith("no SR stands twice")
    run = relun("conflicts", lun, tmp_path / "none")
    assert run.code == 1
    assert "cannot be opened" in run.err


def test_conflicts_of_all_devices(relun: Relun, monkeypatch: pytest.MonkeyPatch, lun: str) -> None:
    """Without devices all of the host's are looked at; one that fails is no failure then."""
    monkeypatch.setattr("relun.core.sysfs.all_disks", lambda: [lun, "/dev/none"])
    run = relun("conflicts")
    assert run.code == 0
    assert "on the 1 LUNs looked at" in run.out
    assert "/dev/none" in run.err


def test_explain(relun: Relun) -> None:
    """One code in full, or all of them in a line each."""
    run = relun("explain", "vhd-footers", "sr-none")
    assert run.code == 0
    assert "vhd-footers: both footers of the VHD are unreadable\n  Neither" in run.out
    assert "(VG: <vg>)" in run.out
    listed = relun("explain").out.splitlines()
    assert listed[0].startswith("device-missing ")
    assert len(listed) > 80


@pytest.mark.parametrize("verb", ["inspect", "plan", "resign", "recover", "undo", "seal", "verify"])
def test_no_such_device(relun: Relun, verb: str, tmp_path: Path) -> None:
    """Every verb says so in the same words."""
    run = relun(verb, tmp_path / "none")
    assert run.code == 1
    assert not run.out
    assert "cannot be opened: No such file or directory" in run.err
    assert run.err.endswith("Nothing was changed.\n")


def test_refusal_changes_nothing(relun: Relun, bad: str) -> None:
    """What, where, and what to do; not one byte."""
    before = digest(bad)
    run = relun("resign", bad)
    assert run.code == 1
    assert digest(bad) == before
    assert "vhd-footers" in run.err
    assert "VHD-" in run.err and "at byte" in run.err
    assert "vhd-util repair" in run.err
    assert "Nothing was changed." in run.err


@pytest.mark.parametrize(
    ("shape", "code"), [("empty", "lun-empty"), ("plain", "sr-none"), ("twice", "sr-uuid-same")]
)
def test_refused_luns(relun: Relun, tmp_path: Path, shape: str, code: str) -> None:
    """LUNs that hold no SR, and an identity that is none."""
    path = tmp_path / "lun.img"
    words: tuple[str, ...] = ()
    if shape == "empty":
        empty(str(path))
    elif shape == "plain":
        build(plain_group(), path)
    else:
        words = ("--sr-uuid", build(Sr((Vhd("a"),)), path).sr_uuid)
    before = digest(path)
    run = relun("resign", path, *words)
    assert run.code == 1
    assert code in run.err
    assert digest(path) == before


def test_interrupted_and_recovered(
    relun: Relun, lun: str, break_off: Callable[[int], None], tmp_path: Path
) -> None:
    """A device that fails while the LUN is hidden: code 3 and the command that goes on."""
    whole = tmp_path / "whole.img"
    whole.write_bytes(Path(lun).read_bytes())
    relun("resign", whole, "--sr-uuid", NEW_SR)
    break_off(6)
    run = relun("resign", lun, "--sr-uuid", NEW_SR)
    assert run.code == 3
    assert "The LUN is in progress" in run.err
    assert f"relun recover {lun}" in run.err
    assert "write failed: Input/output error" in run.err
    break_off(-1)
    assert "IN PROGRESS" in relun("inspect", lun).out
    for verb in ("plan", "resign", "seal"):
        run = relun(verb, lun)
        assert run.code == 3, verb
        assert f"relun recover {lun}" in run.err
    run = relun("recover", lun)
    assert run.code == 0 and "recovered" in run.out
    assert digest(lun) == digest(whole)
    assert "nothing to recover" in relun("recover", lun).out


def test_failure_before_the_lun_is_hidden(
    relun: Relun, lun: str, break_off: Callable[[int], None]
) -> None:
    """A device that fails at once: nothing was changed, and code 1 says so."""
    before = digest(lun)
    break_off(0)
    run = relun("resign", lun)
    assert run.code == 1
    assert run.err.endswith("Nothing was changed.\n")
    assert digest(lun) == before


def test_several_srs(relun: Relun, lun: str, bad: str, tmp_path: Path) -> None:
    """One failure does not stop the rest; one JSON object each when nobody looks."""
    clone = tmp_path / "clone.img"
    clone.write_bytes(Path(lun).read_bytes())
    run = relun("resign", lun, bad, clone)
    assert run.code == 1
    assert [found["exit"] for found in run.objects] == [0, 1, 0]
    assert [found["devices"][0]["path"] for found in run.objects] == [lun, bad, str(clone)]
    run = relun("undo", lun, bad, clone, "--text")
    assert run.out.count("undone") == 2
    assert "nothing to undo" in run.out


def test_several_luns_of_one_sr(relun: Relun, two_pvs: Built, lun: str) -> None:
    """LUNs of one VG are found to belong together, in any order, between other targets."""
    one, two = two_pvs.paths
    before = digest(one, two)
    run = relun("resign", two, lun, one, "--text")
    assert run.code == 0, run.err
    assert f"{two} + {one}: resigned" in run.out
    run = relun("undo", one, two)
    assert run.code == 0 and f"{one} + {two}: undone" in run.out
    assert digest(one, two) == before


def test_a_missing_pv(relun: Relun, two_pvs: Built) -> None:
    """It is named with its uuid and where LVM saw it last."""
    run = relun("resign", two_pvs.paths[0])
    assert run.code == 1
    assert "pv-missing" in run.err
    assert two_pvs.pv_uuids[1] in run.err
    assert "/dev/disk/by-id/" in run.err


def test_members_of_an_interrupted_run(
    relun: Relun, two_pvs: Built, lun: str, break_off: Callable[[int], None]
) -> None:
    """They come together again by their markers, whatever point was reached."""
    one, two = two_pvs.paths
    before = digest(one, two)
    for writes in range(3, 12):
        break_off(writes)
        code = relun("resign", one, two).code
        break_off(-1)
        if code == 3:
            run = relun("undo", two, lun, one, "--text")
            assert run.code == 0, run.err
            assert f"{two} + {one}: undone" in run.out
        elif code == 1:  # not hidden yet, but the journal could not be taken away
            assert relun("undo", one, two).code == 0
        assert digest(one, two) == before


def test_map_round_trip(relun: Relun, lun: str, tmp_path: Path) -> None:
    """What --map-out saved gives the same clone by --map, as JSON and as lines."""
    copies = [tmp_path / f"{name}.img" for name in ("a", "b", "c")]
    for copy in copies:
        copy.write_bytes(Path(lun).read_bytes())
    saved, lines = tmp_path / "ids.json", tmp_path / "ids.txt"
    assert relun("resign", copies[0], "--map-out", saved).code == 0
    ids = json.loads(saved.read_text())
    assert len(ids) > 8
    pairs = [f"{old} {new}  # comment" for old, new in ids.items()]
    lines.write_text("# old new\n\n" + "\n".join(pairs) + "\n")
    for copy, file in zip(copies[1:], (saved, lines), strict=True):
        run = relun("resign", copy, "--map", file)
        assert run.code == 0, run.err
    assert len(set(digest(*copies))) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "JSON"),
        ('{"a": 1}', "must be a string"),
        ("a b c", "line 1"),
        ("a b\na c", "line 2"),
        (None, "No such file"),
    ],
)
def test_unreadable_map(
    relun: Relun, lun: str, tmp_path: Path, text: str | None, reason: str
) -> None:
    """It is refused with the reason."""
    file = tmp_path / "ids"
    if text is not None:
        file.write_text(text)
    before = digest(lun)
    run = relun("resign", lun, "--map", file)
    assert run.code == 1
    assert "cannot be read" in run.err and reason.lower().replace("json", "expecting") in (
        run.err.lower()
    )
    assert "[Errno" not in run.err
    assert digest(lun) == before


def test_map_that_names_what_is_not_there(relun: Relun, lun: str, tmp_path: Path) -> None:
    """A typing error must not leave an id to chance."""
    file = tmp_path / "ids"
    file.write_text("11111111-1111-4111-8111-111111111111 22222222-2222-4222-8222-222222222222")
    run = relun("plan", lun, "--map", file)
    assert run.code == 1 and "map-unused" in run.err


def test_map_out_that_cannot_be_written(relun: Relun, lun: str, tmp_path: Path) -> None:
    """It is found out before anything is changed."""
    before = digest(lun)
    run = relun("resign", lun, "--map-out", tmp_path / "none" / "ids")
    assert run.code == 1
    assert "map-unwritable" in run.err
    assert digest(lun) == before


def test_map_out_that_fails_late(
    relun: Relun, lun: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The LUN has its new identity then: that is what the exit code tells, with a warning."""
    monkeypatch.setattr("relun.cli.asked.check_writable", lambda path: None)
    run = relun("resign", lun, "--map-out", tmp_path / "none" / "ids")
    assert run.code == 0
    assert "map-unwritable" in run.out


def test_label(relun: Relun, lun: str) -> None:
    """Names by a pattern."""
    assert relun("resign", lun, "--label", "{name} of {sr} {date}").code == 0
    names = {
        image["name"] for image in relun("inspect", lun, "--json").object["repository"]["images"]
    }
    assert any(name.startswith("système of Büro 20") for name in names)


def test_drop_snapshots(relun: Relun, lun: str) -> None:
    """What goes is listed."""
    run = relun("resign", lun, "--drop-snapshots")
    assert run.code == 0
    assert "dropped: " in run.out
    assert (
        "snapshot"
        not in relun("inspect", lun).out.partition("findings")[0].partition("3 images")[2]
    )


def test_guards(relun: Relun, lun: str, bad: str, tmp_path: Path) -> None:
    """--original and --expect-serial refuse what does not fit, and let through what does."""
    clone = tmp_path / "clone.img"
    clone.write_bytes(Path(lun).read_bytes())
    before = digest(clone)
    for words, code in (
        (("--original", str(clone)), "original-same"),
        (("--original", bad), "original-differs"),
        (("--original", str(tmp_path / "none")), "device-missing"),
        (("--expect-serial", "abc"), "serial-differs"),
    ):
        run = relun("resign", clone, *words)
        assert run.code == 1
        assert code in run.err
    assert digest(clone) == before
    assert relun("resign", clone, "--original", lun).code == 0


def test_signal_before_the_lun_is_hidden(
    relun: Relun, lun: str, bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The resign is taken back, and what has not begun is left alone."""
    before = digest(lun, bad)
    resign = verbs.resign

    def interrupted(devices, options, cancelled):  # type: ignore[no-untyped-def]
        os.kill(os.getpid(), signal.SIGINT)
        return resign(devices, options, cancelled)

    monkeypatch.setattr(verbs, "resign", interrupted)
    run = relun("resign", lun, bad, "--text")
    assert run.code == 1
    assert "stopped on request" in run.err
    assert "not begun, because SIGINT came" in run.err
    assert run.err.count("Nothing was changed.") == 2
    assert digest(lun, bad) == before


def test_signal_too_late(relun: Relun, lun: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the hiding on it is finished first; afterwards signals work as before."""
    resign = verbs.resign

    def interrupted(devices, options, cancelled):  # type: ignore[no-untyped-def]
        outcome = resign(devices, options, cancelled)
        os.kill(os.getpid(), signal.SIGTERM)
        return outcome

    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(verbs, "resign", interrupted)
    run = relun("resign", lun)
    assert run.code == 0
    assert "SIGTERM came while the LUN was being changed; this was finished first" in run.out
    assert signal.getsignal(signal.SIGTERM) == handler


def test_stopped_while_reading(relun: Relun, lun: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while nothing is written."""

    def stopped(_devices: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(verbs, "inspect", stopped)
    run = relun("inspect", lun)
    assert (run.code, run.err) == (1, "relun: stopped; nothing was changed\n")


@pytest.mark.parametrize(("writes", "code"), [(0, 1), (9, 3)])
def test_error_in_relun_itself(
    relun: Relun, lun: str, monkeypatch: pytest.MonkeyPatch, writes: int, code: int
) -> None:
    """The LUN itself is asked whether it was changed."""
    from relun.core.device import FileDevice

    write = FileDevice._write
    left = [writes]

    def broken(device: FileDevice, offset: int, data: bytes) -> None:
        if left[0] == 0:
            raise RuntimeError("a bug")
        left[0] -= 1
        write(device, offset, data)

    monkeypatch.setattr(FileDevice, "_write", broken)
    run = relun("resign", lun, "-v")
    assert run.code == code
    assert "an error in relun itself: RuntimeError('a bug')" in run.err
    assert "Traceback" in run.err


def test_every_verb_is_one_call(relun: Relun, lun: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line decides nothing of its own: what core refuses is refused."""

    def refuse(*_anything: object) -> None:
        raise Refused("undo-gone", device="it")

    for verb in ("inspect", "plan", "resign", "recover", "undo", "seal", "verify"):
        monkeypatch.setattr(verbs, verb, refuse)
        run = relun(verb, lun)
        assert run.code == 1 and "there is nothing to undo with" in run.err
