"""psutil's abi3 wheel for the target: found in a cache or fetched with pip, checked by hash, unpacked with care."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from release.contents import Member
from release.errors import ReleaseError

# pip takes a wheel only if one of the platforms asked for is among its tags; older tags are implied by a newer one.
PLATFORMS = {
    "x86_64": ("manylinux_2_28_x86_64", "manylinux2014_x86_64"),
    "aarch64": ("manylinux_2_28_aarch64", "manylinux2014_aarch64"),
}
_REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9_]+)==(?P<version>[0-9][0-9A-Za-z.]*)$")
_HASH = re.compile(r"^--hash=sha256:([0-9a-f]{64})$")
_TIMEOUT_S = 180


@dataclass(frozen=True)
class Pin:
    """One distribution, fixed to a version and to the wheels that are accepted for it."""

    name: str
    version: str
    hashes: frozenset[str]


def read_pin(requirements: Path) -> Pin:
    """The single pinned requirement of a pip requirements file. Raises ReleaseError."""
    try:
        text = requirements.read_text(encoding="utf-8")
    except OSError as error:
        raise ReleaseError(f"cannot read {requirements}: {error.strerror}; run this from a complete checkout") from None
    words = [word for line in text.splitlines() if not line.lstrip().startswith("#") for word in line.split()]
    named = [found for word in words if (found := _REQUIREMENT.match(word))]
    hashes = frozenset(found[1] for word in words if (found := _HASH.match(word)))
    if len(named) != 1 or not hashes:
        raise ReleaseError(f"{requirements} must pin exactly one distribution by version and by --hash=sha256:")
    return Pin(named[0]["name"], named[0]["version"], hashes)


def obtain(requirements: Path, arch: str, cache: Path) -> Path:
    """The pinned wheel for `arch`, from `cache` or else by pip into it. Raises ReleaseError."""
    pin = read_pin(requirements)
    return _cached(pin, arch, cache) or _fetch(pin, requirements, arch, cache)


def members(wheel: Path) -> dict[str, Member]:
    """Every file of the wheel below lib/. Raises ReleaseError for a name that would leave it."""
    found: dict[str, Member] = {}
    try:
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                path = PurePosixPath(info.filename)
                if path.is_absolute() or ".." in path.parts or "\\" in info.filename or path.parts[:1] == ("watchdog",):
                    raise ReleaseError(f"{wheel} holds the name {info.filename!r}, which must not be unpacked")
                if not info.is_dir() and "__pycache__" not in path.parts and "tests" not in path.parts:
                    found[f"lib/{path}"] = Member(archive.read(info))
    except (OSError, zipfile.BadZipFile) as error:
        raise ReleaseError(f"cannot unpack {wheel}: {error}; remove it, it is fetched again") from None
    return found


def _cached(pin: Pin, arch: str, cache: Path) -> Path | None:
    for path in sorted(cache.glob(f"{pin.name}-{pin.version}-*.whl")):
        if path.stem.endswith(arch) and hashlib.sha256(path.read_bytes()).hexdigest() in pin.hashes:
            return path
    return None


def _fetch(pin: Pin, requirements: Path, arch: str, cache: Path) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache) as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--require-hashes", "--requirement", str(requirements), "--dest", folder]
        command += ["--implementation=cp", "--abi=abi3", "--python-version=3.9"]
        command += [f"--platform={platform}" for platform in PLATFORMS[arch]]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            raise ReleaseError(
                f"pip did not fetch {pin.name} {pin.version} within {_TIMEOUT_S} s; {_by_hand(pin, cache)}"
            ) from None
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode != 0 or len(wheels) != 1:
            reason = next(
                (line for line in reversed(done.stderr.splitlines()) if line.startswith("ERROR:")), "no wheel came"
            )
            raise ReleaseError(f"cannot fetch {pin.name} {pin.version} for {arch}: {reason}; {_by_hand(pin, cache)}")
        wheels[0].replace(cache / wheels[0].name)
    wheel = _cached(pin, arch, cache)
    if wheel is None:
        raise ReleaseError(f"the wheel that came for {arch} is not one of those pinned in {requirements}")
    return wheel


def _by_hand(pin: Pin, cache: Path) -> str:
    return f"without a package index, put the {pin.name} {pin.version} abi3 manylinux wheel into {cache}"
