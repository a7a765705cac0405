"""Hostile bytes for every parser and for whole LUNs: targets, their seeds, and the runs."""
