"""What remote devices share: whole blocks go over the wire, independent ones all at once."""

from relun.core.device import Device
from relun.core.errors import DeviceError
from relun.core.hints import List, Sequence, Tuple
from relun.core.sysfs import BlockNode

Range = Tuple[int, int]  # (start, end) in bytes, whole blocks


class Wire:
    """What went over a connection: how often an answer was waited for, and requests sent."""

    def __init__(self) -> None:
        self.round_trips = self.requests = 0

    def count(self, requests: int) -> None:
        """Note requests that go out together."""
        self.round_trips += 1
        self.requests += requests


class RemoteDevice(Device):
    """A LUN that is reached by requests for whole blocks."""

    pipelined = True

    def __init__(self, path: str, size: int, block_size: int, node: BlockNode, wire: Wire) -> None:
        super().__init__(path, size, block_size)
        self.wire = wire
        self._node = node

    def describe(self) -> BlockNode:
        """Return what the LUN says of itself."""
        return self._node

    def read_many(self, ranges: Sequence[Tuple[int, int]]) -> List[bytes]:
        """Return the bytes of many ranges, in one round trip."""
        for offset, length in ranges:
            self._expect_inside(offset, length)
            self._bytes_read += length
        spans = self._spans([(offset, offset + length) for offset, length in ranges])
        return _cut(spans, self._get(spans), ranges)

    def write_many(self, writes: Sequence[Tuple[int, bytes]]) -> None:
        """Write in one round trip, or two where blocks are not written as a whole."""
        for offset, data in writes:
            self._expect_inside(offset, len(data))
        spans = self._spans([(offset, offset + len(data)) for offset, data in writes])
        covered = {(offset, offset + len(data)) for offset, data in writes}
        partial = [span for span in spans if span not in covered]
        content = {span: bytearray(span[1] - span[0]) for span in spans}
        for span, old in zip(partial, self._get(partial)):
            content[span][:] = old
        starts = _Places(spans)
        for offset, data in writes:
            if data:
                span = starts.around(offset)
                content[span][offset - span[0] : offset - span[0] + len(data)] = data
        self._put([(span[0], bytes(content[span])) for span in spans])
        self._bytes_written += sum(len(data) for _offset, data in writes)
        self._writes += len(writes)

    def _read(self, offset: int, length: int) -> bytes:
        spans = self._spans([(offset, offset + length)])
        return _cut(spans, self._get(spans), [(offset, length)])[0]

    def _write(self, offset: int, data: bytes) -> None:
        raise NotImplementedError  # ``write`` goes by ``write_many``

    def write(self, offset: int, data: bytes) -> None:
        """Write all of ``data`` at ``offset``; durable only after ``flush``."""
        self.write_many([(offset, data)])

    def _spans(self, ranges: Sequence[Range]) -> List[Range]:
        """Return the blocks that ranges touch, joined where they meet, in order."""
        block = self.block_size
        spans: List[Range] = []
        for start, end in sorted(found for found in ranges if found[0] < found[1]):
            low, high = start // block * block, -(-end // block) * block
            if high > self.size:  # the last block is not whole
                raise DeviceError(
                    "device-bounds",
                    device=self.path,
                    offset=start,
                    length=end - start,
                    size=self.size,
                )
            if spans and low <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(spans[-1][1], high))
            else:
                spans.append((low, high))
        return spans

    def _get(self, spans: Sequence[Range]) -> List[bytes]:
        """Return the bytes of spans of whole blocks."""
        raise NotImplementedError

    def _put(self, writes: Sequence[Tuple[int, bytes]]) -> None:
        """Write whole blocks; no two of the writes overlap."""
        raise NotImplementedError


class _Places:
    """Finds the span around an offset."""

    def __init__(self, spans: Sequence[Range]) -> None:
        self._spans = spans
        self._starts = [start for start, _end in spans]

    def around(self, offset: int) -> Range:
        from bisect import bisect_right

        return self._spans[bisect_right(self._starts, offset) - 1]


def _cut(
    spans: Sequence[Range], found: Sequence[bytes], ranges: Sequence[Tuple[int, int]]
) -> List[bytes]:
    """Return the bytes of ranges (offset, length) out of those of the spans around them."""
    places, content = _Places(spans), dict(zip(spans, found))
    parts = []
    for offset, length in ranges:
        if not length:
            parts.append(b"")
            continue
        span = places.around(offset)
        parts.append(content[span][offset - span[0] : offset - span[0] + length])
    return parts


def split(start: int, end: int, most: int) -> List[Range]:
    """Return a span in parts of at most so many bytes."""
    return [(at, min(at + most, end)) for at in range(start, end, most)]
