"""Stand-ins of a host's storage manager (SM), for tests: the documented API, on LUN files.

One implementation serves all three worlds; ``xapi.worlds`` lays it out under each world's module
names. Runs on CPython 3.6, as dom0 does. Shares no code with relun.
"""
