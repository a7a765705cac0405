"""``relun pool`` as a user calls it: exit codes, text, JSON, passwords, signals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli import test_json
from cli.conftest import Relun, terminal
from cli.conftest import relun as relun
from pool.originals import login
from pool.site import PoolLun, PoolSite
from relun.cli import schema
from relun.cli.pool import parser
from relun.cli.pool import schema as pool_schema
from relun.pool.attach import attach
from remote.servers import await_true
from xapi.server import PASSWORD

NEW_SR = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(autouse=True)
def _schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the check of JSON know the objects of the pool's verbs."""
    types: dict[str, type] = {**test_json.TYPES, "float": float}
    monkeypatch.setattr(test_json, "TYPES", types)
    monkeypatch.setattr(test_json, "OBJECTS", {**schema.OBJECTS, **pool_schema.OBJECTS})
    monkeypatch.setattr(test_json, "OPTIONAL", {**schema.OPTIONAL, **pool_schema.OPTIONAL})


@pytest.fixture
def site(make_pool_site: Callable[..., PoolSite], monkeypatch: pytest.MonkeyPatch) -> PoolSite:
    """A pool of two hosts that the environment names."""
    made = make_pool_site(hosts=2)
    monkeypatch.setenv("RELUN_POOL", made.url)
    monkeypatch.setenv("RELUN_POOL_PASSWORD", PASSWORD)
    return made


@pytest.fixture
def clone(site: PoolSite) -> PoolLun:
    """The clone of an SR that the pool has."""
    original = site.lun("single")
    site.attach(original, "files")
    return site.clone(original)


def checked(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Hold every line against the schema; return the results."""
    kinds = {
        "pool attach": "attached",
        "pool detach": "detached",
        "pool conflicts": "pool-conflicts",
    }
    results = []
    for each in objects:
        if "event" in each:
            test_json.check(each, "event")
            continue
        kind = "pool-failure" if "subject" in each else kinds[each["verb"]]
        test_json.check(each, kind)
        results.append(each)
    return results


def test_from_a_clone_to_an_sr_and_back(relun: Relun, site: PoolSite, clone: PoolLun) -> None:
    """conflicts, attach, attach again, detach, detach again: text and exit codes."""
    before = site.snapshot()
    run = relun("pool", "conflicts", clone.typed)
    assert run.code == 0
    assert "clone" in run.out
    assert clone.scsi_id in run.out
    assert "nobody looked at the LUNs of host1, host2: no plugin" in run.err
    run = relun("pool", "attach", clone.typed, "--sr-uuid", NEW_SR, "--name", "last night")
    assert (run.code, run.err) == (0, "")
    old_sr, old_vdi = (next(iter(before[kind].values()))["uuid"] for kind in ("SR", "VDI"))
    assert f"SR   {old_sr} -> {NEW_SR}  last night" in run.out
    assert f"VDI  {old_vdi} -> " in run.out
    assert "plugged on host1, host2" in run.out
    assert re.search(r"\d\.\d\d s: \d\.\d\d s in \d+ calls of the pool, .* round trips", run.out)
    run = relun("pool", "attach", clone.typed)
    assert (run.code, "attached already" in run.out) == (0, True)
    run = relun("pool", "detach", "last night")
    assert run.code == 0
    assert "its LUN may be deleted on the array" in run.out
    assert clone.scsi_id in run.out
    run = relun("pool", "detach", NEW_SR)
    assert (run.code, "nothing to do" in run.out) == (0, True)
    assert site.snapshot() == before
    assert site.sessions == []


def test_results_and_events(relun: Relun, site: PoolSite, clone: PoolLun) -> None:
    """Events, then the result; each as the schema says."""
    run = relun("pool", "conflicts", "--json", clone.typed)
    (found,) = checked(run.objects)
    assert [copy["role"] for copy in found["conflicts"][0]["copies"]] == ["clone"]
    run = relun("pool", "attach", "--json", clone.typed)
    (result,) = checked(run.objects)
    assert run.objects[-1] == result
    assert (result["exit"], result["target"]) == (0, clone.address)
    events = [each for each in run.objects if "event" in each]
    assert len(events) > 20
    assert {each["work"] for each in events} == {clone.address}
    run = relun("pool", "detach", "--json", result["new_sr"])
    assert checked(run.objects)[0]["scsi_ids"] == [clone.scsi_id]


def test_errors(relun: Relun, site: PoolSite, clone: PoolLun) -> None:
    """1: as it was; 3: something stands, and it is named. In words and as JSON."""
    site.fail("SR.scan", code=("SR_BACKEND_FAILURE_40", "", "The SR scan failed", ""))
    run = relun("pool", "attach", clone.typed)
    assert run.code == 1
    assert "SR.scan failed: SR_BACKEND_FAILURE_40 The SR scan failed" in run.err
    assert "Nothing was changed." in run.err
    site.fail("SR.scan")
    site.fail("SR.forget", times=0)
    run = relun("pool", "attach", "--json", clone.typed)
    assert run.code == 3
    (failure,) = checked(run.objects)
    assert failure["exit"] == 3
    assert failure["error"]["code"] == "pool-standing"
    assert failure["error"]["cause"]["code"] == "pool-call"
    standing = failure["error"]["standing"]
    assert any(line.startswith("SR ") for line in standing)
    run = relun("pool", "attach", clone.typed, "--name", "x")  # the SR is there: nothing to fail
    assert run.code == 0
    run = relun("pool", "detach", "x" * 8)
    assert (run.code, "pool-sr-missing" in run.err) == (1, True)
    site.mend()
    site.fail("SR.forget", times=0)
    run = relun("pool", "detach", next(vdi for vdi in _srs(site) if vdi != _original(site)))
    assert run.code == 3
    assert "What stands, and could not be taken back" in run.err
    assert "a PBD on host1" in run.err


def _srs(site: PoolSite) -> list[str]:
    return [sr["uuid"] for sr in site.snapshot()["SR"].values()]


def _original(site: PoolSite) -> str:
    (found,) = (sr["uuid"] for sr in site.snapshot()["SR"].values() if sr["name_label"] == "files")
    return str(found)


def test_a_host_that_is_down(relun: Relun, site: PoolSite, clone: PoolLun) -> None:
    """detach says which, what stands, and what to do; the second time too."""
    assert relun("pool", "attach", clone.typed, "--sr-uuid", NEW_SR).code == 0
    site.power_off(site.pool.hosts[1])
    for _time in range(2):
        run = relun("pool", "detach", NEW_SR)
        assert run.code == 3
        assert "SR still plugged on host2: down" in run.err
        assert "xe host-forget" in run.err
        assert "         a PBD on host1\n         plugged on host2\n" in run.err
        assert "Nothing was changed" not in run.err


def test_the_address_is_told_once(relun: Relun, site: PoolSite) -> None:
    """Where the words name the LUN themselves; else before them."""
    original = site.lun("single")
    site.attach(original)
    clone = site.clone(original)
    run = relun("pool", "attach", original.typed)
    assert (run.code, run.err.count(original.address)) == (1, 1)
    site.fail("SR.introduce")
    run = relun("pool", "attach", clone.typed)
    assert run.err.startswith(f"relun: {clone.address}: SR.introduce failed: ")


def test_many(relun: Relun, site: PoolSite, clone: PoolLun) -> None:
    """Each has its result, a bad one stops no other; the worst exit code counts."""
    others = [site.clone(clone) for _number in range(2)]
    words = [clone.typed, "iscsi://127.0.0.1:1/iqn.a/1", others[0].typed]
    run = relun("pool", "attach", *words, "--parallel", "2")
    assert run.code == 1
    assert "2 of 3 attached" in run.out
    assert "iscsi://127.0.0.1:1/iqn.a/1: " in run.err
    run = relun("pool", "attach", "--json", others[1].typed, "iscsi://127.0.0.1:1/iqn.a/1")
    good, bad = checked(run.objects)
    assert (good["exit"], bad["exit"]) == (0, 1)
    assert bad["subject"] == "iscsi://127.0.0.1:1/iqn.a/1"


def test_unknown_origin(relun: Relun, site: PoolSite) -> None:
    """--yes is asked for where nothing proves that the LUN is a copy."""
    lun = site.lun("single")
    run = relun("pool", "attach", lun.typed)
    assert (run.code, "pool-origin" in run.err, "--yes" in run.err) == (1, True, True)
    assert lun.unchanged()
    assert relun("pool", "attach", lun.typed, "--yes").code == 0


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("frobnicate",),
        ("attach",),
        ("attach", "/dev/sda"),
        ("attach", "36f47acc1", "--via-plugin", "--parallel", "0"),
        ("attach", "iscsi://a/iqn.a/1", "iscsi://a/iqn.a/2", "--name", "x"),
        ("attach", "iscsi://a/iqn.a/1", "iscsi://a/iqn.a/2", "--sr-uuid", NEW_SR),
        ("detach",),
        ("conflicts", "--pool", "ftp://pool"),
        ("conflicts", "--pool", "https://root@pool"),
        ("conflicts", "--pool", "http://pool"),
        ("conflicts", "--pool", "http://127.0.0.1.example.org"),
        ("conflicts", "--ca", "/"),
        ("conflicts", "--ca", "/nowhere"),
        ("conflicts", "--pool-password-file", "/nowhere"),
    ],
)
def test_wrong_usage(relun: Relun, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    """Code 2, and nothing is begun."""
    monkeypatch.setenv("RELUN_POOL", "https://127.0.0.1:1")
    monkeypatch.setenv("RELUN_POOL_PASSWORD", "x")
    run = relun("pool", *words)
    assert (run.code, run.out) == (2, "")
    assert run.err.startswith("usage: relun pool")


def test_help(relun: Relun) -> None:
    """Of the verbs, and of each."""
    shown = relun("pool", "--help").out
    assert [verb for verb in parser.VERBS if f"\n  {verb} " not in shown] == []
    assert "\n  pool " in relun("--help").out
    for verb in parser.VERBS:
        run = relun("pool", verb, "--help")
        assert (run.code, f"usage: relun pool {verb}" in run.out) == (0, True)
        assert "--pool URL" in run.out


def test_explain(relun: Relun) -> None:
    """Codes of the pool as all others."""
    run = relun("explain", "pool-busy")
    assert (run.code, "--take-over" in run.out) == (0, True)
    assert "pool-host-lun" in relun("explain").out


# --- where the password comes from


def test_password_file(
    relun: Relun, site: PoolSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the environment; not one that everybody may read."""
    monkeypatch.setenv("RELUN_POOL_PASSWORD", "wrong")
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    file.chmod(0o600)
    where = ("--pool-password-file", file)
    assert relun("pool", "conflicts", *where, "--user", "root").code == 0
    run = relun("pool", "conflicts", *where, "--user", "nobody")
    assert (run.code, "pool-login" in run.err) == (1, True)
    file.chmod(0o604)
    run = relun("pool", "conflicts", *where)
    assert (run.code, "everybody may read it" in run.err) == (2, True)
    assert PASSWORD not in run.err


def test_password_prompt(relun: Relun, site: PoolSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal; without one it is an error of usage."""
    monkeypatch.delenv("RELUN_POOL_PASSWORD")
    run = relun("pool", "conflicts")
    assert (run.code, "RELUN_POOL_PASSWORD" in run.err) == (2, True)
    asked: list[str] = []

    def answer(prompt: str, _stream: object) -> str:
        asked.append(prompt)
        return PASSWORD

    monkeypatch.setattr("getpass.getpass", answer)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    terminal(monkeypatch, "stderr")
    monkeypatch.setenv("RELUN_POOL_USER", "root")
    assert relun("pool", "conflicts").code == 0
    assert asked == [f"password of root at {site.url}: "]


def test_https_is_the_default(
    relun: Relun, make_pool_site: Callable[..., PoolSite], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verified, unless told otherwise."""
    site = make_pool_site(hosts=1, tls=True)
    monkeypatch.setenv("RELUN_POOL_PASSWORD", PASSWORD)
    where = ("--pool", site.url.partition("://")[2])
    run = relun("pool", "conflicts", *where)
    assert (run.code, "pool-certificate" in run.err, "--insecure" in run.err) == (1, True, True)
    assert relun("pool", "conflicts", *where, "--ca", site.ca).code == 0
    assert relun("pool", "conflicts", *where, "--insecure").code == 0
    assert site.sessions == []


def test_chap_passwords_are_never_shown(relun: Relun, site: PoolSite) -> None:
    """Not in results, not in events, not in errors; but the hosts get them."""
    site.attach(site.lun("single"))
    clone = site.export(site.lun("single").file, chap=("alice", "wonderland12"))
    for words in (("--json",), ("-v",)):
        run = relun("pool", "attach", clone.typed, *words)
        assert run.code == 0
        assert "wonderland12" not in run.out + run.err
        assert clone.address in run.out
    wrong = clone.typed.replace("wonderland12", "looking-glass")
    with login(site) as connection:
        sr = attach(connection, clone.typed).sr_uuid
    assert relun("pool", "detach", sr).code == 0
    run = relun("pool", "attach", wrong)
    assert run.code == 1
    assert "looking-glass" not in run.out + run.err
    run = relun("pool", "attach", clone.typed.replace("iscsi:", "iscs:"))
    assert (run.code, "wonderland12" in run.out + run.err) == (1, False)
    assert clone.address.replace("iscsi:", "iscs:") in run.err


@pytest.mark.parametrize("call", ["SR.probe", "PBD.create", "PBD.plug"])
@pytest.mark.parametrize("words", [("--json",), ("-v",)], ids=str)
def test_chap_passwords_in_answers(
    relun: Relun, site: PoolSite, call: str, words: tuple[str, ...]
) -> None:
    """SM's words may have the password in them: those of a traceback, of a command that failed."""
    site.attach(site.lun("single"))
    clone = site.export(site.lun("single").file, chap=("alice", "wonderland12"))
    said = "iscsiadm -v wonderland12 failed"
    site.fail(call, code=("SR_BACKEND_FAILURE", "non-zero exit", "", said))
    run = relun("pool", "attach", clone.typed, *words)
    assert run.code == 1
    assert "wonderland12" not in run.out + run.err
    assert "iscsiadm -v … failed" in (run.out + run.err).replace("\\u2026", "…")


# --- what is seen while it works


def test_progress_on_a_terminal(
    relun: Relun, site: PoolSite, clone: PoolLun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps with their times; of several clones one line that counts."""
    terminal(monkeypatch, "stderr")
    other = site.clone(clone)
    run = relun("pool", "attach", clone.typed)
    assert re.search(r"\r\x1b\[K\S+: PBD\.plug host2  \(\d+\.\d s\)\n", run.err)
    assert run.err.endswith("\n")
    site.fail("SR.scan")
    third = site.clone(other)
    run = relun("pool", "attach", other.typed, third.typed)
    assert "\r\x1b[K[0/2] " in run.err
    assert "\r\x1b[K[1/2] " in run.err
    assert "SR.scan" in run.err
    assert run.code == 1


def test_nothing_is_told_to_a_pipe(relun: Relun, site: PoolSite, clone: PoolLun) -> None:
    """Unless -v asks for it."""
    assert relun("pool", "attach", clone.typed).err == ""
    run = relun("pool", "attach", clone.typed, "-v")
    assert "look" in run.err
    assert "\x1b" not in run.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_takes_back(site: PoolSite, clone: PoolLun, number: int) -> None:
    """The step that runs ends; then all is taken back, and it says so."""
    before = site.snapshot()
    reached, goes_on = threading.Event(), threading.Event()

    def wait(call: Any) -> None:
        if call.name == "PBD.plug":
            reached.set()
            goes_on.wait(20)

    site.pool.faults.watch(wait)
    with subprocess.Popen(
        [sys.executable, "-m", "relun", "pool", "attach", clone.typed],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": "src"},
    ) as process:
        assert reached.wait(20)
        process.send_signal(number)
        goes_on.set()
        _out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "pool-stopped" in err
    assert "Nothing was changed." in err
    assert site.snapshot() == before
    assert clone.unchanged()
    assert site.sessions == []


def test_a_signal_while_logging_in(site: PoolSite) -> None:
    """A pool that does not answer does not keep anybody waiting."""
    hung = site.hang("session.login_with_password")
    with subprocess.Popen(
        [sys.executable, "-m", "relun", "pool", "conflicts"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": "src"},
    ) as process:
        assert hung.reached.wait(20)
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (1, "relun: stopped; nothing was changed\n")


def _started(*words: str) -> subprocess.Popen[str]:
    """Run ``relun pool`` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "relun", "pool", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": "src"},
    )


@pytest.mark.parametrize("words", [(), ("--json",), ("another",)], ids=str)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_call_hangs(
    site: PoolSite, clone: PoolLun, words: tuple[str, ...], number: signal.Signals
) -> None:
    """What is waited for is told at once, and once; then all is taken back."""
    before = site.snapshot()
    hung = site.hang("PBD.plug", at=2)
    others = [site.clone(clone).typed, "--parallel", "1"] if "another" in words else []
    options = [word for word in words if word != "another"]
    with _started("attach", clone.typed, *others, *options) as process:
        assert hung.reached.wait(20)
        process.send_signal(number)
        assert process.stderr is not None
        said = process.stderr.readline()  # while it hangs
        step = f"{clone.address}: PBD.plug host2"
        assert said == f"relun: {number.name}: stops when this has ended: {step}\n"
        process.send_signal(number)
        assert process.poll() is None
        site.mend()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "stops when" not in err
    assert "pool-" in out + err
    assert site.snapshot() == before
    assert site.sessions == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_nothing_is_changed(site: PoolSite, number: signal.Signals) -> None:
    """It ends conflicts at once, though a call hangs, and the session is closed."""
    hung = site.hang("SR.get_all_records")
    with _started("conflicts") as process:
        assert hung.reached.wait(20)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "")
    assert err == "relun: stopped; nothing was changed\n"
    assert site.sessions == []


def test_killed_and_run_again(site: PoolSite, clone: PoolLun, relun: Relun) -> None:
    """Whatever stood: the same command goes on from there, though nothing was given back."""
    reached, goes_on = threading.Event(), threading.Event()

    def wait(call: Any) -> None:
        if call.name == "PBD.plug":
            reached.set()
            goes_on.wait(20)

    site.pool.faults.watch(wait)
    with subprocess.Popen(
        [sys.executable, "-m", "relun", "pool", "attach", clone.typed],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": "src"},
    ) as process:
        assert reached.wait(20)
        process.kill()
        process.wait()
    goes_on.set()
    site.mend()
    assert len(site.sessions) == 1
    assert not clone.unchanged()
    record = next(iter(site.snapshot()["pool"].values()))
    assert list(record["other_config"]) == ["relun-lun-" + clone.scsi_id]
    await_true(lambda: not _working(site), "the plug does not end")
    run = relun("pool", "attach", "--json", clone.typed)
    assert run.code == 0
    (result,) = checked(run.objects)
    assert result["hosts"] == ["host1", "host2"]
    assert not next(iter(site.snapshot()["pool"].values()))["other_config"]


def _working(site: PoolSite) -> bool:
    return any(sr["current_operations"] for sr in site.snapshot()["SR"].values())


def test_other_verbs_load_nothing_of_it(tmp_path: Path) -> None:
    """Start-up time is part of the product."""
    code = (
        "import sys; from relun.cli.main import execute; execute(['inspect', '/nowhere']);"
        "print(json.dumps([m for m in sys.modules if 'pool' in m or m == 'XenAPI']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", "import json; " + code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": "src"},
    )
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_all_luns_of_a_portal(relun: Relun, site: PoolSite, clone: PoolLun) -> None:
    """As `relun conflicts` takes them; each LUN for itself."""
    portal = f"iscsi://127.0.0.1:{clone.port}"
    (found,) = checked(relun("pool", "conflicts", "--json", portal).objects)
    assert clone.address in found["looked_at"]
    assert len(found["looked_at"]) >= 2
    (conflict,) = found["conflicts"]
    assert {copy["role"] for copy in conflict["copies"]} == {"original", "clone"}
    nobody = "iscsi://127.0.0.1:1"
    run = relun("pool", "conflicts", "--json", nobody, clone.typed)
    (found,) = checked(run.objects)
    assert (run.code, [unread["place"] for unread in found["unread"]]) == (1, [nobody])
    assert found["unread"][0]["error"]["code"] == "remote-connect"
    assert [copy["role"] for copy in found["conflicts"][0]["copies"]] == ["clone"]
