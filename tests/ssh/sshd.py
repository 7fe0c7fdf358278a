"""A throw-away sshd on loopback with its own keys; runs as root and without, and lets only its own user in."""

from __future__ import annotations

import base64
import getpass
import hashlib
import hmac
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") or ""


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A fresh key pair."""
    bits = ["-b", "2048"] if kind == "rsa" else []
    subprocess.run(["ssh-keygen", "-q", "-t", kind, *bits, "-N", passphrase, "-C", path.name, "-f", path], check=True)
    return path


class Sshd:
    """Starts in the constructor, ready when that returns. ``address`` and ``port`` say where."""

    address = "127.0.0.1"

    def __init__(
        self,
        folder: Path,
        authorized: list[Path],
        *,
        key_types: tuple[str, ...] = ("ed25519",),
        path: str = "",
        max_startups: str = "500",
    ) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.user = getpass.getuser()
        self.home = folder / "home"
        self.home.mkdir()
        self.host_keys = [make_key(folder / f"host_{kind}", kind) for kind in key_types]
        (folder / "authorized_keys").write_text("".join(key.with_suffix(".pub").read_text() for key in authorized))
        self._max_startups = max_startups
        self._path = path or f"{folder}/bin:/usr/local/bin:/usr/bin:/bin"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self, port: int = 0) -> None:
        """Listen on ``port``, or on a free one."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        for _ in range(5):
            self.port = port or free_port()
            config = self.folder / "sshd_config"
            config.write_text(self._config())
            with (self.folder / "sshd.log").open("ab") as log:
                self._process = subprocess.Popen([SSHD, "-D", "-e", "-f", config], stdin=subprocess.DEVNULL, stderr=log)
            if self._wait():
                return
        raise AssertionError((self.folder / "sshd.log").read_text())

    def _config(self) -> str:
        lines = [
            f"ListenAddress {self.address}:{self.port}",
            *(f"HostKey {key}" for key in self.host_keys),
            f"AuthorizedKeysFile {self.folder}/authorized_keys",
            "AuthenticationMethods publickey",
            "PermitRootLogin yes",
            "StrictModes no",
            "UsePAM no",
            "UseDNS no",
            "PidFile none",
            "PrintMotd no",
            "LogLevel VERBOSE",
            f"MaxStartups {self._max_startups}",
            "MaxAuthTries 6",
            # The developer's own login scripts stay out.
            f"SetEnv HOME={self.home} PATH={self._path}",
        ]
        return "\n".join(lines) + "\n"

    def _wait(self) -> bool:
        assert self._process
        end = time.monotonic() + 10
        while time.monotonic() < end and self._process.poll() is None:
            try:
                with socket.create_connection((self.address, self.port), timeout=5) as connection:
                    return connection.recv(4) == b"SSH-"
            except OSError:
                time.sleep(0.01)
        return False

    @property
    def pid(self) -> int:
        """Of the listening process."""
        assert self._process
        return self._process.pid

    def freeze(self) -> None:
        """Take connections and answer none."""
        os.kill(self.pid, signal.SIGSTOP)

    def children(self) -> list[int]:
        """Every process below the listener: sessions and what they run."""
        return descendants(self.pid)

    def drop_sessions(self) -> None:
        """Cut every connection, as a host that goes away does."""
        for pid in self.children():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def stop(self) -> None:
        """End it and all it has started."""
        if self._process is None:
            return
        self.drop_sessions()
        self._process.send_signal(signal.SIGCONT)
        self._process.kill()
        self._process.wait()
        self._process = None

    def log(self) -> str:
        """What sshd has logged."""
        return (self.folder / "sshd.log").read_text()

    def known_hosts_line(self, *, name: str = "", key: int = 0) -> str:
        """The line that vouches for this host."""
        kind, data = self.host_keys[key].with_suffix(".pub").read_text().split()[:2]
        return f"{name or self.listed_name} {kind} {data}\n"

    def hashed_line(self) -> str:
        """The same with a hashed name (HashKnownHosts)."""
        salt = os.urandom(20)
        digest = hmac.new(salt, self.listed_name.encode(), hashlib.sha1).digest()
        name = f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"
        return self.known_hosts_line(name=name)

    @property
    def listed_name(self) -> str:
        """``[address]:port`` as known_hosts has it."""
        return f"[{self.address}]:{self.port}"


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((Sshd.address, 0))
        port: int = probe.getsockname()[1]
        return port


def descendants(pid: int) -> list[int]:
    """All living processes below ``pid``."""
    found = []
    for thread in Path("/proc").glob(f"{pid}/task/*/children"):
        try:
            children = thread.read_text().split()
        except OSError:
            continue
        for child in map(int, children):
            found += [child, *descendants(child)]
    return found
