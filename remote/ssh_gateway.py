"""Jump hosts: one OpenSSH connection to each, shared by all hosts behind it.

OpenSSH does this part, as it does for ``ssh -J``. A Paramiko channel as the transport of a second connection is not an
option for a fleet: a packet sent while another thread closes its channel makes the jump host's sshd end the whole
connection ("data packet referred to nonexistent channel"), and every other host with it.
"""

from __future__ import annotations

import math
import shlex
import shutil
import tempfile
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path

from .deadline import Deadline
from .errors import Unreachable
from .ssh_options import SshOptions
from .ssh_socket import ProxyProcess

_POLL = 0.02  # seconds between two looks for the control socket; ssh has no other way to say that it is ready

# Runs ssh until it ends or until standard input does, so that not even a killed fab leaves a connection or file behind.
_UNTIL_INPUT_ENDS = """
folder=$1
shift
exec 3<&0
"$@" </dev/null &
ssh=$!
{ cat <&3 >/dev/null; kill $ssh; } 2>/dev/null &
wait $ssh
rmdir "$folder" 2>/dev/null
"""


class Gateways:
    """The jump hosts of one run."""

    def __init__(self, hop_limit: float) -> None:
        """``hop_limit``: seconds for each jump host on the way."""
        self._hop_limit = hop_limit
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._masters: dict[tuple[str, ...], Future[Path]] = {}
        self._processes: list[ProxyProcess] = []

    def through(self, options: SshOptions, deadline: Deadline) -> ProxyProcess:
        """A stream to the target by way of ``options.proxy_jump``.

        :raises Unreachable: a jump host cannot be reached, is not verified, or lets nobody in.
        """
        hops = options.proxy_jump
        control = self._master(hops, options.config_file, deadline)
        target = f"[{options.hostname}]" if ":" in options.hostname else options.hostname
        return ProxyProcess(
            [*_ssh(options.config_file), "-S", str(control), "-W", f"{target}:{options.port}", "--", *_hop(hops[-1])]
        )

    def close(self) -> None:
        """Close the connections to all jump hosts."""
        for process in self._processes:
            process.close()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _master(self, hops: tuple[str, ...], config_file: str, deadline: Deadline) -> Path:
        """The connection's control socket; the first caller makes it, the others wait for it or for its failure."""
        with self._lock:
            mine = hops not in self._masters
            future = self._masters.setdefault(hops, Future())
            if mine and self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="fab-"))
        if mine:
            assert self._folder
            try:
                future.set_result(self._open(hops, config_file, self._folder / str(len(self._masters))))
            except Exception as problem:  # noqa: BLE001 - handed to every host that waits for this jump host
                future.set_exception(problem)
        try:
            return future.result(timeout=deadline.left())
        except FutureTimeout:
            raise _silent(hops, deadline.seconds) from None

    def _open(self, hops: tuple[str, ...], config_file: str, control: Path) -> Path:
        limit = self._hop_limit * len(hops)
        process = ProxyProcess(master_command(hops, config_file, control, self._hop_limit))
        self._processes.append(process)
        deadline = Deadline(limit)
        while not control.exists():
            if process.ended:
                raise _refused(hops, process.complaint())
            if deadline.passed:
                process.close()
                raise _silent(hops, limit)
            time.sleep(_POLL)
        return control


def master_command(hops: tuple[str, ...], config_file: str, control: Path, hop_limit: float) -> list[str]:
    """The argv that holds a connection to the last of ``hops`` open, every one of them strictly verified."""
    options = [*_ssh(config_file), f"-oConnectTimeout={math.ceil(hop_limit)}", "-oStrictHostKeyChecking=yes"]
    proxy = ""
    for hop in hops[:-1]:
        # One level deeper, a % has to survive one more expansion.
        before = [f"-oProxyCommand={proxy.replace('%', '%%')}"] if proxy else []
        proxy = shlex.join([*options, *before, "-W", "%h:%p", "--", *_hop(hop)])
    before = [f"-oProxyCommand={proxy}"] if proxy else []
    master = [*options, *before, "-M", "-S", str(control), "-oControlPersist=no", "-N", "--", *_hop(hops[-1])]
    return ["/bin/sh", "-c", _UNTIL_INPUT_ENDS, "sh", str(control.parent), *master]


def _ssh(config_file: str) -> list[str]:
    quiet = ["-T", "-a", "-x", "-oBatchMode=yes", "-oClearAllForwardings=yes", "-oRemoteCommand=none"]
    return ["ssh", *([f"-F{config_file}"] if config_file else []), *quiet, "-oPermitLocalCommand=no"]


def _hop(hop: str) -> list[str]:
    """``[user@]host[:port]`` of ProxyJump as a destination that ssh takes."""
    return [hop if hop.startswith("ssh://") else f"ssh://{hop}"]


def _silent(hops: tuple[str, ...], seconds: float) -> Unreachable:
    name = " → ".join(hops)
    return Unreachable(f"jump host {name}: no answer within {seconds:.0f} s", short="jump host: no answer")


def _refused(hops: tuple[str, ...], complaint: str) -> Unreachable:
    name = " → ".join(hops)
    what = complaint or "ssh ended without a word"
    return Unreachable(f"jump host {name}: {what} (try: ssh {hops[-1]})", short=f"jump host {hops[-1]}: not connected")
