"""One real guard and many hostile messages on both of its sockets: it answers its users and keeps its bot."""

from __future__ import annotations

import array
import contextlib
import json
import os
import random
import socket
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.mangle import FUZZ, altered, documents, mangled
from tests.process import oracle
from tests.process.world import World

REQUEST = {"verb": "ping", "by": "anna", "reason": "", "asked": 5.0}
VERBS = ["ping", "wake", "check", "start", "nothing", "", "PING"]  # but none that ends the bot or the guard
LIMIT = 65_536


def test_no_client_of_either_socket_harms_a_guard(world: World) -> None:
    guard, bot = world.guard(), world.until_running()
    before = open_files(guard)
    talk_to_the_control_socket(world)
    talk_to_the_notify_socket(world)
    crowd(world)
    assert world.status()["guard"]["pid"] == guard
    assert world.status()["state"] == "running" and world.bot == bot
    oracle.until(lambda: open_files(guard) <= before, "all clients' descriptors are closed again")
    assert not world.events("error") and "Traceback" not in world.log, world.log[-2000:]


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def say(world: World, content: bytes, listen: bool = True) -> None:
    """Send it to the control socket, and hang up, with or without hearing the answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client, contextlib.suppress(BrokenPipeError):
        client.settimeout(15)
        connect(client, world.instance / "control.sock")
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [1]))]
        client.sendmsg([content[:LIMIT]], rights if len(content) % 3 == 0 else [])
        if listen:
            client.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while client.recv(LIMIT):
                    pass


def connect(client: socket.socket, path: Path) -> None:
    """By a short name, since the path may be too long for an address; again while too many clients wait."""
    folder = os.open(path.parent, os.O_PATH)

    def connected() -> bool:
        try:
            client.connect(f"/proc/self/fd/{folder}/{path.name}")
        except BlockingIOError:
            return False
        return True

    try:
        oracle.until(connected, "the guard takes a client")
    finally:
        os.close(folder)


def talk_to_the_control_socket(world: World) -> None:
    requests = st.one_of(
        st.tuples(altered(REQUEST), st.sampled_from(VERBS)).map(
            lambda pair: json.dumps({"verb": pair[1], **pair[0]}).encode()
        ),
        documents(REQUEST),
    )

    @FUZZ
    @given(requests, st.sampled_from([b"\n", b"", b"\n\n", b"\r\n{}\n"]), st.booleans())
    @example(b"[" * 9999, b"\n", True)
    @example(b'{"verb": "start", "by": "\\ud800", "reason": {"x": 1e999}, "asked": NaN}', b"\n", True)
    def talk(request: bytes, end: bytes, listen: bool) -> None:
        say(world, request + end, listen)

    talk()


def talk_to_the_notify_socket(world: World) -> None:
    path = world.instance / "notify.sock"

    @FUZZ
    @given(mangled(b"READY=1\nSTATUS=trading\nWATCHDOG=1\nMAINPID=1\n"), st.booleans())
    def talk(message: bytes, with_rights: bool) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.settimeout(15)
            connect(client, path)
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [1, 2]))]
            client.sendmsg([message], rights if with_rights else [])

    talk()


def crowd(world: World) -> None:
    """Clients that never finish a line keep nobody waiting."""
    dice = random.Random(1)
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            client = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            client.settimeout(15)
            connect(client, world.instance / "control.sock")
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                client.sendall(dice.randbytes(dice.randint(0, 300)).replace(b"\n", b""))
        assert world.ok("check", "--json").json["ok"]
