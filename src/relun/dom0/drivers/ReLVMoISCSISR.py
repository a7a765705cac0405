#!/usr/bin/python3
"""SM driver of the SR type relvmoiscsi. Installed as <sm-dir>/ReLVMoISCSISR, a copy or a link."""

import os
import sys

# relun lies around this file when that is a link into relun, else in its place in dom0. SM's
# modules lie in the folder that this file was called in; a link or "python3 -m observer" hides it.
_HERE = os.path.dirname(os.path.realpath(__file__))
_AROUND = os.path.dirname(os.path.dirname(os.path.dirname(_HERE)))
_RELUN = _AROUND if os.path.isdir(os.path.join(_AROUND, "relun", "core")) else "/usr/share/relun"
sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), _RELUN]
sys.path.append("/opt/xensource/sm")

from relun.dom0 import driver as _driver  # noqa: E402

ReLVMoISCSISR = _driver.driver(_driver.IscsiResigner)
DRIVER_INFO = _driver.driver_info(ReLVMoISCSISR)

if __name__ == "__main__":
    ReLVMoISCSISR.world.command.run(ReLVMoISCSISR, DRIVER_INFO)
else:
    ReLVMoISCSISR.world.sr.registerSR(ReLVMoISCSISR)
