"""The lab image with the peers in it: made once from the suite's own image, kept beside it outside the repository.

Debian's archive is asked from inside the image; PyPI and the npm registry from this machine, with its own settings for
pip and npm. What cannot be had is left out, and the image remembers why.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from lab import image, mirror
from lab.commands import CLEAN_ENVIRONMENT
from lab.errors import LabError
from lab.locking import exclusive
from lab.paths import cache_root

SUITE = "bookworm"
DEBIAN = ("monit", "runit", "s6", "daemontools", "nodejs")
PYPI = ("supervisor", "circus")
NPM = ("pm2",)

#: Inside the image: the wheels, unpacked, and pm2 with what it needs.
PYTHON_HOME, NODE_HOME = "/opt/peers/python", "/opt/peers/node"
_MANIFEST = "opt/peers/manifest.json"
_LIMIT_S = 300

#: No package may start its daemon or leave it enabled: the benchmark starts each by itself.
_PREPARE = (
    "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod 0755 /usr/sbin/policy-rc.d && apt-get update"
)
_INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends"
_TIDY = """
rm -f /usr/sbin/policy-rc.d /etc/resolv.conf
systemctl disable monit.service runsvdir.service 2>/dev/null || :
apt-get clean
rm -rf /var/lib/apt/lists/*
"""


class PeersImage(NamedTuple):
    """Where the image is, the version of each package in it, and why the others are not."""

    folder: Path
    versions: dict[str, str]
    missing: dict[str, str]


def ensure(say: Callable[[str], None]) -> PeersImage:
    """The image, made now if it is not there or lacks a package (about a minute). Raises LabError."""
    base = image.ensure(SUITE, say)
    recipe = json.dumps([base.name, DEBIAN, PYPI, NPM, _PREPARE, _INSTALL, _TIDY])
    folder = cache_root() / f"peers-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    with exclusive(cache_root() / "peers.lock", lambda: say("waiting for another run that makes the peers' image")):
        if folder.is_dir() and not (known := read(folder)).missing:
            return known
        say("making the image with the peers in it, once (about a minute)")
        _build(base, folder)
        for older in cache_root().glob("peers-*"):
            if older.is_dir() and older != folder and not image.in_use(older):
                shutil.rmtree(older, ignore_errors=True)
    return read(folder)


def read(folder: Path) -> PeersImage:
    """What an image says about itself."""
    found = json.loads((folder / _MANIFEST).read_text())
    return PeersImage(folder, found["versions"], found["missing"])


def _build(base: Path, folder: Path) -> None:
    """Build beside the final place and rename, so that a half-made image is never used."""
    building = folder.with_name(f"{folder.name}.building")
    for old in (building, folder):
        shutil.rmtree(old, ignore_errors=True)
    _call(["cp", "-a", str(base), str(building)])
    versions: dict[str, str] = {}
    missing: dict[str, str] = {}
    for names, fetch in ((DEBIAN, _from_debian), (PYPI, _from_pypi), (NPM, _from_npm)):
        for name in names:
            try:
                versions[name] = fetch(building, name)
            except LabError as error:
                missing[name] = str(error)
    _chroot(building, _TIDY)
    (building / _MANIFEST).parent.mkdir(parents=True, exist_ok=True)
    (building / _MANIFEST).write_text(json.dumps({"versions": versions, "missing": missing}))
    building.rename(folder)


def _from_debian(root: Path, name: str) -> str:
    if not (root / "usr/sbin/policy-rc.d").exists():
        shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
        _chroot(root, _PREPARE)
    _chroot(root, f"{_INSTALL} {name}")
    return _chroot(root, f"dpkg-query --show --showformat='${{Version}}' {name}")


def _from_pypi(root: Path, name: str) -> str:
    version = _chroot(root, "/usr/bin/python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'").strip()
    target = root / PYTHON_HOME.strip("/")
    what = ["--quiet", "--upgrade", "--no-compile", "--only-binary=:all:", "--implementation=cp"]
    what += [f"--python-version={version}", f"--target={target}"]
    what += [f"--abi={abi}" for abi in (f"cp{version.replace('.', '')}", "abi3", "none")]
    what += [f"--platform={one}_{_machine()}" for one in ("manylinux_2_28", "manylinux2014", "linux")] + [
        "--platform=any"
    ]
    _call([sys.executable, "-m", "pip", "install", *what, name])
    return next(target.glob(f"{name}-*.dist-info")).name.removesuffix(".dist-info").partition("-")[2]


def _from_npm(root: Path, name: str) -> str:
    home = root / NODE_HOME.strip("/")
    home.mkdir(parents=True, exist_ok=True)
    _call(["npm", "install", "--silent", "--omit=dev", "--ignore-scripts", "--prefix", str(home), name])
    return str(json.loads((home / "node_modules" / name / "package.json").read_text())["version"])


def _machine() -> str:
    return _call(["uname", "-m"]).strip()


def _chroot(root: Path, script: str) -> str:
    return _call(["chroot", str(root), "/bin/sh", "-c", script], CLEAN_ENVIRONMENT | mirror.proxy())


def _call(argv: Sequence[str], env: dict[str, str] | None = None) -> str:
    """Its output. Raises LabError with its last line."""
    try:
        done = subprocess.run(
            argv, check=False, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_LIMIT_S
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"{argv[0]} did not end within {_LIMIT_S} s") from None
    except OSError as error:
        raise LabError(f"no {argv[0]} on this machine: {error.strerror}") from None
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise LabError(f"{Path(argv[0]).name} failed with {done.returncode}: {words}")
    return done.stdout
