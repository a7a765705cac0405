#!/usr/bin/python3
"""The xapi plugin relun. Installed as /etc/xapi.d/plugins/relun, a copy or a link."""

import os
import sys

# relun lies around this file when that is a link into relun, else in its place in dom0.
_HERE = os.path.dirname(os.path.realpath(__file__))
_AROUND = os.path.dirname(os.path.dirname(os.path.dirname(_HERE)))
_RELUN = _AROUND if os.path.isdir(os.path.join(_AROUND, "relun", "core")) else "/usr/share/relun"
sys.path = [_RELUN] + [folder for folder in sys.path if folder != _HERE]  # this file is no package
sys.path.append("/opt/xensource/sm")

from relun.dom0 import plugin  # noqa: E402

if __name__ == "__main__":
    import XenAPIPlugin

    XenAPIPlugin.dispatch(plugin.functions())
