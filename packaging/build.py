"""Builds relun's packages for dom0: ``build.py rpm``, ``build.py pack --key KEY``.

rpm: dist/relun-VERSION-1.noarch.rpm.
pack: dist/relun-VERSION.iso, the update that xapi applies, and dist/yum, a repository for yum and
dnf; both signed with the builder's own key, whose public half is put beside them.

Needs rpmbuild, and for a pack rpmsign, createrepo_c, gpg and xorriso. The same sources and the same
SOURCE_DATE_EPOCH (the last commit's time if it is not set) make the same rpm, byte for byte.
"""

import argparse
import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import quoteattr

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RELEASE = "1"
LABEL = "relun"  # also the name of yum's repository while xapi applies it: no blanks
DESCRIPTION = "SM drivers, xapi plugin and command that give a cloned LUN an identity of its own"
PUBLIC_KEY = "RPM-GPG-KEY-relun"
_NAMESPACE = uuid.UUID("6a0a1f5e-52a5-5c4b-9a0c-0d9f3f1f8c55")
_PARTS = ("__init__.py", "__main__.py", "core", "dom0", "cli", "remote")


class BuildError(Exception):
    """A text for the builder."""


def build_rpm(dist: Path, version: str) -> Path:
    """Build relun's rpm into ``dist`` and return its path."""
    with tempfile.TemporaryDirectory() as top:
        sources = Path(top) / "SOURCES"
        sources.mkdir()
        _archive(sources / f"relun-{version}.tar.gz", version)
        (built,) = _rpmbuild(Path(top), HERE / "relun.spec", relun_version=version)
        dist.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy2(built, dist))


def build_pack(dist: Path, version: str, key: str, base_url: str) -> tuple[Path, Path]:
    """Build the update ISO and the yum repository; return their paths."""
    relun = build_rpm(dist, version)
    identity = update_uuid(version)
    with tempfile.TemporaryDirectory() as top:
        work = Path(top)
        public = work / PUBLIC_KEY
        public.write_text(_run("gpg", "--armor", "--export", key))
        if not public.stat().st_size:
            raise BuildError(f"gpg knows no key {key}")
        tree = work / "iso"
        packages = tree / "Packages"
        packages.mkdir(parents=True)
        shutil.copy2(relun, packages)
        update = update_xml(version, identity, relun.stat().st_size)
        for package in _pack_packages(work, version, identity, update):
            shutil.copy2(package, packages)
        _sign_packages(sorted(packages.iterdir()), key)
        (tree / "update.xml").write_text(update)
        (work / "comps.xml").write_text(_GROUP)
        _repository(tree, key, work / "comps.xml")
        _sign(tree / "update.xml", key)
        iso = dist / f"relun-{version}.iso"
        _iso(tree, iso)
        yum = dist / "yum"
        _yum(yum, packages / relun.name, public, key, base_url)
        shutil.copy2(public, dist / PUBLIC_KEY)
    return iso, yum


def update_uuid(version: str) -> str:
    """Return the update's uuid: the same for each build of a version."""
    return str(uuid.uuid5(_NAMESPACE, f"{LABEL}-{version}-{RELEASE}"))


def update_xml(version: str, identity: str, size: int) -> str:
    """Return update.xml, by which xapi knows the pack. ``size`` is what it takes, in bytes."""
    attributes = {
        "uuid": identity,
        "name-label": LABEL,
        "version": version,
        "key": PUBLIC_KEY,
        "installation-size": str(size * 10),
        "after-apply-guidance": "restartXAPI",
        "enforce-homogeneity": "true",
        "control": f"control-{LABEL}",
    }
    written = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    description = f"<name-description>{DESCRIPTION}</name-description>"
    return f"<update{written}>\n  {description}\n</update>\n"


# pool_update installs "@update": a group of this name has to hold everything.
_GROUP = f"""<?xml version="1.0" encoding="UTF-8"?>
<comps>
  <group>
    <id>update</id>
    <name>update</name>
    <description>{DESCRIPTION}</description>
    <default>true</default>
    <uservisible>true</uservisible>
    <packagelist>
      <packagereq type="mandatory">relun</packagereq>
      <packagereq type="mandatory">update-relun</packagereq>
    </packagelist>
  </group>
</comps>
"""

_REPO_FILE = """# For /etc/yum.repos.d. Not enabled: yum install --enablerepo=relun relun
[relun]
name=relun
baseurl={base_url}
enabled=0
gpgcheck=1
repo_gpgcheck=1
gpgkey={base_url}/{key}
"""


def _pack_packages(work: Path, version: str, identity: str, update: str) -> list[Path]:
    sources = work / "pack" / "SOURCES"
    sources.mkdir(parents=True)
    (sources / "update.xml").write_text(update)
    shutil.copy2(HERE / "dom0" / "precheck", sources)
    _dated(*sources.iterdir())
    defined = {"relun_version": version, "update_uuid": identity}
    return _rpmbuild(work / "pack", HERE / "pack.spec", **defined)


def _yum(folder: Path, package: Path, public: Path, key: str, base_url: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy2(package, folder)
    shutil.copy2(public, folder)
    (folder / "relun.repo").write_text(_REPO_FILE.format(base_url=base_url, key=PUBLIC_KEY))
    _repository(folder, key, None)


def _archive(path: Path, version: str) -> None:
    """Write the source archive: a file's content and kind count, not its date or owner."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for source, name in _sources():
            info = archive.gettarinfo(source, f"relun-{version}/{name}")
            info.uid = info.gid = 0
            info.uname = info.gname = "root"
            info.mtime = _epoch()
            info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
            with source.open("rb") if info.isfile() else io.BytesIO() as content:
                archive.addfile(info, content)
    path.write_bytes(gzip.compress(held.getvalue(), mtime=0))


def _sources() -> Iterator[tuple[Path, str]]:
    yield ROOT / "LICENSE", "LICENSE"
    yield from _tree(HERE / "dom0", "dom0")
    package = ROOT / "src" / "relun"
    yield package, "relun"
    for part in _PARTS:
        yield from _tree(package / part, f"relun/{part}")


def _tree(path: Path, name: str) -> Iterator[tuple[Path, str]]:
    yield path, name
    if path.is_dir():
        for entry in sorted(path.iterdir()):
            if entry.name != "__pycache__":
                yield from _tree(entry, f"{name}/{entry.name}")


def _rpmbuild(top: Path, spec: Path, **defined: str) -> list[Path]:
    macros = {
        "_topdir": str(top),
        "_buildhost": "relun",
        "use_source_date_epoch_as_buildtime": "1",
        "clamp_mtime_to_source_date_epoch": "1",
        **defined,
    }
    options = [word for name, value in macros.items() for word in ("-D", f"{name} {value}")]
    os.environ.setdefault("SOURCE_DATE_EPOCH", str(_epoch()))
    _run("rpmbuild", "--quiet", "-bb", *options, str(spec))
    return sorted((top / "RPMS").glob("*/*.rpm"))


def _sign_packages(paths: list[Path], key: str) -> None:
    gpg = shutil.which("gpg") or "gpg"  # rpm's own idea of its place is not right everywhere
    macros = ("-D", f"_gpg_name {key}", "-D", "_gpg_digest_algo sha256", "-D", f"__gpg {gpg}")
    _run("rpmsign", *macros, "--addsign", *map(str, paths))


def _sign(path: Path, key: str) -> None:
    how = ("--batch", "--yes", "--armor", "--digest-algo", "SHA256", "--detach-sign")
    _run("gpg", *how, "--local-user", key, "--output", f"{path}.asc", str(path))


def _repository(folder: Path, key: str, group: Path | None) -> None:
    # gzip and SHA-256 are what yum of CentOS 7 reads as well.
    how = ["--quiet", "--no-database", "--compress-type", "gz", "--general-compress-type", "gz"]
    how += ["--checksum", "sha256", "--simple-md-filenames", "--workers", "1"]
    how += ["--groupfile", str(group)] if group else []
    _run("createrepo_c", *how, str(folder))
    _sign(folder / "repodata" / "repomd.xml", key)


def _iso(tree: Path, iso: Path) -> None:
    iso.unlink(missing_ok=True)
    how = ("-as", "mkisofs", "-quiet", "-rational-rock", "-joliet", "-V", "relun")
    _run("xorriso", *how, "-o", str(iso), str(tree))


def _dated(*paths: Path) -> None:
    for path in paths:
        os.utime(path, (_epoch(), _epoch()))


def _epoch() -> int:
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    return int(_run("git", "-C", str(ROOT), "log", "-1", "--format=%ct"))


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BuildError(f"{command[0]} is not installed") from None
    if done.returncode:
        raise BuildError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Build relun's packages for dom0.")
    parser.add_argument("what", choices=("rpm", "pack"))
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="where they go")
    parser.add_argument("--version", default="", help="instead of the version in pyproject.toml")
    parser.add_argument("--key", default="", help="pack: the gpg key that signs")
    parser.add_argument(
        "--base-url",
        default="file:///opt/relun-yum",
        help="pack: where the hosts will find the repository",
    )
    asked = parser.parse_args()
    if asked.what == "pack" and not asked.key:
        parser.error("a pack has to be signed: give the id of your gpg key (make pack KEY=…)")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    version = asked.version or project["version"]
    try:
        if asked.what == "rpm":
            print(build_rpm(asked.dist, version))
        else:
            print(*build_pack(asked.dist, version, asked.key, asked.base_url), sep="\n")
    except BuildError as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
