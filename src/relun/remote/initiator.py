"""The name by which relun logs in, where none is given."""

import os
import re

HOST_NAME = "/etc/iscsi/initiatorname.iscsi"
_OWN_NAME = "iqn.2003-01.local.relun:"  # before the host's name


def own_initiator(file: str = HOST_NAME) -> str:
    """Return the name that this host's own initiator has, else one made of the host's name."""
    try:
        with open(file, encoding="utf-8") as opened:
            found = re.search(r"^InitiatorName=(\S+)", opened.read(), re.MULTILINE)
            if found:
                return found.group(1)
    except OSError:
        pass
    return _OWN_NAME + re.sub(r"[^a-z0-9.-]", "-", os.uname().nodename.lower())
