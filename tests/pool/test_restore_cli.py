"""The command line of restore-vm and test-dr: exit codes, text, JSON, the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import test_json
from pool.originals import Scene, as_before, staged
from relun.cli import schema
from relun.cli.main import execute
from relun.cli.pool import schema_vms
from remote.servers import Tgt
from xapi.server import PASSWORD


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, tgt: Tgt) -> Iterator[Scene]:
    yield from staged(tmp_path_factory.mktemp("stage"), tgt)


@pytest.fixture
def there(stage: Scene, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setenv("RELUN_POOL", stage.site.url)
    monkeypatch.setenv("RELUN_POOL_PASSWORD", PASSWORD)
    yield from as_before(stage)
    assert stage.site.sessions == []


@pytest.fixture(autouse=True)
def _schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the check of JSON know the objects of these verbs."""
    types: dict[str, type] = {**test_json.TYPES, "float": float}
    monkeypatch.setattr(test_json, "TYPES", types)
    monkeypatch.setattr(test_json, "OBJECTS", {**schema.OBJECTS, **schema_vms.OBJECTS})
    monkeypatch.setattr(test_json, "OPTIONAL", {**schema.OPTIONAL, **schema_vms.OPTIONAL})


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def restore(there: Scene, *words: str, vm: str = "files") -> int:
    return execute(["pool", "restore-vm", vm, "--from", there.clone.sr_uuid, *words])


def test_restore_says_what_it_made(there: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert restore(there, "--name", "files, yesterday") == 0
    shown = capsys.readouterr().out
    (vm,) = there.site.pool.db.find("VM", name_label="files, yesterday")
    uuid = there.record("VM", vm)["uuid"]
    assert "files, yesterday: restored" in shown
    assert f"xe vm-start uuid={uuid}" in shown
    for name in list(there.vdis)[:2]:
        old, new = there.vdis[name], there.copy_of(name)
        line = f"{there.record('VDI', old)['uuid']} -> {there.record('VDI', new)['uuid']}"
        assert line in shown
    assert "pool-parts-left-out" in shown
    assert restore(there) == 0
    assert "files, yesterday: there already" in capsys.readouterr().out


def test_restore_as_json(there: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert restore(there, "--json", "--start") == 0
    *events, result = objects(capsys.readouterr().out)
    assert {"VM.create", "VBD.create", "VIF.create", "VM.start"} <= {
        event["step"] for event in events if event["event"] == "done"
    }
    test_json.check(result, "restored")
    assert (result["verb"], result["exit"], result["already"]) == ("pool restore-vm", 0, False)
    assert result["vm"]["started"] is True
    assert len(result["vm"]["disks"]) == 2
    assert result["notes"][0]["code"] == "pool-parts-left-out"


def test_refused_and_unfinished(there: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    before = there.site.snapshot()
    assert restore(there, vm="nobody") == 1
    error = capsys.readouterr().err
    assert "the pool has no VM nobody" in error
    assert "Nothing was changed." in error
    there.site.fail("VBD.create")
    assert restore(there) == 1
    assert "VBD.create failed" in capsys.readouterr().err
    assert there.site.snapshot() == before
    there.site.fail("VBD.create")
    there.site.fail("VM.destroy", times=0)
    assert restore(there) == 3
    error = capsys.readouterr().err
    assert "What stands, and could not be taken back:" in error
    assert "VM files (copy of " in error


def test_what_does_not_go_together(there: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (("--network", "LAN", "--connect-nics"), "one of them"),
        (("--swap-disk", "a", "--swap-back", "b"), "one of them"),
        (("--swap-disk", "a", "--start"), "--start: a swap makes no new VM"),
        (("--swap-back", "a", "--keep-mac"), "--keep-mac: a swap makes no new VM"),
    ):
        with pytest.raises(SystemExit) as caught:
            restore(there, *words)
        assert caught.value.code == 2
        assert said in capsys.readouterr().err


def test_swap_tells_the_way_back(there: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    before = there.site.snapshot()
    old = there.record("VDI", list(there.vdis.values())[1])["uuid"]
    assert restore(there, "--swap-disk", old) == 0
    shown = capsys.readouterr().out
    assert "files: disk 1 swapped" in shown
    command = shown.strip().splitlines()[-1].split()
    assert command[:3] == ["relun", "pool", "restore-vm"]
    assert execute(command[1:]) == 0
    capsys.readouterr()
    assert there.site.snapshot()["VDI"].keys() == before["VDI"].keys()
    places = {vbd["userdevice"]: vbd["VDI"] for vbd in there.parts("VBD", there.vm)}
    assert places["1"] == list(there.vdis.values())[1]
    assert restore(there, "--json", "--swap-back", old) == 0
    (result,) = objects(capsys.readouterr().out)
    test_json.check(result, "restored")
    assert result["already"] is True
    assert result["swapped"]["now"] == old


def plan(there: Scene, folder: Path, **more: str) -> str:
    """Write a plan for the clone, which is attached already."""
    file = folder / "plan.toml"
    extra = "".join(f"{key} = {value}\n" for key, value in more.items())
    file.write_text(
        f'title = "<b>office</b>"\npool = "{there.site.url}"\n'
        f'[[clone]]\ntarget = "{there.clone_lun.address}"\n[[vm]]\nvm = "files"\n{extra}',
        encoding="utf-8",
    )
    return str(file)


def test_dr_with_a_page(
    there: Scene,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RELUN_POOL")  # the plan says which
    page = tmp_path / "report.html"
    assert execute(["pool", "test-dr", plan(there, tmp_path), "--html", str(page)]) == 0
    shown = capsys.readouterr().out
    assert "<b>office</b>: passed, everything came up" in shown
    assert f"kept: SR {there.clone.name}" in shown
    text = page.read_text(encoding="utf-8")
    assert "<h1>&lt;b&gt;office&lt;/b&gt;</h1>" in text
    assert there.clone.sr_uuid in text


def test_dr_as_json(there: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there.site.guest("files", agent=None)
    try:
        assert execute(["pool", "test-dr", plan(there, tmp_path, timeout="1"), "--json"]) == 4
    finally:
        there.site.guest("files", agent=0.0)
    *events, result = objects(capsys.readouterr().out)
    assert {"VM.create", "wait", "VM.destroy"} <= {event["step"] for event in events}
    test_json.check(result, "dr-test")
    assert (result["exit"], result["passed"], result["clean"]) == (4, False, True)
    assert result["vms"][0]["error"]["code"] == "pool-not-up"
    assert result["clones"][0]["before"] is True


def test_dr_that_leaves_something(
    there: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there.site.fail("VM.destroy", times=0)
    assert execute(["pool", "test-dr", plan(there, tmp_path)]) == 3
    shown = capsys.readouterr().out
    assert "passed, everything came up; something is left behind" in shown
    assert "Left behind:\n  VM files (copy of " in shown


def test_dr_that_never_begins(
    there: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = there.site.snapshot()
    assert execute(["pool", "test-dr", str(tmp_path / "none.toml")]) == 1
    assert "No such file or directory" in capsys.readouterr().err
    words = ["pool", "test-dr", plan(there, tmp_path, tiemout="3"), "--json"]
    assert execute(words) == 1
    (result,) = objects(capsys.readouterr().out)
    assert result["error"]["code"] == "pool-plan"
    assert "tiemout is not known" in result["error"]["title"]
    with pytest.raises(SystemExit) as caught:
        execute(["pool", "test-dr", plan(there, tmp_path), "--html", "/nowhere/report.html"])
    assert caught.value.code == 2
    assert there.site.snapshot() == before


def test_dr_whose_page_cannot_be_saved(
    there: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The test is over by then: the report is shown, and the exit code is not 0."""
    full = "/dev/full"
    if not Path(full).exists():
        pytest.skip("no /dev/full")
    link = tmp_path / "report.html"
    link.symlink_to(full)
    words = ["pool", "test-dr", plan(there, tmp_path), "--html", str(link)]
    assert execute(words) == 1
    shown = capsys.readouterr()
    assert "passed, everything came up" in shown.out
    assert "No space left on device" in shown.err
