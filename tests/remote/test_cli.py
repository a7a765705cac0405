"""The command line with remote targets: every verb, and passwords that never show."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.conftest import Relun, terminal
from relun.cli import addresses
from remote.conftest import Exported
from remote.servers import HOST, IQN, QemuNbd, Tgt
from support.builder import Sr, Vhd, build

NEW_SR = "11111111-2222-4333-8444-555555555555"
PASSWORD, OTHER = "hush-hush-hush", "quiet-as-a-mouse"


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test is a process of its own as far as passwords go."""
    monkeypatch.setattr(addresses, "_typed", {})
    monkeypatch.setattr(addresses, "_from_file", [])
    monkeypatch.setattr(addresses, "_unreachable", {})


@pytest.fixture
def guarded(tgt: Tgt, sr_file: Path) -> Iterator[Exported]:
    """A LUN with mutual CHAP."""
    chap = {"user": "me", "password": PASSWORD, "target_user": "it", "target_password": OTHER}
    target = tgt.target("vault", **chap)
    tgt.lun(target, sr_file)
    yield Exported(tgt, target, "vault", sr_file)
    tgt.remove(target)


def test_every_verb(relun: Relun, lun: Exported, tmp_path: Path) -> None:
    """An address stands wherever a path does."""
    before = lun.file.read_bytes()
    original = tmp_path / "original.img"
    original.write_bytes(before)
    where = lun.address
    serial = f"LAB{lun.target:05d}"
    assert relun("inspect", where, "--json").object["devices"][0]["serial"] == serial
    assert relun("plan", where).code == 0
    known = ("--expect-serial", serial, "--original", original)
    run = relun("resign", where, "--yes", "--sr-uuid", NEW_SR, "--text", *known)
    assert run.code == 0, run.err
    assert f"device-config:targetIQN={IQN}{lun.name}" in run.out
    assert f"device-config:port={lun.tgt.port}" in run.out
    scsi_id = f"3600a0b80{lun.target:08x}{1:016x}"
    assert f"device-config:SCSIid={scsi_id}" in run.out
    assert f"/dev/disk/by-id/scsi-{scsi_id}".encode() in lun.file.read_bytes()
    assert relun("verify", where, "--against", original).code == 0
    assert "stands" in relun("conflicts", where, original).out
    assert relun("recover", where).code == 0
    assert relun("undo", where, "--yes").code == 0
    assert lun.file.read_bytes() == before
    assert relun("resign", where, "--yes").code == 0
    assert relun("seal", where, "--yes").code == 0


def test_wrong_lun(relun: Relun, lun: Exported) -> None:
    """The guards against the wrong LUN hold for remote ones."""
    run = relun("resign", lun.address, "--yes", "--expect-serial", "LAB99999")
    assert run.code == 1 and "serial-differs" in run.err
    run = relun("resign", lun.address, "--yes", "--original", lun.address)
    assert run.code == 1 and "original-same" in run.err
    run = relun("resign", lun.address)
    assert run.code == 1 and "confirmation" in run.err


def test_question(relun: Relun, lun: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal it is asked, and no is no."""
    terminal(monkeypatch, "stdin", "stderr")
    monkeypatch.setattr("sys.stdin.readline", lambda: "n\n", raising=False)
    before = lun.file.read_bytes()
    run = relun("resign", lun.address)
    assert run.code == 1
    assert lun.address in run.err
    assert lun.file.read_bytes() == before


def test_portal(relun: Relun, lun: Exported) -> None:
    """A portal lists its LUNs with their SRs; it is nothing to write to."""
    lun.tgt.lun(lun.target, lun.file, unit=2)
    portal = f"iscsi://{HOST}:{lun.tgt.port}"
    found = relun("inspect", portal, "--json").objects
    assert [each["devices"][0]["path"] for each in found] == [
        lun.tgt.address(lun.name, unit) for unit in (1, 2)
    ]
    assert all(each["repository"]["sr_uuid"] for each in found)
    conflict = relun("conflicts", portal, "--json").object["conflicts"]
    assert len(conflict) == 1
    run = relun("resign", portal, "--yes")
    assert run.code == 1 and "address-portal" in run.err
    run = relun("inspect", f"iscsi://{HOST}:1")
    assert run.code == 1 and "remote-connect" in run.err


def test_nbd(relun: Relun, sr_file: Path) -> None:
    """An export goes the same way."""
    with QemuNbd(sr_file) as server:
        run = relun("resign", server.address, "--yes", "--text")
        assert run.code == 0, run.err
        assert "device-config:target=ADDRESS" in run.out


def test_several_clones_at_once(relun: Relun, tgt: Tgt, lun: Exported, tmp_path: Path) -> None:
    """Remote and local LUNs in one command, each an SR."""
    other = build(Sr((Vhd("other"),), seed="other"), tmp_path / "other.img").path
    run = relun("resign", lun.address, other, "--yes", "--json")
    assert run.code == 0, run.err
    assert len(run.objects) == 2


def secretive(*runs: object) -> None:
    """Assert that no output has a password in it."""
    for run in runs:
        for secret in (PASSWORD, OTHER):
            assert secret not in str(run)


def typed(guarded: Exported, password: str = PASSWORD, other: str = OTHER) -> str:
    """Return an address as somebody careless types it."""
    address = guarded.address.replace("iscsi://", f"iscsi://me%{password}@")
    return f"{address}?target_user=it&target_password={other}"


def test_passwords_in_the_address(relun: Relun, guarded: Exported) -> None:
    """They open the LUN, and are shown nowhere, whatever is asked for."""
    address = typed(guarded)
    portal = f"iscsi://me%{PASSWORD}@{HOST}:{guarded.tgt.port}"
    runs = [
        relun("inspect", address, "--json", "-vv"),
        relun("plan", address, "-vv", "--text"),
        relun("resign", address, "--yes", "--json"),
        relun("undo", address, "--yes", "--text"),
        relun("verify", address, f"--against={address}"),
        relun("conflicts", address, address),
        relun("inspect", portal, "--json"),
    ]
    assert [run.code for run in runs] == [0, 0, 0, 0, 4, 0, 0], runs
    assert "me@" in runs[0].out
    secretive(*runs)


def test_passwords_in_errors(
    relun: Relun, guarded: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong usage, wrong password, wrong address, no portal, a fault in relun itself."""
    address = typed(guarded)
    runs = [
        relun(address),
        relun("inspect", address, "--no-such-option"),
        relun("explain", address),
        relun("resign", address, guarded.address, "--map", "x"),
        relun("inspect", "--password-file", address, address),
        relun("inspect", typed(guarded, "wrong-" + PASSWORD[:8])),
        relun("inspect", typed(guarded, other="wrong-" + OTHER[:8]), "--json"),
        relun("resign", address + "/more", "--yes"),
        relun("inspect", f"iscsi://me:{PASSWORD}@{HOST}/x/1"),
        relun("inspect", f"iscsi://me%{PASSWORD}@{HOST}:1"),
    ]
    secretive(*runs)
    assert [run.code for run in runs] == [2, 2, 2, 2, 2, 1, 1, 1, 1, 1], runs

    def fail(*_arguments: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("relun.remote.lun.Session", fail)
    run = relun("inspect", address, "--json", "-vv")
    assert run.code == 1 and "internal" in run.out
    secretive(run)


def test_passwords_from_a_file(relun: Relun, guarded: Exported, tmp_path: Path) -> None:
    """The command line then has none; a file that everybody may read is refused."""
    file = tmp_path / "passwords"
    file.write_text(
        f"user = me\npassword = {PASSWORD}\ntarget_user = it\ntarget_password = {OTHER}\n"
    )
    file.chmod(0o600)
    assert relun("inspect", guarded.address, "--password-file", file).code == 0
    file.write_text(f"password = {PASSWORD}\n")
    named = guarded.address.replace("//", "//me@")
    assert relun("inspect", named, "--password-file", file).code == 0
    addresses._from_file.clear()
    assert relun("inspect", named).code == 1
    file.write_text(f"{PASSWORD}\n")
    run = relun("inspect", named, "--password-file", file)
    assert run.code == 2
    secretive(run)
    file.chmod(0o644)
    run = relun("inspect", named, "--password-file", file)
    assert run.code == 2 and "everybody may read it" in run.err
    run = relun("inspect", named, "--password-file", tmp_path / "none")
    assert run.code == 2 and "No such file" in run.err


def test_passwords_from_the_environment(
    relun: Relun, guarded: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RELUN_ISCSI_…; the address goes before it."""
    for name, value in (
        ("USER", "me"),
        ("PASSWORD", PASSWORD),
        ("TARGET_USER", "it"),
        ("TARGET_PASSWORD", OTHER),
    ):
        monkeypatch.setenv("RELUN_ISCSI_" + name, value)
    run = relun("inspect", guarded.address, "--json")
    assert run.code == 0
    secretive(run)
    assert relun("inspect", guarded.address.replace("//", "//you@")).code == 1


def test_the_initiators_name(
    relun: Relun, tgt: Tgt, sr_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The host's own name, or that of the environment, is what the target decides by."""
    target = tgt.target("mine")
    tgt.lun(target, sr_file)
    tgt.admin("target", "unbind", target, "--initiator-address", "ALL")
    tgt.admin("target", "bind", target, "--initiator-name", "iqn.2024-01.lab:host-7")
    try:
        assert relun("inspect", tgt.address("mine")).code == 1
        monkeypatch.setenv("RELUN_ISCSI_INITIATOR", "iqn.2024-01.lab:host-7")
        assert relun("inspect", tgt.address("mine")).code == 0
        monkeypatch.delenv("RELUN_ISCSI_INITIATOR")
        name = tmp_path / "initiatorname.iscsi"
        name.write_text("# comment\nInitiatorName=iqn.2024-01.lab:host-7\n")
        monkeypatch.setattr(addresses, "_HOST_NAME", str(name))
        assert relun("inspect", tgt.address("mine")).code == 0
    finally:
        tgt.remove(target)


def test_without_the_libraries(
    relun: Relun, lun: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing is named."""
    from relun.remote import libiscsi, libnbd

    monkeypatch.setattr(libiscsi, "_loaded", None)
    monkeypatch.setattr(libiscsi, "_LIBRARIES", ("libno-such.so.7",))
    monkeypatch.setattr(libnbd, "_loaded", None)
    monkeypatch.setattr(libnbd, "_LIBRARY", "libno-such.so.0")
    for address, library in ((lun.address, "libiscsi7"), (f"nbd://{HOST}:1", "libnbd0")):
        run = relun("inspect", address)
        assert run.code == 1 and "remote-library" in run.err
        assert library in run.err


def test_files_load_nothing_of_it(sr_file: Path) -> None:
    """Start-up for paths stays what it is."""
    import subprocess
    import sys

    program = (
        "import sys; from relun.cli.main import execute; "
        "execute(['inspect', sys.argv[1], '--json']); "
        "print([m for m in sys.modules if 'relun.remote' in m or m in ('ctypes', 'urllib')])"
    )
    out = subprocess.check_output(
        [sys.executable, "-c", program, str(sr_file)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    )
    shown, loaded = out.strip().rsplit("\n", 1)
    assert json.loads(shown)["exit"] == 0
    assert loaded == "[]"
