"""`python -m release build --arch x86_64` prints the path of the archive, the same one for the same content.

Exit codes: 0 built (or already there), 1 could not, 2 usage.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from release import archive, contents, wheel
from release.errors import ReleaseError

CHECKOUT = Path(__file__).resolve().parent.parent


def cache_home() -> Path:
    """Where wheels and archives are kept between builds: XDG_CACHE_HOME or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dca-watchdog"


def build(arch: str, out: Path, cache: Path, checkout: Path = CHECKOUT) -> Path:
    """Build the release of this checkout for `arch` into `out`. Raises ReleaseError."""
    package = checkout / "watchdog"
    members = contents.agent_members(package, checkout / "release" / "launcher.py")
    members |= wheel.members(wheel.obtain(checkout / "requirements" / "agent.txt", arch, cache))
    release, sealed = contents.seal(members, contents.read_version(package), arch)
    return archive.write(release, sealed, out)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m release", description="Build the agent's self-contained release.")
    verb = parser.add_subparsers(dest="verb", required=True).add_parser("build", help="build one, print its path")
    verb.add_argument("--arch", choices=contents.ARCHITECTURES, required=True, help="the target's `uname -m`")
    verb.add_argument("--out", type=Path, help="folder for the archive (default: releases/ in the cache)")
    verb.add_argument("--cache", type=Path, help="folder for the fetched wheel (default: wheels/ in the cache)")
    options = parser.parse_args(argv)
    out, cache = options.out or cache_home() / "releases", options.cache or cache_home() / "wheels"
    try:
        sys.stdout.write(f"{build(options.arch, out, cache)}\n")
    except (ReleaseError, OSError) as error:
        sys.stderr.write(f"release: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
