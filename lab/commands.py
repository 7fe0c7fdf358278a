"""Running the system's tools, with failures that name the tool and its last words."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence

from lab.errors import LabError

#: What a login shell of root would have; the controller's own variables stay out of hosts and images.
CLEAN_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
}

#: Debian package of every tool that the lab calls.
TOOLS = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
    "nsenter": "util-linux",
}


def why_not() -> str | None:
    """The reason, in one line with its cure, for which no lab host can run here; None when they can."""
    if sys.platform != "linux":
        return "lab hosts need Linux; the unit and ssh tests run without them"
    if os.geteuid() != 0:
        return "lab hosts need root: run it as root (sudo ./dev ...)"
    missing = {package for tool, package in TOOLS.items() if shutil.which(tool, path=_search_path()) is None}
    if missing:
        return f"lab hosts need packages: apt-get update && apt-get install -y {' '.join(sorted(missing))}"
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        return "lab hosts need the right to make mount namespaces (CAP_SYS_ADMIN): not inside a plain container"
    return None


def run(
    argv: Sequence[str],
    *,
    input: str | None = None,  # noqa: A002 - the name subprocess uses
    timeout: float = 60,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a tool and return its standard output.

    Raises:
        LabError: it failed, or took longer than `timeout` seconds; with the last line it said.
    """
    try:
        done = subprocess.run(
            argv,
            check=False,
            input=input,
            stdin=None if input is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=dict(env) if env is not None else os.environ | {"PATH": _search_path()},
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{' '.join(argv)}` did not end within {timeout:g} s") from error
    except OSError as error:
        raise LabError(f"cannot run {argv[0]}: {error.strerror}") from error
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise LabError(f"`{' '.join(argv)}` failed with exit code {done.returncode}: {words}")
    return done.stdout


def _search_path() -> str:
    """The caller's PATH plus the system folders that a plain user's PATH leaves out."""
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
