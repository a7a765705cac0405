"""Foreign tools the tests call: a test that cannot run says which one is missing."""

import os
import shutil

import pytest

_PACKAGES = {
    "pvck": "lvm2",
    "vgimportclone": "lvm2",
    "losetup": "mount",
    "qemu-img": "qemu-utils",
    "strace": "strace",
    "/usr/bin/python3": "python3-libvhdi",
    "zstd": "zstd",
}


def needs(*tools: str, root: bool = False) -> pytest.MarkDecorator:
    """Return the mark of a test that calls ``tools``, as root if so said; it skips without them."""
    missing = [
        "{} (package {})".format(tool, _PACKAGES.get(tool, "?"))
        for tool in tools
        if not shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    ]
    if root and os.geteuid() != 0:
        missing.append("root")
    if root and not os.path.exists("/dev/loop-control"):
        missing.append("/dev/loop-control (loop devices)")
    return pytest.mark.skipif(bool(missing), reason="missing: " + ", ".join(missing))
