"""A real LUN image: copied, resigned, and shown beside its original by tools that are not relun's.

    make demo

Nothing outside a temporary folder is changed. What needs root (LVM2 over loop devices) or a tool
that is missing is named and left out. Exits 1 when something is not as it should be.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from support import chain, golden, lvm  # noqa: E402

IMAGE = "raw"  # VHDs on a raw base, a snapshot, a raw disk, CBT logs
SR_UUID = "3f1c1e52-8a0b-4d0e-9a55-0d7c3a1f9b11"
SBIN = ":/usr/sbin:/sbin"


class Demo:
    """Runs and shows the commands in one folder; notes what was left out and what was wrong."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.left_out: list[str] = []
        self.wrong: list[str] = []
        self.bold = sys.stdout.isatty()

    def step(self, words: str) -> None:
        """Print a heading."""
        print(f"\n\033[1m# {words}\033[0m" if self.bold else f"\n# {words}", flush=True)

    def run(self, *command: str, shown_lines: int = 60) -> int:
        """Show and run a command; show the first lines of what it prints."""
        print("$ " + " ".join(command), flush=True)
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        lines = (done.stdout + done.stderr).splitlines()
        print("\n".join(lines[:shown_lines]))
        if len(lines) > shown_lines:
            print(f"… {len(lines) - shown_lines} lines more")
        sys.stdout.flush()
        return done.returncode

    def expect(self, right: bool, words: str) -> None:
        """Print whether something is as it should be."""
        print(f"{'ok   ' if right else 'WRONG'} {words}", flush=True)
        if not right:
            self.wrong.append(words)

    def skip(self, words: str) -> None:
        """Name what cannot be shown here."""
        print(f"left out: {words}", flush=True)
        self.left_out.append(words)

    def path(self, name: str) -> str:
        """Return a path in the folder."""
        return os.path.join(self.folder, name)


def main() -> int:
    """Show it all; return the exit code."""
    if not shutil.which("zstd"):
        print(
            "the images in tests/luns are packed with zstd (Debian package zstd), which is missing"
        )
        return 1
    with tempfile.TemporaryDirectory(prefix="relun-demo-") as folder:
        demo = Demo(folder)
        demo.step(f"A LUN with an SR, made by SM, LVM2, vhd-util and cbt-util: tests/luns/{IMAGE}")
        golden.copy(IMAGE, folder, "original.img")
        demo.run("cp", "--sparse=always", "original.img", "clone.img")
        _before(demo)
        _resign(demo)
        _side_by_side(demo)
        _guests(demo)
        _undo(demo)
        demo.step("Result")
        for words in demo.left_out:
            print(f"left out: {words}")
        for words in demo.wrong:
            print(f"WRONG: {words}")
        if not demo.wrong:
            print("everything that was shown is as it should be")
        return 1 if demo.wrong else 0


def _before(demo: Demo) -> None:
    demo.step("The copy carries the original's ids")
    demo.run("relun", "conflicts", "original.img", "clone.img")
    demo.run("relun", "inspect", "clone.img")
    if _loops(demo):
        with lvm.attached(
            demo.path("original.img"), demo.path("clone.img"), read_only=True
        ) as tools:
            print("$ pvs    (LVM2, with both on loop devices)")
            result = tools.run("pvs", "-o", "pv_name,pv_uuid,vg_name")
            print((result.out + result.err).rstrip())
            demo.expect(
                "Not using device" in result.err,
                "LVM2 takes both for one PV, and ignores one of them",
            )


def _resign(demo: Demo) -> None:
    demo.step("What a resign will change, to the byte")
    demo.run("relun", "plan", "clone.img", "--sr-uuid", SR_UUID)
    demo.step("The resign")
    code = demo.run("relun", "resign", "clone.img", "--sr-uuid", SR_UUID)
    demo.expect(code == 0, "resigned")
    code = demo.run("relun", "verify", "clone.img", "--against", "original.img")
    demo.expect(code == 0, "no old id is left, no other byte changed")
    demo.run("relun", "conflicts", "original.img", "clone.img")


def _side_by_side(demo: Demo) -> None:
    demo.step("Original and clone through LVM2's own tools")
    if not _found(demo, "pvck", "lvm2"):
        return
    names = {}
    for name in ("original.img", "clone.img"):
        text = lvm.dump_metadata(demo.path(name))
        names[name] = text.split(" {")[0].strip()
        print(f"$ pvck --dump metadata {name}\n{names[name]}")
    demo.expect(len(set(names.values())) == 2, "two VG names")
    if not _loops(demo):
        return
    reports = lvm.clean_side_by_side(demo.path("original.img"), demo.path("clone.img"))
    print("$ vgs; lvs    (both on loop devices)")
    for vg in reports.vgs:
        print(f"  {vg['vg_name']}  {vg['vg_uuid']}  {vg['lv_count']} LVs")
    for volume in reports.lvs:
        print(f"    {volume['vg_name'][14:22]}…  {volume['lv_name']}")
    demo.expect(True, "pvs, vgs, lvs, pvck and vgck: two clean VGs, no duplicate, no warning")


def _guests(demo: Demo) -> None:
    demo.step("The guests' data through libvhdi")
    if not _libvhdi(demo):
        return
    facts = golden.manifest(IMAGE)["vdis"]
    expected = {name: facts[name]["sha256"] for name in facts}
    for name in ("original.img", "clone.img"):
        guests = chain.read_guests(demo.path(name))
        for guest in guests.values():
            print(f"  {name:<13} {guest.volume:<41} {guest.sha256[:16]}…")
        same = sorted(guest.sha256 for guest in guests.values()) == sorted(expected.values())
        demo.expect(same, f"{name}: {len(guests)} disks, SHA-256 as the manifest says")


def _undo(demo: Demo) -> None:
    demo.step("And back")
    demo.expect(demo.run("relun", "undo", "clone.img") == 0, "undone")
    demo.expect(demo.run("cmp", "original.img", "clone.img") == 0, "the same bytes again")


def _loops(demo: Demo) -> bool:
    if os.geteuid() != 0 or not os.path.exists("/dev/loop-control"):
        demo.skip("LVM2 over loop devices: needs root and /dev/loop-control")
        return False
    return _found(demo, "pvs", "lvm2") and _found(demo, "losetup", "mount")


def _found(demo: Demo, tool: str, package: str) -> bool:
    if shutil.which(tool, path=os.environ.get("PATH", "") + SBIN):
        return True
    demo.skip(f"{tool} is missing (Debian package {package})")
    return False


def _libvhdi(demo: Demo) -> bool:
    command = [chain.SYSTEM_PYTHON, "-c", "import pyvhdi"]
    if os.path.exists(chain.SYSTEM_PYTHON) and not subprocess.run(command, check=False).returncode:
        return True
    demo.skip("libvhdi is missing (Debian package python3-libvhdi)")
    return False


def _environment() -> dict[str, str]:
    path = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}{SBIN}"
    return {**os.environ, "PATH": path}


if __name__ == "__main__":
    os.environ["PATH"] += SBIN
    sys.exit(main())
