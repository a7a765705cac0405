"""A clone's way into a pool of XenServer or XCP-ng hosts and out of it, over XenAPI.

Needs Python 3.11 and the ``XenAPI`` package (``pip install relun[pool]``).
"""
