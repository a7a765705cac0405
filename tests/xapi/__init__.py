"""A stand-in of xapi and of the hosts of a pool, for tests of what runs in dom0."""
