"""Bring the virtual environment to the state of the pinned requirements; `./dev` calls this.

Only the standard library, since nothing else is there yet. Concurrent calls wait for each other on a lock file, and
the one that comes second finds the work done.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PINNED = ROOT / "requirements" / "dev.txt"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed.txt"


def main() -> int:
    """Create or update `.venv`. Returns 0 when it matches the pins, 1 with one explaining line when it cannot."""
    wanted = stamp_text()
    with lock(ROOT / ".venv.lock"):
        if STAMP.exists() and STAMP.read_text() == wanted and works(PYTHON):
            return 0
        started = time.monotonic()
        say(f"setting up .venv with Python {sys.version.split()[0]}, needed once and after changed requirements")
        try:
            make_venv()
            install(wanted.count("=="))
            compile_once()
        except subprocess.CalledProcessError as error:
            tail = "\n".join((error.output or "").strip().splitlines()[-15:])
            print(
                f"{tail}\ndev: could not set up .venv (exit {error.returncode}); the lines above are from "
                f"`{' '.join(error.cmd[:4])}`. Once the cause is gone, run the same command again.",
                file=sys.stderr,
            )
            return 1
        temporary = STAMP.with_suffix(".new")
        temporary.write_text(wanted)
        temporary.replace(STAMP)
        say(f"ready after {time.monotonic() - started:.0f} s")
    return 0


def stamp_text() -> str:
    """What a finished environment looks like: its place (scripts carry absolute paths) and every pin.

    `./dev` compares the same text without starting Python: keep the two in step.
    """
    return f"# {ROOT}\n{PINNED.read_text()}"


def make_venv() -> None:
    """Make the environment; anew where it belongs to another place or its interpreter is gone."""
    if STAMP.exists() and STAMP.read_text().startswith(f"# {ROOT}\n") and works(PYTHON):
        return
    run([sys.executable, "-m", "venv", "--clear", str(VENV)])


def works(python: Path) -> bool:
    """Whether this interpreter starts and is new enough."""
    check = "import sys; sys.exit(sys.version_info < (3, 11))"
    try:
        return subprocess.run([str(python), "-c", check], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def install(total: int) -> None:
    """Install exactly what is pinned, wheels only, every file checked against its hash."""
    command = [str(PYTHON), "-m", "pip", "install", "--no-input", "--no-compile", "--disable-pip-version-check"]
    command += ["--only-binary=:all:", "--require-hashes", "--requirement", str(PINNED)]
    seen = 0
    output: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | {"PYTHONUTF8": "1"}
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            output.append(line.rstrip())
            if line.startswith(("Collecting ", "Requirement already ")):
                seen += 1
                progress(f"fetching {min(seen, total)}/{total}: {line.split()[1].split('==')[0]}")
            elif line.startswith("Installing collected"):
                progress(f"installing {total} packages")
    progress("")
    if pip.returncode:
        raise subprocess.CalledProcessError(pip.returncode, command, "\n".join(output))


def compile_once() -> None:
    """Compile what was installed where Python is told to keep no bytecode (PYTHONDONTWRITEBYTECODE, as in containers).

    Else every start of `ansible-playbook`, and each of its tasks, would compile hundreds of modules again. Elsewhere
    they are compiled as they are used.
    """
    if sys.dont_write_bytecode:
        progress("compiling")
        subprocess.run([str(PYTHON), "-m", "compileall", "-qq", "-j", "0", str(VENV / "lib")], check=False)
        progress("")


def run(command: list[str]) -> None:
    """Run a quiet command; its output is kept for the error message."""
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout)


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock; tell a waiting person why nothing happens."""
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another ./dev is setting up .venv; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    """One line for people."""
    print(f"dev: {text}", file=sys.stderr, flush=True)


def progress(text: str) -> None:
    """Overwrite one line on a terminal; nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\033[K{('dev: ' + text) if text else ''}"[:110], end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
