"""The bot's own WebSocket client, held to RFC 6455 and to a server from another author."""

from __future__ import annotations

import asyncio
import importlib.util
import struct
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from demo.project import REPOSITORY


def load() -> ModuleType:
    path = REPOSITORY / "demo" / "bot" / "src" / "ws_client.py"
    spec = importlib.util.spec_from_file_location("ws_client", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ws = load()
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


def talk_to(handler: Callable[[ServerConnection], Awaitable[None]], client: Callable[[Any], Awaitable[Any]]) -> Any:
    """Run `client` with our WebSocket, connected to a `websockets` server that runs `handler`."""

    async def both() -> Any:
        async with serve(handler, "127.0.0.1", 0, max_size=None) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            return await client(await ws.connect(f"ws://127.0.0.1:{port}/a?b=c", timeout=5))

    return asyncio.run(asyncio.wait_for(both(), 20))


def talk_raw(frames: bytes) -> bytes:
    """Feed raw server bytes to our client until it fails; returns what the client sent back."""
    sent = b""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line.split(": ")[1] for line in request.split("\r\n") if line.startswith("Sec-WebSocket-Key"))
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
            + f"Sec-WebSocket-Accept: {ws.accept_key(key)}\r\n\r\n".encode()
            + frames
        )
        sent = await reader.read()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        socket = await ws.connect(f"ws://127.0.0.1:{port}/", timeout=5)
        with pytest.raises(ws.WebSocketError):
            await socket.receive()
        while not sent:  # noqa: ASYNC110 - set by the other end of the same loop
            await asyncio.sleep(0)
        server.close()

    asyncio.run(asyncio.wait_for(run(), 20))
    return sent


def close_code(sent: bytes) -> int:
    """The code in a masked close frame."""
    assert sent[0] == 0x88
    assert sent[1] == 0x82
    mask, body = sent[2:6], sent[6:8]
    return int(struct.unpack("!H", bytes(a ^ b for a, b in zip(body, mask[:2], strict=True)))[0])


def test_the_accept_key_is_that_of_the_rfc() -> None:
    assert ws.accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_the_masked_frame_is_that_of_the_rfc() -> None:
    assert ws.encode_frame(0x1, b"Hello", bytes.fromhex("37fa213d")) == bytes.fromhex("818537fa213d7f9f4d5158")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 1 << 20])
def test_texts_of_every_length_come_back_unchanged(size: int) -> None:
    text = ("ä€x" * size)[: size // 3] + "z" * (size - len(("ä€x" * size)[: size // 3].encode()))

    async def echo(server: ServerConnection) -> None:
        async for message in server:
            await server.send(message)

    async def client(socket: Any) -> str:
        await socket.send(text)
        return str(await socket.receive())

    assert talk_to(echo, client) == text


def test_a_fragmented_text_with_a_ping_in_between_is_joined_and_the_ping_answered() -> None:
    answered = False

    async def handler(server: ServerConnection) -> None:
        nonlocal answered

        async def parts() -> Any:
            nonlocal answered
            yield "one "
            await (await server.ping())
            answered = True
            yield "two"

        await server.send(parts())

    async def client(socket: Any) -> str:
        return str(await socket.receive())

    assert talk_to(handler, client) == "one two"
    assert answered


def test_iteration_ends_when_the_server_says_goodbye_and_the_server_sees_a_clean_close() -> None:
    codes: list[int | None] = []

    async def handler(server: ServerConnection) -> None:
        await server.send("1")
        await server.send("2")
        await server.close(1001)
        codes.append(server.close_code)

    async def client(socket: Any) -> list[str]:
        return [message async for message in socket]

    assert talk_to(handler, client) == ["1", "2"]
    assert codes == [1001]


def test_closing_tells_the_server_so() -> None:
    codes: list[int | None] = []

    async def handler(server: ServerConnection) -> None:
        await server.wait_closed()
        codes.append(server.close_code)

    async def client(socket: Any) -> None:
        await socket.close()
        await socket.close()

    talk_to(handler, client)
    assert codes == [1000]


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 1002),  # masked
        (b"\xc1\x01x", 1002),  # reserved bit
        (b"\x83\x00", 1002),  # unknown opcode
        (b"\x80\x00", 1002),  # continuation of nothing
        (b"\x01\x01x\x81\x01x", 1002),  # a new text within a fragmented one
        (b"\x01\x00\x81\x01x", 1002),  # the same after an empty first fragment
        (b"\x09\x00", 1002),  # fragmented ping
        (b"\x89\x7e\x00\x7e" + b"x" * 126, 1002),  # long ping
        (b"\x82\x01x", 1003),  # binary
        (b"\x81\x02\xc3\x28", 1007),  # not UTF-8
        (b"\x81\x7f\x00\x00\x00\x00\x00\x10\x00\x01", 1009),  # one byte over the limit
    ],
)
def test_a_server_that_breaks_the_protocol_is_left_with_the_right_code(frames: bytes, code: int) -> None:
    assert close_code(talk_raw(frames)) == code


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"garbage\r\n\r\n",
        UPGRADED + b"\r\n",
        UPGRADED + b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        b"HTTP/1.1 101",
    ],
)
def test_a_server_that_does_not_speak_websocket_is_an_error_not_a_connection(answer: bytes) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ws.WebSocketError):
            await ws.connect(f"ws://127.0.0.1:{port}/", timeout=5)
        server.close()

    asyncio.run(run())


def test_a_silent_server_is_a_timeout() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(handler, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(asyncio.TimeoutError):
            await ws.connect(f"ws://127.0.0.1:{port}/", timeout=0.05)
        server.close()

    asyncio.run(run())
