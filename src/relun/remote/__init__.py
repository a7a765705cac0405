"""LUNs that are no local files or block devices: iscsi:// and nbd:// addresses, in user space."""
