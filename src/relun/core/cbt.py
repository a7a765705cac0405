"""A changed-block-tracking log: which VDI came before and after.

Source: blktap cbt/cbt-util.c (struct cbt_log_metadata), little endian, no magic, no checksum.
"""

import struct

from relun.core.hints import NamedTuple

HEADER_SIZE = 48


class CbtLog(NamedTuple):
    """The head of a log (48 bytes)."""

    raw: bytes

    @property
    def parent(self) -> bytes:
        """Uuid of the VDI before, 16 bytes, all zero for none."""
        return self.raw[0:16]

    @property
    def child(self) -> bytes:
        """Uuid of the VDI after, 16 bytes, all zero for none."""
        return self.raw[16:32]

    @property
    def consistent(self) -> bool:
        """The log was closed properly."""
        return bool(struct.unpack_from("<i", self.raw, 32)[0])

    @property
    def virtual_size(self) -> int:
        """Size of the tracked disk in bytes."""
        return int(struct.unpack_from("<Q", self.raw, 40)[0])

    def with_links(self, parent: bytes, child: bytes) -> "CbtLog":
        """Return the head with other links."""
        return CbtLog(parent + child + self.raw[32:])
