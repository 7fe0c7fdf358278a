"""Running one command on a host, over ssh or on this machine, within a deadline and without a terminal."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from paramiko import SSHException

from .commands import shell_line
from .deadline import Deadline
from .errors import HostError, Unreachable

MAX_OUTPUT = 16 * 1024 * 1024
"""Bytes kept of one command's output; a host that sends more is cut off."""

_MAX_LINE = 64 * 1024
_CHUNK = 32 * 1024
_STOP_WAIT = 0.1  # seconds that a follower gets to end by itself once its input has ended


@dataclass(frozen=True)
class Completed:
    """What a command left. ``exit_code`` is negative for a signal, ``None`` when the connection ended first."""

    exit_code: int | None
    stdout: bytes
    stderr: bytes


class Session(Protocol):
    """An open way to one host."""

    def run(self, argv: list[str], deadline: Deadline) -> Completed:
        """Run to the end. :raises HostError: it did not end in time, or printed too much."""

    def follow(self, argv: list[str], on_line: Callable[[bytes], None]) -> Completed:
        """Run until it ends or ``close`` is called, each line handed on as it comes (``stdout`` stays empty)."""

    def close(self) -> None:
        """End whatever runs, from any thread. A follower on the host sees the end of its input and ends too."""


class _Collector:
    """Reads a stream in a thread of its own, up to the limit; then it calls ``stop``."""

    def __init__(self, read: Callable[[int], bytes], limit: int, stop: Callable[[], None]) -> None:
        self._read, self._limit, self._stop = read, limit, stop
        self._chunks: list[bytes] = []
        self.overflow = False
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self) -> None:
        room = self._limit
        with contextlib.suppress(OSError, ValueError, EOFError):
            while chunk := self._read(_CHUNK):
                room -= len(chunk)
                if room < 0:
                    self.overflow = True
                    self._stop()
                    return
                self._chunks.append(chunk)

    def wait(self, deadline: Deadline) -> bool:
        self._thread.join(deadline.left())
        return not self._thread.is_alive()

    def bytes(self) -> bytes:
        return b"".join(self._chunks)


def split_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Whole lines out of chunks; a line without end is cut at 64 KiB instead of being kept in memory."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if len(rest) > _MAX_LINE:
            yield rest
            rest = b""
    if rest:
        yield rest


class SshSession:
    """A command over a verified connection. Channels are read directly: Fabric's runner cannot bound a silent one."""

    def __init__(self, connection: Any, where: str) -> None:
        self._connection = connection
        self._where = where
        self._channel: Any = None
        self._closing = False

    def run(self, argv: list[str], deadline: Deadline) -> Completed:
        channel = self._open(argv, deadline.left())
        channel.shutdown_write()
        out = _Collector(channel.recv, MAX_OUTPUT, self.close)
        errors = _Collector(channel.recv_stderr, MAX_OUTPUT, self.close)
        in_time = out.wait(deadline) and errors.wait(deadline) and channel.status_event.wait(deadline.left())
        if out.overflow or errors.overflow:
            raise _too_much(self._where)
        if not in_time:
            self.close()
            raise _too_late(self._where, deadline)
        return Completed(_exit_code(channel), out.bytes(), errors.bytes())

    def follow(self, argv: list[str], on_line: Callable[[bytes], None]) -> Completed:
        channel = self._open(argv, None)
        errors = _Collector(channel.recv_stderr, MAX_OUTPUT, self.close)
        for line in split_lines(iter(lambda: channel.recv(_CHUNK), b"")):
            on_line(line)
        end = Deadline(1.0)
        errors.wait(end)
        channel.status_event.wait(end.left())
        return Completed(_exit_code(channel), b"", errors.bytes())

    def close(self) -> None:
        self._closing = True
        channel = self._channel
        if channel is not None and channel.get_transport().is_active():
            with contextlib.suppress(SSHException, OSError, EOFError):
                channel.shutdown_write()
                channel.status_event.wait(_STOP_WAIT)
        self._connection.client.close()

    def _open(self, argv: list[str], seconds: float | None) -> Any:
        try:
            channel = self._connection.transport.open_session(timeout=seconds)
            self._channel = channel
            channel.settimeout(seconds)
            channel.exec_command(shell_line(argv))
        except (SSHException, OSError, EOFError) as problem:
            raise Unreachable(
                f"{self._where} lets us in but opens no session ({problem or type(problem).__name__})",
                short="opens no session",
            ) from None
        if self._closing:
            channel.close()
        channel.settimeout(None)
        return channel


def _exit_code(channel: Any) -> int | None:
    if not channel.status_event.is_set() or channel.exit_status == -1:
        return None
    return int(channel.exit_status)


class LocalSession:
    """A command on this machine, for ``ansible_connection: local``."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, argv: list[str], deadline: Deadline) -> Completed:
        process = self._start(argv, subprocess.DEVNULL)
        if isinstance(process, Completed):
            return process
        assert process.stdout and process.stderr
        out = _Collector(process.stdout.read1, MAX_OUTPUT, self.close)  # type: ignore[attr-defined]
        errors = _Collector(process.stderr.read1, MAX_OUTPUT, self.close)  # type: ignore[attr-defined]
        in_time = out.wait(deadline) and errors.wait(deadline)
        try:
            process.wait(deadline.left())
        except subprocess.TimeoutExpired:
            in_time = False
        if out.overflow or errors.overflow:
            raise _too_much(self._where)
        if not in_time:
            self.close()
            raise _too_late(self._where, deadline)
        return Completed(process.returncode, out.bytes(), errors.bytes())

    def follow(self, argv: list[str], on_line: Callable[[bytes], None]) -> Completed:
        process = self._start(argv, subprocess.PIPE)
        if isinstance(process, Completed):
            return process
        out, error_stream = process.stdout, process.stderr
        assert out and error_stream
        errors = _Collector(error_stream.read1, MAX_OUTPUT, self.close)  # type: ignore[attr-defined]
        for line in split_lines(iter(lambda: out.read1(_CHUNK), b"")):  # type: ignore[attr-defined]
            on_line(line)
        errors.wait(Deadline(1.0))
        return Completed(process.wait(), b"", errors.bytes())

    def close(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        if process.stdin:
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_WAIT)
                return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGTERM)

    def _start(self, argv: list[str], stdin: int) -> subprocess.Popen[bytes] | Completed:
        """The running command, or what a shell would have said if it cannot be run."""
        try:
            # A session of its own: a Ctrl-C at the terminal is ours to pass on, and a started bot outlives us.
            self._process = subprocess.Popen(
                argv,
                cwd=pwd.getpwuid(os.geteuid()).pw_dir,  # as over ssh, whatever HOME says here
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except FileNotFoundError:
            return Completed(127, b"", f"{argv[0]}: No such file or directory".encode())
        except OSError as problem:
            return Completed(126, b"", f"{argv[0]}: {problem.strerror}".encode())
        return self._process


def _too_late(where: str, deadline: Deadline) -> HostError:
    return Unreachable(
        f"{where}: connected, but no answer within {deadline.seconds:.0f} s; the command may still be running there",
        short=f"no answer within {deadline.seconds:.0f} s",
    )


def _too_much(where: str) -> HostError:
    return HostError(f"{where}: sent more than {MAX_OUTPUT >> 20} MiB: ask for fewer lines", short="sent too much")
