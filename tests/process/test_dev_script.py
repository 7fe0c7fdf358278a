"""`./dev`: it names what is missing, prepares the environment once, and then stays out of the way."""

from __future__ import annotations

import importlib.util
import multiprocessing
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: A stand-in interpreter: answers the three questions that `./dev` asks, from the words it was made with.
FAKE_PYTHON = """#!/bin/sh
case "$2" in
    *'%d.%d'*) echo {version} ;;
    *'(3, 11)'*) exit {too_old} ;;
    *ensurepip*) exit {no_venv} ;;
esac
"""


class Checkout:
    """A copy of what `./dev` needs, and a PATH on which only chosen tools are."""

    def __init__(self, root: Path) -> None:
        self.root, self.tools = root / "checkout", root / "tools"
        self.root.mkdir()
        self.tools.mkdir()
        shutil.copy2(ROOT / "dev", self.root)
        shutil.copytree(ROOT / "requirements", self.root / "requirements", ignore=shutil.ignore_patterns("__pycache__"))
        for tool in ("sh", "env", "dirname", "id", "cat", "cmp", "ssh", "ssh-keygen"):
            found = shutil.which(tool)
            assert found, tool
            (self.tools / tool).symlink_to(found)
        self.script("apt-get", "#!/bin/sh\n")

    def script(self, name: str, text: str) -> None:
        (self.tools / name).write_text(text)
        (self.tools / name).chmod(0o755)

    def python(self, version: str, *, too_old: bool = False, no_venv: bool = False) -> None:
        self.script("python3", FAKE_PYTHON.format(version=version, too_old=int(too_old), no_venv=int(no_venv)))

    def dev(self, *words: str) -> subprocess.CompletedProcess[str]:
        # /usr/bin/python3 is tried last; a name that cannot be run makes this machine's own one invisible.
        script = (self.root / "dev").read_text().replace("/usr/bin/python3", "no-such-python")
        (self.root / "dev").write_text(script)
        return subprocess.run(
            [self.root / "dev", *words], capture_output=True, text=True, env={"PATH": str(self.tools)}, cwd="/"
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_a_missing_ssh_client_is_named_with_the_line_that_installs_it(checkout: Checkout) -> None:
    (checkout.tools / "ssh").unlink()
    done = checkout.dev()
    assert done.returncode == 78
    assert "apt-get install -y openssh-client\n" in done.stderr
    assert done.stdout == ""


def test_a_missing_python_is_named_with_the_line_that_installs_it(checkout: Checkout) -> None:
    done = checkout.dev()
    assert done.returncode == 78
    assert "python3 is missing" in done.stderr
    assert "apt-get install -y python3 python3-venv\n" in done.stderr


def test_a_python_that_is_too_old_is_told_with_its_version(checkout: Checkout) -> None:
    checkout.python("3.9", too_old=True)
    done = checkout.dev()
    assert done.returncode == 78
    assert "Python 3.11 or newer is needed and only 3.9 is here" in done.stderr


def test_a_python_without_venv_is_named_with_the_line_that_installs_it(checkout: Checkout) -> None:
    checkout.python("3.12", no_venv=True)
    done = checkout.dev()
    assert done.returncode == 78
    assert "apt-get install -y python3.12-venv\n" in done.stderr


@pytest.mark.needs_user
def test_the_line_has_sudo_for_whoever_is_not_root(checkout: Checkout) -> None:
    assert "  sudo apt-get update && sudo apt-get install -y python3 python3-venv\n" in checkout.dev().stderr


def test_a_prepared_environment_is_used_at_once_and_from_any_folder(checkout: Checkout) -> None:
    prepare(checkout.root)
    done = checkout.dev("lab.ssh", "--host", "bot 1", "--", "uptime")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{checkout.root}|lab.ssh|--host|bot 1|--|uptime|"


def test_without_a_task_the_tasks_are_listed(checkout: Checkout) -> None:
    prepare(checkout.root)
    assert checkout.dev().stdout == f"{checkout.root}|--list|"


@pytest.mark.parametrize("spoil", ["other pins", "other place", "broken interpreter"])
def test_an_environment_that_no_longer_fits_is_set_up_anew(checkout: Checkout, spoil: str) -> None:
    prepare(checkout.root)
    stamp = checkout.root / ".venv" / "installed.txt"
    if spoil == "other pins":
        (checkout.root / "requirements" / "dev.txt").write_text("invoke==2.2.1\n")
    elif spoil == "other place":
        stamp.write_text(stamp.read_text().replace("checkout", "elsewhere"))
    else:
        (checkout.root / ".venv" / "bin" / "python").unlink()
    checkout.script("python3", FAKE_PYTHON.format(version="3.12", too_old=0, no_venv=0) + 'echo "ran $1"\n')
    assert "ran requirements/sync.py\n" in checkout.dev().stdout


def test_concurrent_calls_set_the_environment_up_once(checkout: Checkout) -> None:
    context = multiprocessing.get_context("fork")
    log = checkout.root / "log"
    barrier = context.Barrier(4)
    runs = [context.Process(target=_sync, args=(checkout.root, log, barrier)) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(30)
    assert [run.exitcode for run in runs] == [0, 0, 0, 0]
    assert log.read_text() == "venv\ninstall\n"


def test_a_failed_installation_is_tried_again_by_the_next_call(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    sync = load_sync(checkout.root)
    sync.make_venv = lambda: None
    sync.PYTHON = Path(shutil.which("false") or "/bin/false")
    assert sync.main() == 1
    assert "could not set up .venv (exit 1)" in capsys.readouterr().err
    assert not sync.STAMP.exists()


def load_sync(root: Path) -> ModuleType:
    """The module behind `./dev`, as if it lay in that checkout."""
    spec = importlib.util.spec_from_file_location("sync_under_test", root / "requirements" / "sync.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prepare(root: Path) -> None:
    """A finished environment whose `invoke` prints where and with what it was called."""
    binaries = root / ".venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").symlink_to(sys.executable)
    (binaries / "invoke").write_text('#!/bin/sh\nprintf \'%s|\' "$PWD" "$@"\n')
    (binaries / "invoke").chmod(0o755)
    (root / ".venv" / "installed.txt").write_text(load_sync(root).stamp_text())


def _sync(root: Path, log: Path, barrier: Any) -> None:
    sync = load_sync(root)

    def note(word: str) -> None:
        with log.open("a") as file:
            file.write(f"{word}\n")

    def make_venv() -> None:
        note("venv")
        (sync.VENV / "bin").mkdir(parents=True)
        sync.PYTHON.symlink_to(sys.executable)

    sync.make_venv, sync.install = make_venv, lambda total: note("install")
    barrier.wait(10)
    sys.exit(sync.main())
