"""The LVM2 on-disk format: label, metadata areas, the metadata text and the VG in it."""
