"""relun inside dom0: SM drivers and a xapi plugin, on the host's own Python (3.6 or later)."""
