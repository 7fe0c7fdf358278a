"""Where to fetch Debian from: whatever this machine's own apt is set up with."""

from __future__ import annotations

import os

from lab.commands import run
from lab.errors import MissingPrerequisite


def debian() -> str:
    """The Debian archive in this machine's apt sources; `LAB_MIRROR` overrides it.

    Raises:
        MissingPrerequisite: neither names one (on Ubuntu, say).
    """
    if named := os.environ.get("LAB_MIRROR"):
        return named
    targets = run(["apt-get", "indextargets", "--format", "$(ORIGIN)\t$(LABEL)\t$(REPO_URI)", "Created-By: Packages"])
    for line in targets.splitlines():
        origin, label, uri = line.split("\t")
        if (origin, label) == ("Debian", "Debian"):
            return uri
    raise MissingPrerequisite(
        "this machine's apt sources name no Debian archive (or `apt-get update` never ran); name one: LAB_MIRROR=URL"
    )


def proxy() -> dict[str, str]:
    """apt's proxy as the environment variables that debootstrap's downloader understands."""
    found = {}
    for scheme in ("http", "https"):
        value = run(["apt-config", "dump", "--format", "%v%n", f"Acquire::{scheme}::Proxy"]).strip()
        if value and value != "DIRECT":
            found[f"{scheme}_proxy"] = value
    return found
