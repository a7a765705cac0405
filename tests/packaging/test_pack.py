"""The signed update ISO and the yum repository, read with the tools that read them in the field."""

import gzip
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from support.scratch_root import BASE, BUILD, OURS, Root, query, run

Install = Callable[[str], Root]
MAIL = "builder@example.org"
BASE_URL = "https://packages.example.org/relun"
_REPO = "{http://linux.duke.edu/metadata/repo}"
_COMMON = "{http://linux.duke.edu/metadata/common}"


class Pack(NamedTuple):
    """What `make pack` made, the ISO's files unpacked, and the homes of gpg."""

    dist: Path
    iso: Path
    tree: Path
    yum: Path
    builder: Path
    fingerprint: str


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pack]:
    """A pack signed with a key made for it."""
    for tool in ("rpmbuild", "rpmsign", "createrepo_c", "gpg", "xorriso"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    folder = tmp_path_factory.mktemp("pack")
    builder = _home(folder / "builder")
    how = ("--batch", "--passphrase", "", "--quick-generate-key", MAIL, "rsa2048", "sign", "never")
    _gpg(builder, *how)
    listed = _gpg(builder, "--with-colons", "--list-keys").splitlines()
    fingerprint = next(line.split(":")[9] for line in listed if line.startswith("fpr"))
    environment = {**os.environ, "GNUPGHOME": str(builder)}
    command = [sys.executable, BUILD, "pack", "--dist", folder / "dist", "--key", fingerprint]
    done = subprocess.run(
        [*map(str, command), "--base-url", BASE_URL],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    iso, yum = map(Path, done.stdout.split())
    tree = folder / "tree"
    run("xorriso", "-osirrox", "on", "-indev", iso, "-extract", "/", tree)
    run("chmod", "-R", "u+w", tree)
    yield Pack(folder / "dist", iso, tree, yum, builder, fingerprint)
    subprocess.run(["gpgconf", "--homedir", str(builder), "--kill", "all"], check=True)


@pytest.fixture
def host_keys(pack: Pack, tmp_path: Path) -> Iterator[Path]:
    """A host's keyring after what README says: the key imported and trusted."""
    home = _home(tmp_path / "gpg")
    _gpg(home, "--import", str(pack.dist / "RPM-GPG-KEY-relun"))
    subprocess.run(
        ["gpg", "--homedir", str(home), "--import-ownertrust"],
        input=f"{pack.fingerprint}:6:\n",
        text=True,
        check=True,
        capture_output=True,
    )
    yield home
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)


def test_files_of_the_iso(pack: Pack) -> None:
    found = {str(path.relative_to(pack.tree)) for path in pack.tree.rglob("*") if path.is_file()}
    version = query("--qf", "%{VERSION}", _package(pack, "relun"))
    assert {name for name in found if not name.startswith("repodata/")} == {
        "update.xml",
        "update.xml.asc",
        *(
            f"Packages/{name}-{version}-1.noarch.rpm"
            for name in ("relun", "update-relun", "control-relun")
        ),
    }
    assert {"repodata/repomd.xml", "repodata/repomd.xml.asc"} <= found


def test_update_xml_has_what_xapi_asks_for(pack: Pack) -> None:
    update = ElementTree.parse(pack.tree / "update.xml").getroot()
    assert update.tag == "update"
    assert set(update.attrib) >= {"uuid", "name-label", "version"}  # without these: INVALID_UPDATE
    assert update.get("name-label") == "relun"  # yum's repository has this name
    assert update.get("after-apply-guidance") == "restartXAPI"
    assert update.get("key") == "RPM-GPG-KEY-relun"
    assert update.get("control") == query("--qf", "%{NAME}", _package(pack, "control-relun"))
    installed = int(query("--qf", "%{SIZE}", _package(pack, "relun")))
    assert int(update.get("installation-size", "")) >= installed
    (description,) = update.findall("name-description")
    assert description.text
    assert len(description) == 0


def test_signatures_satisfy_xapi(pack: Pack, host_keys: Path) -> None:
    for name in ("update.xml", "repodata/repomd.xml"):
        said = _verified(host_keys, pack.tree / name)
        for wanted in ("GOODSIG", "TRUST_ULTIMATE", f"VALIDSIG {pack.fingerprint}"):
            assert f"[GNUPG:] {wanted}" in said


def test_changed_files_do_not_satisfy_xapi(pack: Pack, host_keys: Path, tmp_path: Path) -> None:
    for name in ("update.xml", "repodata/repomd.xml"):
        changed = tmp_path / Path(name).name
        changed.write_bytes((pack.tree / name).read_bytes() + b"\n")
        shutil.copy(pack.tree / f"{name}.asc", f"{changed}.asc")
        assert "BADSIG" in _verified(host_keys, changed)


def test_host_that_does_not_know_the_key(pack: Pack, tmp_path: Path) -> None:
    home = _home(tmp_path / "stranger")
    said = _verified(home, pack.tree / "update.xml")
    assert "GOODSIG" not in said
    assert "NO_PUBKEY" in said
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)


@pytest.mark.parametrize("where", ["iso", "yum"])
def test_packages_are_signed(pack: Pack, tmp_path: Path, where: str) -> None:
    folder = pack.tree / "Packages" if where == "iso" else pack.yum
    packages = sorted(folder.glob("*.rpm"))
    assert len(packages) == (3 if where == "iso" else 1)
    database = ("--dbpath", tmp_path / "rpmdb")
    for package in packages:
        said = run("rpmkeys", *database, "-Kv", package, check=False)
        assert "NOKEY" in said
    run("rpmkeys", *database, "--import", pack.dist / "RPM-GPG-KEY-relun")
    for package in packages:
        said = run("rpmkeys", *database, "-Kv", package)
        assert "RSA/SHA256 Signature" in said
        assert "NOKEY" not in said
        assert "BAD" not in said


def test_repository_of_the_iso(pack: Pack) -> None:
    assert set(_names(pack.tree)) == {"relun", "update-relun", "control-relun"}
    (group,) = ElementTree.fromstring(_data(pack.tree, "group")).findall("group")
    assert group.findtext("id") == "update"  # xapi installs "@update"
    found = [entry.text for entry in group.iter("packagereq")]
    assert found == ["relun", "update-relun"]
    assert {entry.get("type") for entry in group.iter("packagereq")} == {"mandatory"}


def test_checksums_of_the_repositories(pack: Pack) -> None:
    for folder in (pack.tree, pack.yum):
        primary = ElementTree.fromstring(_data(folder, "primary"))
        for package in primary.iter(f"{_COMMON}package"):
            location = package.find(f"{_COMMON}location")
            checksum = package.find(f"{_COMMON}checksum")
            assert location is not None
            assert checksum is not None
            assert checksum.get("type") == "sha256"
            said = run("sha256sum", folder / location.attrib["href"])
            assert said.split()[0] == checksum.text


def test_yum_repository(pack: Pack, host_keys: Path) -> None:
    assert _names(pack.yum) == ["relun"]
    assert "GOODSIG" in _verified(host_keys, pack.yum / "repodata/repomd.xml")
    lines = (pack.yum / "relun.repo").read_text().splitlines()
    assert f"baseurl={BASE_URL}" in lines
    assert f"gpgkey={BASE_URL}/RPM-GPG-KEY-relun" in lines
    assert {"gpgcheck=1", "repo_gpgcheck=1", "enabled=0"} <= set(lines)
    assert (pack.yum / "RPM-GPG-KEY-relun").read_text().startswith("-----BEGIN PGP PUBLIC KEY")


def test_no_secret_key_gets_out(pack: Pack) -> None:
    for path in (*pack.dist.rglob("*"), *pack.tree.rglob("*")):
        if path.is_file() and path.suffix != ".iso":
            assert b"PRIVATE KEY" not in path.read_bytes()


def test_volume_label_and_names(pack: Pack) -> None:
    said = run("xorriso", "-indev", pack.iso, "-find", "/Packages", "-type", "f")
    assert "'/Packages/relun-" in said  # Rock Ridge: neither capitals nor 8.3
    assert "relun" in run("xorriso", "-indev", pack.iso, "-pvd_info")


@pytest.mark.parametrize("platform", ["xenserver8", "xcpng83", "xenserver9"])
def test_pack_in_dom0(root: Install, pack: Pack, platform: str) -> None:
    host = root(platform)
    before = host.snapshot()
    host.install(_package(pack, "control-relun"))
    update = ElementTree.parse(pack.tree / "update.xml").getroot()
    assert host.run(f"/var/update/{update.get('uuid')}/precheck") == ""
    host.install(_package(pack, "relun"), _package(pack, "update-relun"))
    assert host.plugins().endswith(OURS)
    assert host.plugins().startswith(BASE)
    applied = host.path / "var/update/applied"
    assert [path.name for path in applied.iterdir()] == [update.get("uuid")]
    assert next(applied.iterdir()).read_text() == (pack.tree / "update.xml").read_text()
    for name in ("update-relun", "control-relun", "relun"):
        host.remove(name)
    (host.path / "var/update/applied").rmdir()  # xapi's own, as is the one around it
    (host.path / "var/update").rmdir()
    assert host.snapshot() == before


@pytest.mark.parametrize(
    ("first", "refused"),
    [("#!/usr/bin/python", True), ("#!/usr/bin/python3", False), ("import sm", False), ("", True)],
)
def test_precheck(root: Install, pack: Pack, first: str, refused: bool) -> None:
    host = root("xenserver8")
    host.install(_package(pack, "control-relun"))
    command = host.path / "opt/xensource/sm/SRCommand.py"
    command.unlink()
    if first:
        command.write_text(first + "\n")
    (precheck,) = (host.path / "var/update").glob("*/precheck")
    said = host.run("/" + str(precheck.relative_to(host.path)), check=False)
    if refused:
        error = ElementTree.fromstring(said)
        assert error.get("errorcode") == "UPDATE_PRECHECK_FAILED_WRONG_SERVER_VERSION"
        assert error.findtext("found")
        assert error.findtext("required") == "SM 3 or 4"
    else:
        assert said == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["pack"], "a pack has to be signed"), (["pack", "--key", "nobody@example.org"], "no key")],
)
def test_pack_without_a_key(tmp_path: Path, arguments: list[str], said: str) -> None:
    environment = {**os.environ, "GNUPGHOME": str(_home(tmp_path / "gpg"))}
    command = [sys.executable, str(BUILD), *arguments, "--dist", str(tmp_path / "dist")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert not list(tmp_path.glob("dist/*.iso"))


def _home(path: Path) -> Path:
    """Return a folder for gpg; its agent's socket needs a short path, which gpg finds itself."""
    path.mkdir(mode=0o700)
    return path


def _gpg(home: Path, *arguments: str) -> str:
    return run("gpg", "--homedir", home, *arguments)


def _verified(home: Path, path: Path) -> str:
    """Return gpg's words for the detached signature of a file, asked as xapi asks."""
    how = ("--homedir", home, "--status-fd", "1", "--verify")
    return run("gpg", *how, f"{path}.asc", path, check=False)


def _package(pack: Pack, name: str) -> Path:
    (found,) = (pack.tree / "Packages").glob(f"{name}-[0-9]*.rpm")
    return found


def _data(folder: Path, kind: str) -> bytes:
    """Return a part of a repository's metadata, the plain or the compressed one."""
    index = ElementTree.parse(folder / "repodata/repomd.xml").getroot()
    (part,) = (part for part in index.iter(f"{_REPO}data") if part.get("type") == kind)
    location = part.find(f"{_REPO}location")
    assert location is not None
    content = (folder / location.attrib["href"]).read_bytes()
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


def _names(folder: Path) -> list[str]:
    found = ElementTree.fromstring(_data(folder, "primary")).iter(f"{_COMMON}name")
    return [str(name.text) for name in found]
