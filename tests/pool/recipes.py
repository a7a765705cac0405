"""The recipes of docs/recipes.md, carried out: real commands against a pool and a real target.

What differs from run to run (uuids, addresses) is put in a fixed form; times and dates stay as the
run had them and do not count when two transcripts are compared.
"""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from dom0.cloudstack import CloudStack, CloudStackError, sm_list
from pool.browser import Browser
from pool.site import PoolLun, PoolSite
from remote.servers import HOST, IQN, Tgt
from xapi.server import PASSWORD
from xapi.site import Site

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "recipes.md"
PICTURE = ROOT / "docs" / "assets" / "dr-report.png"
GUEST = "127.0.0.17"  # where the test's guest "listens"
_BLOCK = re.compile(r"<!-- transcript: (\S+) -->\n```\w+\n(.*?)```\n", re.DOTALL)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_VARIES = (
    (re.compile(r"\d+\.\d+ s|\d+ min \d+ s|\b\d+ ms"), "TIME"),
    (re.compile(r"20\d\d-\d\d-\d\d(T[\d:]+Z| [\d:]+ UTC)?"), "DATE"),
    (re.compile(r"\b\d+ round trips|\b\d+ calls"), "COUNT"),
    (re.compile(r"relun \d+\.\d+\.\d+"), "relun VERSION"),
)
PLAN = """\
title = "Office, 4th quarter"
pool = "{pool}"

[[clone]]
target = "{target}"
name = "office (DR test)"

[nics]
network = "isolated"

# In this order; each is waited for before the next one is started.
[[vm]]
vm = "domain controller"
wait_for = "agent"
timeout = 600

[[vm]]
vm = "files"
wait_for = "tcp"
port = {port}
timeout = 300
"""


class Office(NamedTuple):
    """A pool with two VMs on an SR, the array's copy of it, and what is shown in place of what.

    ``server``: the file server's port. ``known``: what uuids are shown as.
    """

    site: PoolSite
    clone: PoolLun
    server: socket.socket
    known: dict[str, str]

    def shown(self, text: str) -> str:
        """Return a text as the document has it."""
        for real, written in (
            (self.site.url, "https://pool.example.org"),
            (f"{HOST}:{self.clone.port}", "192.0.2.200"),
            (IQN, "iqn.2010-01.com.example:"),
            (f"36f47acc1{self.clone.port:08x}", "36f47acc100000006"),
            (GUEST, "192.0.2.17"),
            (f"port = {self.port}", "port = 445"),
            (f"port {self.port}", "port 445"),
        ):
            text = text.replace(real, written)
        return _fixed(text, self.known)

    @property
    def port(self) -> int:
        """The port at which the file server answers."""
        return int(self.server.getsockname()[1])


def office(site: PoolSite) -> Office:
    """Make the pool: VMs on an SR, whose LUN the array has copied."""
    api = site.client().xenapi
    original = site.lun("chain", iqn=IQN + f"office-{site.tgt.port}")
    sr = site.attach(original, "office")
    disks = site.disks(sr)
    for disk, name in zip(disks, ("dc system", "files system", "files data")):
        api.VDI.set_name_label(disk, name)
    site.vm("domain controller", disks[:1])
    site.vm("files", disks[1:3])
    site.network("isolated", nics=False)
    api.pool.set_name_label(api.pool.get_all()[0], "office")
    site.guest("domain controller", agent=0.4, address="192.0.2.16")
    site.guest("files", agent=0.6, address=GUEST)
    clone = site.clone(original, iqn=IQN + "office-copy")
    return Office(site, clone, socket.create_server((GUEST, 0)), {})


def _fixed(text: str, known: dict[str, str]) -> str:
    """Number the uuids."""
    for uuid in _UUID.findall(text):
        known.setdefault(uuid, f"{len(known) + 1:08}-0000-4000-8000-000000000000")
    return _UUID.sub(lambda found: known[found.group()], text)


def _environment(**more: str) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "PYTHONPATH": str(ROOT / "src"), "LC_ALL": "C.UTF-8", **more}


class Shell:
    """Types commands in a folder and notes what they print."""

    def __init__(self, there: Office, folder: Path) -> None:
        self._there = there
        self._folder = folder
        self._lines: list[str] = []
        self._code = 0

    def type(self, command: str) -> str:
        """Run a command as the document has it; return what it printed."""
        self._lines.append("$ " + command)
        printed = f"{self._code}\n" if command == "echo $?" else self._run(command)
        self._lines += printed.splitlines()
        return printed

    def transcript(self) -> str:
        """Return all of it in the document's form, and begin anew."""
        text = self._there.shown("\n".join(self._lines) + "\n")
        self._lines.clear()
        return text

    def _run(self, command: str) -> str:
        for written, real in (
            ("192.0.2.200", f"{HOST}:{self._there.clone.port}"),
            ("iqn.2010-01.com.example:", IQN),
        ):
            command = command.replace(written, real)
        environment = _environment(RELUN_POOL=self._there.site.url, RELUN_POOL_PASSWORD=PASSWORD)
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        self._code = done.returncode
        return done.stdout.decode()


def one_disk(there: Office, folder: Path) -> dict[str, str]:
    """Get one file server's disk back from last night's array snapshot."""
    shell = Shell(there, folder)
    copy = "iscsi://192.0.2.200/iqn.2010-01.com.example:office-copy/1"
    shell.type(f"relun pool attach {copy} --name 'office, last night'")
    found = {"attach": shell.transcript()}
    shell.type("relun pool restore-vm files --from 'office, last night' --start")
    found["restore"] = shell.transcript()
    shell.type("relun pool restore-vm files --from 'office, last night' --swap-disk 'files data'")
    swap = shell.transcript()
    back = "relun pool restore-vm files --from 'office, last night' --swap-back 'files data'"
    shell.type(back)
    shell.transcript()
    found["swap"] = swap
    shell.type("relun pool detach 'office, last night' --remove-vms")
    found["detach"] = shell.transcript()
    return found


def dr_test(there: Office, folder: Path) -> dict[str, str]:
    """The quarterly DR test; the page stands in the folder afterwards."""
    shell = Shell(there, folder)
    plan = PLAN.format(pool=there.site.url, target=there.clone.address, port=there.port)
    (folder / "office.toml").write_text(plan, encoding="utf-8")
    shell.type("relun pool test-dr office.toml --html report.html")
    shell.type("echo $?")
    return {"plan": there.shown(plan), "test-dr": shell.transcript()}


_WORDS = "resigning of duplicates"


class _Noting(CloudStack):
    """Notes each call with what matters of it, and its answer."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.noted: list[str] = []

    def _call(self, method: str, *arguments: Any) -> Any:
        words = [each for each in arguments if each in ("lvmoiscsi", "relvmoiscsi")]
        words += [f"SCSIid={each['SCSIid']}" for each in arguments if _has_id(each)]
        try:
            found = super()._call(method, *arguments)
        except CloudStackError as error:
            self._note(method, words, str(error).split("<?xml")[0])
            raise
        uuid = re.search("<UUID>(.*?)</UUID>", found) if method == "SR.probe" else None
        self._note(method, words, uuid.group(1) if uuid else "")
        return found

    def _note(self, method: str, words: list[str], answer: str) -> None:
        line = " ".join([method, *words])
        if not (answer == "" and self.noted and self.noted[-1] == line):
            self.noted.append(line)
        if answer:
            self.noted.append(f"    {answer}")


def _has_id(argument: Any) -> bool:
    return isinstance(argument, dict) and "SCSIid" in argument


def cloudstack(folder: Path) -> dict[str, str]:
    """A clone resigned by what CloudStack calls, on hosts with relun's drivers."""
    folder.mkdir()
    with Site(folder, "renamed", sys.executable) as site:
        site.install()
        original = site.lun("single")
        clone = site.lun("single")
        server = _Noting(site)
        found = [line for line in sm_list(server.session).splitlines() if _WORDS in line]
        listed = f'$ xe sm-list | grep "{_WORDS}"\n' + "\n".join(found) + "\n"
        answer = server.resignature(clone)
        said = f"size {answer.size}, path {answer.path}, format {answer.format}"
        lines = [*server.noted, "ResignatureAnswer: " + said]
        for lun, name in ((original, "original.img"), (clone, "clone.img")):
            (folder / name).symlink_to(lun.file)
        command = "relun conflicts original.img clone.img"
        done = subprocess.run(
            ["bash", "-c", command], cwd=folder, env=_environment(), capture_output=True, check=True
        )
    return {
        "sm-list": listed,
        "cloudstack": _fixed("\n".join(lines) + "\n", {}),
        "conflicts": f"$ {command}\n{done.stdout.decode()}",
    }


def carry_out(folder: Path, tgt: Tgt, save_picture: bool = False) -> dict[str, str]:
    """Carry out all recipes; return their transcripts."""
    (folder / "pool").mkdir()
    site = PoolSite(folder / "pool", tgt)
    with site:
        there = office(site)
        with there.server:
            made = one_disk(there, folder) | dr_test(there, folder)
            if save_picture:
                picture(there, folder, PICTURE)
    return made | cloudstack(folder / "cloudstack")


def with_transcripts(text: str, made: dict[str, str]) -> str:
    """Return the document with these transcripts in it."""

    def replaced(block: re.Match[str]) -> str:
        whole = block.group()
        start = block.start(2) - block.start()
        return whole[:start] + made[block.group(1)] + "```\n"

    return _BLOCK.sub(replaced, text)


def transcripts(text: str) -> dict[str, str]:
    """Return the transcripts that a document has."""
    return {block.group(1): block.group(2) for block in _BLOCK.finditer(text)}


def comparable(text: str) -> str:
    """Return a transcript without what differs from one run to the next."""
    for varies, word in _VARIES:
        text = varies.sub(word, text)
    return re.sub(r" +", " ", text)


def picture(there: Office, folder: Path, file: Path) -> None:
    """Save a picture of the report that ``dr_test`` wrote."""
    page = folder / "shown.html"
    page.write_text(there.shown((folder / "report.html").read_text(encoding="utf-8")))
    file.parent.mkdir(exist_ok=True)
    with Browser() as browser:
        browser.size(1100, 1400)
        browser.open(page)
        browser.screenshot(file, height=1240)
