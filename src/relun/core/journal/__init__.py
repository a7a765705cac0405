"""relun's own structures on the LUN: pointer, stash, pages, marker; and the edits in them.

    bytes 0-2047      a PV's label lies in one of the first four sectors; in progress: the marker
    bytes 2048-2559   pointer: where the journal lies
    bytes 2560-4095   stash: one page of old bytes, used only where the journal replaces old bytes
    free ring space   the journal, in pages of 1 KiB

LVM uses none of these bytes (docs/format.md has every field).
"""
