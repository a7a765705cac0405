"""The engine: reads a LUN, plans its new identity and makes it durable.

Runs unchanged in dom0 on CPython 3.6; imports the standard library only.
"""
