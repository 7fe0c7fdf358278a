"""The TCP connections of a process, asked of the kernel by NETLINK_SOCK_DIAG (sock_diag(7)).

The kernel knows no process of a socket, but its inode, and so does /proc/PID/fd. To find a socket by its inode means to
walk through every socket of the host (some 2 ms for a thousand); one whose addresses are known costs 3 µs. So the walk
is made only when the process has a TCP socket that was not there before.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from collections.abc import Iterator
from typing import NamedTuple

from . import clock

_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG, include/uapi/linux/netlink.h
_BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY, the type of requests and of answers
_ERROR, _DONE = 2, 3
_REQUEST, _DUMP = 1, 0x301
_INFO = 2  # INET_DIAG_INFO, an attribute of type tcp_info; asked for by bit 1
_CODE = struct.Struct("=i")
_COUNT = struct.Struct("=Q")
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr: length, type
_HEAD = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence number, port
_ASK = struct.Struct(
    "=BBBxI48s"
)  # struct inet_diag_req_v2: family, protocol, extensions, states, struct inet_diag_sockid
_TOLD = struct.Struct("=BBBB48sIIIII")  # struct inet_diag_msg: family, state, sockid [4], receive queue [6], inode
_RECEIVED_AT = 128  # tcpi_bytes_received in struct tcp_info, Linux 4.1
_ESTABLISHED, _SYN_SENT, _CLOSE_WAIT, _LISTEN = 1, 2, 8, 10  # include/net/tcp_states.h
_FIND = 1 << _ESTABLISHED | 1 << _SYN_SENT | 1 << _CLOSE_WAIT | 1 << _LISTEN
_ANY = 0xFFF
_MOST_DESCRIPTORS = 4096
_CHEAP, _REST = 0.005, 1000  # a walk that took more CPU seconds is followed by a pause of so many times that
_AT_ONCE = 32  # answers that fit well into the default receive buffer
_LONGEST = 1 << 16  # the kernel's answers to a dump have 32 kB at most


class Stream(NamedTuple):
    """A TCP connection, ESTABLISHED or, when ``closing``, closed by the other side only (CLOSE_WAIT).

    ``key`` tells it from every other (the inode of its socket). ``backlog``: bytes that lie in the kernel, unread.
    ``received``: bytes since it was opened. In both the end of what the other side sends counts as one more byte.
    """

    key: int
    peer: str
    closing: bool
    backlog: int
    received: int

    @property
    def taken(self) -> int:
        """Bytes that the process has read."""
        return self.received - self.backlog


class Book:
    """What is known of the sockets of one process: where to ask for one, and which are no connections."""

    def __init__(self) -> None:
        self.connections: dict[int, tuple[bytes, str]] = {}
        self.others: set[int] = set()
        self.resting = 0.0
        """Until when, by the clock of boot, the host is too crowded for another walk."""


class _Unknown(Exception):
    """It cannot be told: the kernel refused, its answer is not what is documented, or asking would cost too much."""


def streams(pid: int, book: Book | None = None) -> tuple[Stream, ...] | None:
    """Every connection that the process has open; None when that cannot be told. Never raises OSError.

    ``book`` is what earlier calls for the same process noted; it is kept up to date. Not to be told are the connections
    of other users' processes, of those in another network namespace, of those with more than 4096 descriptors or with
    Multipath TCP; nor new ones on a host with so many that finding them would cost more than 0.1 % of a core.
    """
    known = Book() if book is None else book
    try:
        if not _same_network(pid):
            return None
        open_now = _sockets(pid)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG) as kernel:
            _note(known, pid, open_now, kernel)
            return _ask(known, kernel)
    except (OSError, struct.error, _Unknown):
        return None


def arrived(before: tuple[Stream, ...] | None, now: tuple[Stream, ...] | None) -> int:
    """Bytes that came between two looks, 0 when one of them could not tell.

    A connection that is new, or whose number was another's before, got all it has in between.
    """
    if before is None or now is None:
        return 0
    known = {stream.key: stream.received for stream in before}
    grown = ((stream.received, known.get(stream.key, 0)) for stream in now)
    return sum(received - had if received >= had else received for received, had in grown)


def _same_network(pid: int) -> bool:
    return os.path.samestat(os.stat(f"/proc/{pid}/ns/net"), os.stat("/proc/self/ns/net"))


def _sockets(pid: int) -> dict[int, str]:
    """A descriptor of each socket, by the socket's inode."""
    folder = f"/proc/{pid}/fd"
    names = os.listdir(folder)
    if len(names) > _MOST_DESCRIPTORS:
        raise _Unknown
    found = {}
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")
        except FileNotFoundError:
            continue  # closed since
        if target.startswith("socket:["):
            found[int(target[8:-1])] = name
    return found


def _note(book: Book, pid: int, open_now: dict[int, str], kernel: socket.socket) -> None:
    """Bring the book up to date. A TCP socket that is not in the kernel's tables (unconnected) is looked for again."""
    for inode in book.connections.keys() - open_now.keys():
        del book.connections[inode]
    book.others &= open_now.keys()
    unknown = open_now.keys() - book.connections.keys() - book.others
    new = {inode for inode in unknown if _is_tcp(f"/proc/{pid}/fd/{open_now[inode]}")}
    book.others |= unknown - new
    if not new:
        return
    if clock.now() < book.resting:
        raise _Unknown
    begun = time.thread_time()
    for family in (socket.AF_INET, socket.AF_INET6):
        for inode, sockid in _walk(kernel, family, new):
            book.connections[inode] = (_question(family, _ANY, sockid), _peer(family, sockid))
    took = time.thread_time() - begun
    if took > _CHEAP:
        book.resting = clock.now() + took * _REST


def _is_tcp(descriptor: str) -> bool:
    try:
        protocol = os.getxattr(descriptor, "system.sockprotoname")  # net/socket.c, Linux 2.6.39
    except OSError:
        return True
    if protocol.startswith(b"MPTCP"):
        raise _Unknown  # its data come over TCP sockets that no inode belongs to
    return protocol.startswith(b"TCP")


def _ask(book: Book, kernel: socket.socket) -> tuple[Stream, ...]:
    """How the connections in the book stand. Those that are over leave it: the process has yet to close them."""
    found = []
    inodes = sorted(book.connections)
    for first in range(0, len(inodes), _AT_ONCE):
        part = inodes[first : first + _AT_ONCE]
        kernel.send(b"".join(book.connections[inode][0] for inode in part))
        for inode in part:
            kind, body = _answer(kernel)
            if kind == _ERROR and _code(body, 0) in (-errno.ENOENT, -errno.ESTALE):
                del book.connections[inode]
                book.others.add(inode)
                continue
            if kind != _BY_FAMILY:
                raise _Unknown
            told = _TOLD.unpack_from(body)
            if told[-1] == inode and told[1] in (_ESTABLISHED, _CLOSE_WAIT):
                peer = book.connections[inode][1]
                found.append(Stream(inode, peer, told[1] == _CLOSE_WAIT, told[6], _received(body)))
    return tuple(found)


def _question(family: int, states: int, sockid: bytes) -> bytes:
    """One message; without a sockid, a request to dump."""
    flags, extensions = (_REQUEST, 1 << (_INFO - 1)) if sockid else (_REQUEST | _DUMP, 0)
    ask = _ASK.pack(family, socket.IPPROTO_TCP, extensions, states, sockid)
    return _HEAD.pack(_HEAD.size + len(ask), _BY_FAMILY, flags, 0, 0) + ask


def _answer(kernel: socket.socket) -> tuple[int, bytes]:
    """Type and body of the next message."""
    data = kernel.recv(_LONGEST, socket.MSG_DONTWAIT)  # the kernel answers before send() returns
    length, kind, _, _, _ = _HEAD.unpack_from(data)
    if length > len(data):
        raise _Unknown
    return kind, data[_HEAD.size : length]


def _walk(kernel: socket.socket, family: int, wanted: set[int]) -> Iterator[tuple[int, bytes]]:
    """(Inode, sockid) of the wanted sockets of that family, out of all that the kernel's tables hold."""
    kernel.send(_question(family, _FIND, b""))
    while True:
        data = kernel.recv(_LONGEST, socket.MSG_DONTWAIT)
        at = 0
        while at < len(data):
            length, kind, _, _, _ = _HEAD.unpack_from(data, at)
            body = at + _HEAD.size
            if kind == _DONE and _code(data, body) == 0:
                return
            if kind != _BY_FAMILY or not _HEAD.size <= length <= len(data) - at:
                raise _Unknown
            told = _TOLD.unpack_from(data, body)
            if told[-1] in wanted:
                yield told[-1], told[4]
            at += length + 3 & ~3


def _code(data: bytes, at: int) -> int:
    """The negative errno that the body of a message of the types ERROR and DONE begins with; 0 for none."""
    return int(_CODE.unpack_from(data, at)[0])


def _peer(family: int, sockid: bytes) -> str:
    """The other side of struct inet_diag_sockid: ports, source, destination, interface, cookie."""
    port = int.from_bytes(sockid[2:4], "big")
    if family == socket.AF_INET:
        return f"{socket.inet_ntop(family, sockid[20:24])}:{port}"
    address = socket.inet_ntop(family, sockid[20:36])
    mapped = address.removeprefix("::ffff:")
    return f"{mapped}:{port}" if "." in mapped else f"[{address}]:{port}"


def _received(body: bytes) -> int:
    """tcpi_bytes_received, from the attributes that follow struct inet_diag_msg."""
    at = _TOLD.size
    while at < len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if kind == _INFO and length >= _ATTRIBUTE.size + _RECEIVED_AT + 8:
            return int(_COUNT.unpack_from(body, at + _ATTRIBUTE.size + _RECEIVED_AT)[0])
        if length < _ATTRIBUTE.size:
            break
        at += length + 3 & ~3
    raise _Unknown
