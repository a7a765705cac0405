"""A TCP proxy that makes trouble: latency, cut and reset connections, silence."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from typing import Any, Self

from remote.servers import HOST


class Proxy:
    """Forwards to a port until its context ends. ``port`` is its own.

    ``delay``: seconds each byte takes, one way. ``connections``: how many there were.
    """

    def __init__(self, target: int, delay: float = 0.0) -> None:
        self.port = 0
        self.delay = delay
        self.connections = 0
        self._target = target
        self._budget = -1  # bytes that still go to the server before the connection is cut
        self._silent = False
        self._refusing = False
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def cut(self) -> None:
        """Close all connections."""
        self._call(self._close_all, False)

    def reset(self) -> None:
        """Reset all connections."""
        self._call(self._close_all, True)

    def cut_after(self, count: int) -> None:
        """Cut the connection once, after so many more bytes went to the server."""
        self._budget = count

    def refuse(self, refusing: bool = True) -> None:
        """Close every new connection at once."""
        self._refusing = refusing

    def silence(self, silent: bool = True) -> None:
        """Let nothing come back from the server any more."""
        self._silent = silent

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def __exit__(self, *_exc: Any) -> None:
        self._call(self._server.close)
        self._call(self._close_all, False)
        self._call(self._cancel_tasks)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, function: Any, *arguments: Any) -> None:
        async def run() -> None:
            function(*arguments)

        asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def _cancel_tasks(self) -> None:
        for task in asyncio.all_tasks(self._loop) - {asyncio.current_task()}:
            task.cancel()

    def _close_all(self, reset: bool) -> None:
        for writer in list(self._open):
            if reset:
                linger = struct.pack("ii", 1, 0)
                found = writer.get_extra_info("socket")
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort() if reset else writer.close()
        self._open.clear()

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self._refusing:
            writer.close()
            return
        try:
            behind_reader, behind = await asyncio.open_connection(HOST, self._target)
        except OSError:
            writer.close()
            return
        self._open |= {writer, behind}
        await asyncio.gather(
            self._forward(reader, behind, True), self._forward(behind_reader, writer, False)
        )

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to_server: bool
    ) -> None:
        late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sender = asyncio.ensure_future(self._send_late(late, writer))
        while data := await _read(reader):
            if to_server and self._budget >= 0:
                if len(data) > self._budget:
                    data, self._budget = data[: self._budget], -1
                    writer.write(data)
                    self._close_all(False)
                    break
                self._budget -= len(data)
            if self._silent and not to_server:
                continue
            late.put_nowait((self._loop.time() + self.delay, data))
        late.put_nowait((self._loop.time() + self.delay, b""))
        await sender

    async def _send_late(
        self, late: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        while True:
            when, data = await late.get()
            rest = when - self._loop.time()
            if rest > 0:
                await asyncio.sleep(rest)
            if not data:
                writer.close()
                return
            writer.write(data)


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(1 << 16)
    except OSError:
        return b""
