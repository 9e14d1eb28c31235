"""A client of HTTP that costs little: what it takes is missing from the server's share.

One connection for each request, no redirects, no TLS: enough for servers beside it.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import urlsplit

DONE = "[DONE]"


class Response:
    """The response to one request, of which the head has arrived.

    Attributes
    ----------
    status : int
        HTTP status.
    headers : dict of str to str
        The headers, their names in lower case.
    """

    def __init__(self, reader: asyncio.StreamReader, head: bytes) -> None:
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        self.status = int(first.split()[1])
        pairs = (line.partition(":") for line in lines)
        self.headers = {name.lower(): value.strip() for name, _, value in pairs}
        self._reader = reader

    @classmethod
    async def begun(cls, reader: asyncio.StreamReader) -> Self:
        """Return the response once its head has arrived."""
        return cls(reader, await reader.readuntil(b"\r\n\r\n"))

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the body, in the parts that the server has sent."""
        length = self.headers.get("content-length")
        if length is not None:
            yield await self._reader.readexactly(int(length))
            return
        while True:
            size = int(await self._reader.readline(), 16)
            part = await self._reader.readexactly(size + 2)
            if not size:
                return
            yield part[:-2]

    async def json(self) -> Any:
        """Return the whole body as a JSON value."""
        return json.loads(b"".join([part async for part in self.parts()]))

    async def events(self) -> AsyncIterator[Any]:
        """Yield the data of server-sent events as JSON values, until `[DONE]`."""
        rest = b""
        async for part in self.parts():
            *whole, rest = (rest + part).split(b"\n\n")
            for event in whole:
                for line in event.decode().splitlines():
                    name, _, value = line.partition(": ")
                    if name == "data" and value != DONE:
                        yield json.loads(value)


@asynccontextmanager
async def sent(
    url: str, body: Any = None, *, buffer: int | None = None
) -> AsyncIterator[Response]:
    """Send a request, a POST if it has a body; leaving the block hangs up.

    Parameters
    ----------
    url : str
        Address and path.
    body : any JSON value or bytes, optional
        The body; bytes are sent as they are.
    buffer : int, optional
        Bytes that may arrive before they are read, so that the server feels a slow
        reader.
    """
    address = urlsplit(url)
    head = _head(address.netloc, address.path, body)
    reader, writer = await _connected(address.hostname, address.port, buffer)
    try:
        writer.write(head)
        yield await Response.begun(reader)
    finally:
        writer.transport.abort()


async def _connected(
    host: str | None, port: int | None, buffer: int | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if buffer is None:
        return await asyncio.open_connection(host, port)
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    one.setblocking(False)
    await asyncio.get_running_loop().sock_connect(one, (host, port))
    return await asyncio.open_connection(sock=one, limit=buffer)


def _head(host: str, path: str, body: Any) -> bytes:
    if body is None:
        return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data
