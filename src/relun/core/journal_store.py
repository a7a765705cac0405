"""Puts the journal on a LUN and takes it away again, so that every crash leaves a way back.

Where zeros lay: pointer, flush, pages, flush; and back: zeros, flush, pointer, flush. Where old
bytes lay, pages are first kept in the stash: a few at a time, stash, flush, pages, flush.
"""

from relun.core.device import Device
from relun.core.errors import DeviceError
from relun.core.hints import Optional
from relun.core.journal import pages
from relun.core.journal.marker import POINTER_AT, SECTOR, STASH_AT, Pointer, Region


class JournalStore:
    """The space of one journal on its LUN."""

    def __init__(self, device: Device, region: Region) -> None:
        self.device = device
        self.region = region

    def announce(self, pointer: Pointer) -> None:
        """Write the pointer; on return it is durable."""
        self._write(POINTER_AT, pointer.pack())

    def publish(self, whole: bytes) -> None:
        """Write the region; on return it is durable and reads back right."""
        if self.region.zeroed:
            self._write(self.region.offset, whole)
            return
        for batch in pages.batches(pages.parse_pages(whole, self.region.tag)):
            start = batch[0].number * pages.PAGE
            self._write(STASH_AT, pages.pack_stash(batch))
            self._put(batch[0].number, whole[start : start + len(batch) * pages.PAGE])
        self._write(STASH_AT, bytes(pages.STASH_SIZE))

    def retract(self) -> None:
        """Put back what lay under this journal's pages, and leave all else: it is another's."""
        whole = self.device.read(self.region.offset, self.region.size)
        for page in pages.parse_pages(whole, self.region.tag):
            self._put(page.number, page.old)

    def withdraw(self, previous: Optional[Region]) -> None:
        """Put back what lay under the journal, then the pointer that stood there before.

        Works from any state a crash left, a repeated withdrawal included.
        """
        if self.region.zeroed:
            self._write(self.region.offset, bytes(self.region.size))
        else:
            stash = pages.parse_stash(self.device.read(STASH_AT, pages.STASH_SIZE))
            if stash is not None:  # pages a crash may have torn: before the stash serves others
                self._put(stash.first, stash.old)
            whole = self.device.read(self.region.offset, self.region.size)
            for batch in pages.batches(pages.parse_pages(whole, self.region.tag)):
                self._write(STASH_AT, pages.pack_stash(batch))
                self._put(batch[0].number, b"".join(page.old for page in batch))
        self.abandon(previous)

    def abandon(self, previous: Optional[Region]) -> None:
        """Give up stash and pointer, whatever lies where the journal was."""
        if not self.region.zeroed:
            self._write(STASH_AT, bytes(pages.STASH_SIZE))
        forget(self.device, previous)

    def _put(self, first_page: int, data: bytes) -> None:
        self._write(self.region.offset + first_page * pages.PAGE, data)

    def _write(self, offset: int, data: bytes) -> None:
        write_flushed(self.device, offset, data)


def forget(device: Device, previous: Optional[Region]) -> None:
    """Put back the pointer that stood there before relun's, whatever lies where it points to."""
    write_flushed(device, POINTER_AT, Pointer(previous).pack() if previous else bytes(SECTOR))


def write_flushed(device: Device, offset: int, data: bytes) -> None:
    """Write, flush and read back. Raise DeviceError (device-lied: reported, but not stored)."""
    device.write(offset, data)
    device.flush()
    if device.read(offset, len(data)) != data:
        raise DeviceError("device-lied", device=device.path, offset=offset)
