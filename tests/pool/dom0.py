"""relun's plugin on a host of the site, which sees certain LUNs.

The real file is run by a few lines that tell it where this host's devices are: it would look at
those of this machine.
"""

from __future__ import annotations

from pool.site import PoolLun
from xapi.pool import Host
from xapi.worlds import PLUGINS, SRC

_FILE = """
import runpy, sys
sys.path.insert(0, {source!r})
from relun.core import sysfs
from relun.dom0 import luns
sysfs.all_disks = lambda: {paths!r}
luns._BY_SCSI_ID = ({folder!r} + "/scsi-{{}}",)
runpy.run_path({plugin!r}, run_name="__main__")
"""


def install_plugin(host: Host, *luns: PoolLun) -> None:
    """Install the plugin on a host that sees these LUNs."""
    devices = host.runner.dom0.root / "seen"
    devices.mkdir()
    for lun in luns:
        (devices / f"scsi-{lun.scsi_id}").symlink_to(lun.file)
    text = _FILE.format(
        source=str(SRC),
        paths=sorted(map(str, devices.iterdir())),
        folder=str(devices),
        plugin=str(PLUGINS / "relun.py"),
    )
    (host.runner.dom0.plugins / "relun").write_text(text)
