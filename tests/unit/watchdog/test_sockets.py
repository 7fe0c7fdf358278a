"""The TCP connections of a process: real ones, those that are none, and answers that the kernel never gives."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.watchdog.parts import PROPERTY, Sleepers, VirtualClock, until
from tests.unit.watchdog.puppet import Puppet, as_nobody, serving
from watchdog import sockets
from watchdog.sockets import Book, Stream, streams


def told(process: Puppet, book: Book | None = None) -> tuple[Stream, ...]:
    """Its connections, which can be told."""
    found = streams(process.pid, book)
    assert found is not None
    return found


def only(process: Puppet, book: Book | None = None) -> Stream:
    """Its one connection."""
    (found,) = told(process, book)
    return found


def inode(end: socket.socket) -> int:
    """The number of a socket of ours."""
    return os.fstat(end.fileno()).st_ino


def name_of(server: socket.socket) -> str:
    """Host and port, as a stream names its peer."""
    host, port = server.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# What is counted -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [True, False], ids=["with a book", "without"])
def test_what_was_received_and_what_of_it_is_unread(puppet: Puppet, server: socket.socket, kept: bool) -> None:
    book = Book() if kept else None
    with puppet.connect(server) as end:
        first = only(puppet, book)
        assert first == (first.key, name_of(server), False, 0, 0)
        end.sendall(b"x" * 1000)
        until(lambda: only(puppet, book).received == 1000)
        assert only(puppet, book) == (first.key, name_of(server), False, 1000, 1000)
        puppet.do("kept['it'].recv(400)")
        assert only(puppet, book) == (first.key, name_of(server), False, 600, 1000)
        puppet.do("kept['it'].recv(600)")
        assert only(puppet, book) == (first.key, name_of(server), False, 0, 1000)


def test_what_was_sent_counts_as_nothing_received(puppet: Puppet, server: socket.socket) -> None:
    with puppet.connect(server) as end:
        puppet.do("kept['it'].sendall(b'x' * 5000)")
        assert len(end.recv(5000, socket.MSG_WAITALL)) == 5000
        assert only(puppet)[2:] == (False, 0, 0)


def test_every_connection_is_one_stream_with_its_own_key(puppet: Puppet, server: socket.socket) -> None:
    server.listen(400)
    puppet.do(f"kept['many'] = [socket.create_connection({server.getsockname()}) for _ in range(400)]")
    ends = [server.accept()[0] for _ in range(400)]
    for number, end in enumerate(ends):
        end.sendall(b"x" * (number + 1))
    until(lambda: all(stream.backlog for stream in told(puppet)))
    found = told(puppet)
    assert sorted(stream.backlog for stream in found) == list(range(1, 401))
    assert len({stream.key for stream in found}) == 400
    for end in ends:
        end.close()


def test_a_connection_that_was_accepted_counts_like_one_that_was_made(puppet: Puppet) -> None:
    puppet.do("kept['server'] = socket.create_server(('127.0.0.1', 0))")
    puppet.do("open('/proc/self/comm', 'w').write(str(kept['server'].getsockname()[1]))")
    with open(f"/proc/{puppet.pid}/comm") as file:
        port = int(file.read())
    book = Book()
    assert told(puppet, book) == ()
    with socket.create_connection(("127.0.0.1", port)) as end:
        puppet.do("kept['accepted'] = kept['server'].accept()[0]")
        assert only(puppet, book).peer == name_of(end)


def test_ipv6_is_told_in_brackets(puppet: Puppet) -> None:
    with serving("::1") as server, puppet.connect(server) as end:
        end.sendall(b"12345")
        until(lambda: only(puppet).backlog)
        assert only(puppet)[1:] == (f"[::1]:{server.getsockname()[1]}", False, 5, 5)


def test_ipv4_over_an_ipv6_socket_is_told_as_ipv4(puppet: Puppet, server: socket.socket) -> None:
    book = Book()
    with puppet.connect(server, host="::ffff:127.0.0.1") as end:
        end.sendall(b"12345")
        until(lambda: only(puppet, book).backlog)
        assert only(puppet, book)[1:] == (name_of(server), False, 5, 5)


@pytest.mark.parametrize("kept", [True, False], ids=["with a book", "without"])
def test_a_connection_that_the_other_side_closed_is_closing_until_it_is_closed_here(
    puppet: Puppet, server: socket.socket, kept: bool
) -> None:
    book = Book() if kept else None
    with puppet.connect(server) as end:
        assert not only(puppet, book).closing
        end.sendall(b"last words")
    until(lambda: only(puppet, book).closing)
    assert only(puppet, book)[2:] == (True, 11, 11), "ten bytes and the end"
    puppet.do("kept['it'].recv(4)")
    assert only(puppet, book)[2:] == (True, 7, 11)
    puppet.do("while kept['it'].recv(10): pass")
    assert only(puppet, book)[2:] == (True, 0, 11)
    puppet.do("kept['it'].close()")
    assert told(puppet, book) == ()


# What is none --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "kept['it'] = socket.socket()",
        "kept['it'] = socket.socket(socket.AF_INET6)",
        "kept['it'] = socket.create_server(('127.0.0.1', 0))",
        "kept['it'] = socket.create_server(('::1', 0), family=socket.AF_INET6)",
        "kept['it'] = socket.socketpair()",
        "kept['it'] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); kept['it'].connect(('127.0.0.1', 9))",
        "kept['it'] = os.pipe()",
    ],
)
def test_what_is_no_tcp_connection_is_no_stream(puppet: Puppet, server: socket.socket, line: str) -> None:
    book = Book()
    puppet.do(line)
    assert told(puppet, book) == told(puppet) == ()
    with puppet.connect(server, "another"):
        assert only(puppet, book) == only(puppet)
        assert only(puppet, book).peer == name_of(server)


def test_a_connection_that_is_reset_or_closed_from_here_is_no_stream_any_more(
    puppet: Puppet, server: socket.socket
) -> None:
    book = Book()
    reset, left = puppet.connect(server, "reset"), puppet.connect(server, "left")
    assert len(told(puppet, book)) == 2
    reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    reset.close()
    until(lambda: len(told(puppet, book)) == 1)
    puppet.do("kept['left'].shutdown(socket.SHUT_WR)")
    assert told(puppet, book) == told(puppet) == ()
    left.close()


def test_a_socket_that_connects_late_is_found_then(puppet: Puppet, server: socket.socket) -> None:
    book = Book()
    puppet.do("kept['it'] = socket.socket()")
    assert told(puppet, book) == ()
    puppet.do(f"kept['it'].connect({server.getsockname()})")
    assert only(puppet, book).peer == name_of(server)


def test_the_connections_of_others_are_not_its_own(puppet: Puppet, server: socket.socket, sleepers: Sleepers) -> None:
    other = Puppet(sleepers)
    with other.connect(server) as end:
        assert told(puppet) == ()
        assert only(other).key != inode(end)


# The book ------------------------------------------------------------------------------------------------------------


def test_known_connections_and_other_sockets_cost_no_walk(
    puppet: Puppet, server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Book()
    puppet.do("kept['pair'] = socket.socketpair(); kept['server'] = socket.create_server(('127.0.0.1', 0))")
    with puppet.connect(server) as end:
        found = only(puppet, book)
        monkeypatch.setattr(sockets, "_walk", None)
        assert only(puppet, book) == found
        end.sendall(b"12345")
        until(lambda: only(puppet, book).backlog == 5)
        puppet.do("kept['datagrams'] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)")
        assert only(puppet, book).key == found.key


def test_a_connection_takes_the_place_of_another(puppet: Puppet, server: socket.socket) -> None:
    book = Book()
    with puppet.connect(server):
        first = only(puppet, book)
    with puppet.connect(server):  # under the same name: the first is closed
        second = only(puppet, book)
    assert second.key != first.key and set(book.connections) == {second.key}


def test_a_connection_that_only_a_child_has_open_still_is_not_its_own(puppet: Puppet, server: socket.socket) -> None:
    book = Book()
    with puppet.connect(server):
        puppet.do("kept['pipe'] = os.pipe()")
        puppet.do("os.fork() or (os.close(kept['pipe'][1]), os.read(kept['pipe'][0], 1), os._exit(0))")
        assert len(told(puppet, book)) == 1
        puppet.do("kept['it'].close()")
        assert told(puppet, book) == ()


def test_the_book_forgets_what_is_closed(puppet: Puppet) -> None:
    book = Book()
    puppet.do("kept['pair'] = socket.socketpair()")
    assert told(puppet, book) == () and len(book.others) == 2
    puppet.do("[end.close() for end in kept.pop('pair')]")
    assert told(puppet, book) == () and not book.others


def test_on_a_crowded_host_new_connections_are_not_to_be_told_for_a_while(
    puppet: Puppet, server: socket.socket, monkeypatch: pytest.MonkeyPatch, virtual_clock: VirtualClock
) -> None:
    spent = iter([0.0, 0.03, 1.0, 1.03])
    monkeypatch.setattr("time.thread_time", lambda: next(spent))
    book = Book()
    with puppet.connect(server):
        known = told(puppet, book)
        assert len(known) == 1 and told(puppet, book) == known
        with puppet.connect(server, "new"):
            virtual_clock.pass_by(29.9)
            assert streams(puppet.pid, book) is None
            virtual_clock.pass_by(0.2)
            assert len(told(puppet, book)) == 2


# What cannot be told -------------------------------------------------------------------------------------------------


def test_what_was_read_is_what_came_and_does_not_lie_there() -> None:
    assert Stream(1, "192.0.2.7:443", False, 300, 1000).taken == 700


def test_what_arrived_is_told_of_connections_that_go_on_come_and_go() -> None:
    def stream(key: int, received: int) -> Stream:
        return Stream(key, "192.0.2.7:443", False, 0, received)

    before = (stream(1, 1000), stream(2, 5000), stream(3, 700))
    now = (stream(1, 1010), stream(3, 40), stream(4, 2))
    assert sockets.arrived(before, now) == 10 + 40 + 2, "3 is another connection by now"
    assert sockets.arrived((), now) == 1010 + 40 + 2
    assert sockets.arrived(None, now) == sockets.arrived(before, None) == 0


def test_what_is_gone_cannot_be_told(sleepers: Sleepers) -> None:
    process = sleepers.start("true")
    process.wait(10)
    assert streams(process.pid) is None


@pytest.mark.needs_root
def test_the_connections_of_another_user_cannot_be_told(puppet: Puppet, server: socket.socket) -> None:
    with puppet.connect(server):
        assert len(told(puppet)) == 1
        assert as_nobody(lambda: streams(puppet.pid) is None)
        assert as_nobody(lambda: streams(os.getpid()) is not None), "its own can"


@pytest.mark.needs_root
def test_the_connections_in_another_network_cannot_be_told(sleepers: Sleepers) -> None:
    elsewhere = Puppet(sleepers, "unshare", "--net")
    assert streams(elsewhere.pid) is None


def test_beside_a_socket_of_multipath_tcp_nothing_can_be_told(puppet: Puppet, server: socket.socket) -> None:
    with puppet.connect(server):
        puppet.do("kept['multipath'] = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)  # IPPROTO_MPTCP")
        assert streams(puppet.pid) is None
        puppet.do("kept.pop('multipath').close()")
        assert len(told(puppet)) == 1


def test_too_many_descriptors_cannot_be_told(
    puppet: Puppet, server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "_MOST_DESCRIPTORS", 20)
    with puppet.connect(server):
        assert len(told(puppet)) == 1
        puppet.do("kept['many'] = [os.dup(0) for _ in range(20)]")
        assert streams(puppet.pid) is None


# Answers that the kernel never gives ---------------------------------------------------------------------------------


class Kernel:
    """A netlink socket whose answers are ``bent`` before they are read."""

    bent: Callable[[bytes], bytes]

    def __init__(self, *args: int) -> None:
        self._real = socket.socket(*args)

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *args: object) -> None:
        self._real.close()

    def send(self, data: bytes) -> int:
        return self._real.send(data)

    def recv(self, size: int, flags: int) -> bytes:
        return type(self).bent(self._real.recv(size, flags))


@pytest.fixture
def connected(
    puppet: Puppet, server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Callable[[bytes], bytes], Book | None], tuple[Stream, ...] | None]]:
    """Look at a process with one connection, with bent answers."""

    def look(bent: Callable[[bytes], bytes], book: Book | None = None) -> tuple[Stream, ...] | None:
        Kernel.bent = staticmethod(bent)
        return streams(puppet.pid, book)

    with puppet.connect(server):
        monkeypatch.setattr(sockets, "socket", SimpleNamespace(**{**vars(socket), "socket": Kernel}))
        yield look


Look = Callable[..., "tuple[Stream, ...] | None"]


def test_answers_as_they_come_are_understood(connected: Look) -> None:
    assert len(connected(lambda data: data) or ()) == 1


@pytest.mark.parametrize("known", [False, True], ids=["in a walk", "of one connection"])
@pytest.mark.parametrize(
    "bend",
    [
        lambda data: b"",
        lambda data: data[:15],
        lambda data: data[:-1],
        lambda data: data[:60],
        lambda data: b"\0" * len(data),
        lambda data: b"\xff" * len(data),
        lambda data: struct.pack("=I", 0) + data[4:],
        lambda data: struct.pack("=I", 1 << 31) + data[4:],
        lambda data: struct.pack("=IHHIIi", 36, 2, 0, 0, 0, -errno.EPERM) + data[:16],
        lambda data: struct.pack("=IHHIIi", 20, 3, 2, 0, 0, -errno.ENOENT),
        lambda data: data[:16] + b"\0" * (len(data) - 16),
    ],
)
def test_an_answer_that_makes_no_sense_tells_nothing(
    connected: Look, bend: Callable[[bytes], bytes], known: bool
) -> None:
    book = Book()
    if known:
        assert len(connected(lambda data: data, book) or ()) == 1
    assert connected(bend, book) in (None, ())


@pytest.mark.parametrize("number", [errno.ENOBUFS, errno.EAGAIN, errno.EPERM, errno.ENOMEM, errno.EINTR])
def test_a_refusal_of_the_kernel_tells_nothing(connected: Look, number: int) -> None:
    def refuse(data: bytes) -> bytes:
        raise OSError(number, os.strerror(number))

    assert connected(refuse) is None


def test_an_older_kernel_that_does_not_count_what_was_received_tells_nothing(connected: Look) -> None:
    book = Book()
    assert connected(lambda data: data, book)
    short = 16 + struct.calcsize("=BBBB48sIIIII")

    def cut(data: bytes) -> bytes:
        """The answer with struct tcp_info as it was before Linux 4.1: 104 bytes."""
        attribute = struct.pack("=HH", 108, 2) + b"\0" * 104
        return struct.pack("=I", short + len(attribute)) + data[4:short] + attribute

    assert connected(cut, book) is None


def test_no_netlink_tells_nothing(connected: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*args: int) -> None:
        raise OSError(errno.EAFNOSUPPORT, "no netlink here")

    monkeypatch.setattr(sockets, "socket", SimpleNamespace(**{**vars(socket), "socket": none}))
    assert connected(lambda data: data) is None


@PROPERTY
@given(noise=st.binary(max_size=40), at=st.integers(0, 500), known=st.booleans())
def test_noise_in_an_answer_is_never_an_error(connected: Look, noise: bytes, at: int, known: bool) -> None:
    book = Book()
    if known:
        connected(lambda data: data, book)
    found = connected(lambda data: data[:at] + noise + data[at + len(noise) :], book)
    assert found is None or len(found) <= 1
