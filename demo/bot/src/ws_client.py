"""A WebSocket client (RFC 6455) of the standard library, for text messages over asyncio.

The bot has to run on hosts where nothing can be installed, so it brings its own.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import struct
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

MAX_MESSAGE = 1 << 20
"""Bytes; a longer message ends the connection with code 1009."""

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


class WebSocketError(Exception):
    """The handshake failed, or the server broke the protocol."""


class ConnectionClosedError(WebSocketError):
    """The connection has ended, by a close frame or without one."""


def accept_key(key: str) -> str:
    """What the server must answer to `key` (section 4.2.2)."""
    return base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()  # noqa: S324 - the RFC says so


def encode_frame(opcode: int, payload: bytes, mask: bytes) -> bytes:
    """One final frame as a client sends it; `mask` is 4 bytes (section 5.2)."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
    stream = (mask * (size // 4 + 1))[:size]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")
    return head + mask + masked.to_bytes(size, "big")


async def connect(url: str, timeout: float = 10) -> WebSocket:
    """Open `url` (``ws://`` or ``wss://``) within `timeout` seconds.

    Raises :class:`OSError`, :class:`asyncio.TimeoutError` or :class:`WebSocketError`.
    """
    return await asyncio.wait_for(_connect(url), timeout)


class WebSocket:
    """An open connection; iterate over it to get the text messages."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._closing = False

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        try:
            return await self.receive()
        except ConnectionClosedError:
            raise StopAsyncIteration from None

    async def send(self, text: str) -> None:
        """Send one text message."""
        await self._send(_TEXT, text.encode())

    async def receive(self) -> str:
        """The next text message; pings on the way are answered.

        Raises :class:`ConnectionClosedError` once the connection has ended.
        """
        try:
            return await self._receive()
        except _ViolationError as error:
            await self.close(error.code)
            raise WebSocketError(str(error)) from None
        except (EOFError, OSError) as error:
            self._writer.close()
            raise ConnectionClosedError(f"connection lost: {error}") from None

    async def close(self, code: int = 1000) -> None:
        """Say goodbye with `code` and drop the connection; never raises, may be called twice."""
        try:
            if not self._closing:
                self._closing = True
                await asyncio.wait_for(self._send(_CLOSE, struct.pack("!H", code)), 1)
        except (OSError, asyncio.TimeoutError):
            pass
        finally:
            self._writer.close()

    async def _send(self, opcode: int, payload: bytes) -> None:
        self._writer.write(encode_frame(opcode, payload, os.urandom(4)))
        await self._writer.drain()

    async def _receive(self) -> str:
        parts: list[bytes] = []
        while True:
            final, opcode, payload = await self._read_frame()
            if opcode == _PING:
                await self._send(_PONG, payload)
            elif opcode == _CLOSE:
                await self.close(_reply_code(payload))
                raise ConnectionClosedError("closed by the server")
            elif opcode in (_TEXT, _CONTINUATION):
                if (opcode == _CONTINUATION) != bool(parts):
                    raise _ViolationError(1002, "fragments out of order")
                parts.append(payload)
                if sum(map(len, parts)) > MAX_MESSAGE:
                    raise _ViolationError(1009, "message too long")
                if final:
                    return _text(b"".join(parts))
            elif opcode == _BINARY:
                raise _ViolationError(1003, "binary message")
            elif opcode != _PONG:
                raise _ViolationError(1002, f"unknown opcode {opcode:#x}")

    async def _read_frame(self) -> tuple[bool, int, bytes]:
        first, second = await self._reader.readexactly(2)
        final, opcode, size = bool(first & 0x80), first & 0x0F, second & 0x7F
        if first & 0x70:
            raise _ViolationError(1002, "reserved bit set")
        if second & 0x80:
            raise _ViolationError(1002, "masked frame from a server")
        if opcode >= _CLOSE and (size > 125 or not final):
            raise _ViolationError(1002, "long or fragmented control frame")
        if size == 126:
            (size,) = struct.unpack("!H", await self._reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self._reader.readexactly(8))
        if size > MAX_MESSAGE:
            raise _ViolationError(1009, "message too long")
        return final, opcode, await self._reader.readexactly(size)


class _ViolationError(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


async def _connect(url: str) -> WebSocket:
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise WebSocketError(f"not a WebSocket address: {url}")
    secure = parts.scheme == "wss"
    port = parts.port or (443 if secure else 80)
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=True if secure else None)
    try:
        key = base64.b64encode(os.urandom(16)).decode()
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        writer.write(
            f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        await writer.drain()
        _check_handshake(await reader.readuntil(b"\r\n\r\n"), key)
    except BaseException as error:
        writer.close()
        if isinstance(error, (asyncio.IncompleteReadError, asyncio.LimitOverrunError)):
            raise WebSocketError("no WebSocket handshake from the server") from None
        raise
    return WebSocket(reader, writer)


def _check_handshake(answer: bytes, key: str) -> None:
    status, *lines = answer.decode("latin-1").rstrip("\r\n").split("\r\n")
    words = status.split(None, 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or words[1] != "101":
        raise WebSocketError(f"the server does not upgrade: {status}")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    tokens = [token.strip().lower() for token in headers.get("connection", "").split(",")]
    if headers.get("upgrade", "").lower() != "websocket" or "upgrade" not in tokens:
        raise WebSocketError("the server's handshake lacks its upgrade headers")
    if headers.get("sec-websocket-accept") != accept_key(key):
        raise WebSocketError("the server's handshake has the wrong key")
    if "sec-websocket-extensions" in headers or "sec-websocket-protocol" in headers:
        raise WebSocketError("the server chose an extension or protocol that was not offered")


def _reply_code(payload: bytes) -> int:
    return int(struct.unpack("!H", payload[:2])[0]) if len(payload) >= 2 else 1000


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise _ViolationError(1007, "text that is not UTF-8") from None
