"""The private folder of one demonstration, and everything that runs in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import yaml

from demo import processes
from demo.commands import Finished, run
from demo.mail_sink import MailSink
from demo.price_server import PriceServer
from demo.project import REPOSITORY, Project, make_project
from release.__main__ import cache_home
from watchdog.pidfile import BASE, instance_dir

_FOREIGN = ("SMTP_", "ALERT_", "WATCHDOG_", "ANSIBLE_", "DEMO_", "FABRIC_", "INVOKE_")


class Sandbox:
    """A bot's project, an inventory that names it, a price feed and a mail server. :meth:`close` ends it all."""

    def __init__(self, columns: int, *, colour: bool = False) -> None:
        self.columns = columns
        self.folder = Path(tempfile.mkdtemp(prefix="watchdog-demo-")).resolve()  # 0700
        self.inventory = self.folder / "hosts.yml"
        self.root = self.folder / "watchdog"
        self.door = self.root / "bin" / "dcaTrader"
        self.password = secrets.token_urlsafe(16)
        self.is_root = os.geteuid() == 0
        self.wheels = cache_home() / "wheels"
        self.feed = PriceServer()
        self.sink = MailSink(self.folder / "mails", tls="starttls", auth=("bot", self.password))
        self._base = _SharedBase()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)},
            processes.MARK: str(self.folder),
            "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
            "ANSIBLE_INVENTORY": str(self.inventory),
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_REMOTE_TEMP": str(self.folder / "ansible" / "tmp"),
            "ANSIBLE_NOCOLOR": "1",
            "COLUMNS": str(columns),
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "" if colour else "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }

    @property
    def project(self) -> Project:
        """The bot's project folder."""
        return Project(self.folder / "dcaTrader")

    @property
    def state_dir(self) -> Path:
        """Where the agent keeps this bot's locks and state: outside the folder, by the path of its script."""
        return Path(instance_dir(str(self.project.script)))

    def open(self) -> None:
        """Start the servers, make the project and write the inventory."""
        self._base.open()
        self.feed.start()
        self.sink.start()
        make_project(self.project.folder)
        bot_env = self.folder / "bot.env"
        bot_env.write_text(f"DEMO_FEED_URL={self.feed.url}\nDEMO_BUY_EVERY=0.5\n")
        self._share_wheels()
        self.inventory.touch(mode=0o600)  # it holds the mail password
        self.inventory.write_text(yaml.safe_dump(self._inventory(bot_env), sort_keys=False))

    def run(
        self,
        *argv: str,
        timeout: float = 60,
        on_line: Callable[[str], None] = lambda line: None,
        terminal: bool = False,
    ) -> Finished:
        """Run a command from the repository, as a person at its root would; on a `terminal` or into a pipe."""
        columns = self.columns if terminal else None
        return run(
            argv, cwd=REPOSITORY, environment=self.environment, timeout=timeout, on_line=on_line, columns=columns
        )

    def close(self, *, keep: bool) -> None:
        """End our processes, prove that no lock is held, and remove what is ours; `keep` spares the folder.

        Raises :class:`TimeoutError` where a process cannot be ended; then nothing is removed.
        """
        processes.end(self.folder)
        self.feed.stop()
        self.sink.stop()
        self._remove_state()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._base.close()

    def _share_wheels(self) -> None:
        """All caches are private to the demonstration but that of psutil's wheel, which is not fetched each time."""
        private = self.folder / "cache" / "dca-watchdog"
        private.mkdir(parents=True)
        with contextlib.suppress(OSError):  # no home to write to: then it is fetched each time
            self.wheels.mkdir(parents=True, exist_ok=True)
            (private / "wheels").symlink_to(self.wheels)

    def _remove_state(self) -> None:
        state = self.state_dir
        for lock in state.glob("*.lock"):
            with lock.open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: somebody is alive after all
        shutil.rmtree(state, ignore_errors=True)

    def _inventory(self, bot_env: Path) -> dict[str, object]:
        bot: dict[str, object] = {
            "ansible_connection": "local",
            "ansible_become": False,
            "watchdog_system": False,
            "watchdog_cron": False,
            "watchdog_allow_root": self.is_root,
            "watchdog_root": str(self.root),
            "watchdog_name": "dcaTrader",
            "watchdog_app_dir": str(self.project.folder),
            "watchdog_app_python": sys.executable,
            "watchdog_app_log": str(self.project.log),
            "watchdog_app_env_file": str(bot_env),
            "watchdog_start_grace": 2,
            "watchdog_smtp_server": self.sink.host,
            "watchdog_smtp_port": self.sink.port,
            "watchdog_smtp_security": "starttls",
            "watchdog_smtp_ca_file": str(self.sink.ca_file),
            "watchdog_smtp_username": "bot",
            "watchdog_smtp_password": self.password,
            "watchdog_alert_from": "watchdog@demo.example",
            "watchdog_alert_to": "you@demo.example",
        }
        return {"all": {"children": {"bots": {"hosts": {"bot": bot}}}}}


class _SharedBase:
    """The folder in the user's home that holds every bot's state: the last demonstration out removes it if empty.

    Those that run at once agree through a shared lock on it, so that none removes it under another's feet.
    """

    def __init__(self) -> None:
        self._path = Path(pwd.getpwuid(os.getuid()).pw_dir, BASE)
        self._made: list[Path] = []
        self._descriptor: int | None = None

    def open(self) -> None:
        self._made = [path for path in self._path.parents if not path.exists()]
        while self._descriptor is None:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if self._same(descriptor):
                self._descriptor = descriptor
            else:  # removed by another one before we had the lock
                os.close(descriptor)

    def close(self) -> None:
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError):  # another demonstration lives, or somebody's state is in there
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in (self._path, *self._made):
                with contextlib.suppress(FileNotFoundError):  # the agent's own clean-up was here first
                    path.rmdir()
        os.close(self._descriptor)
        self._descriptor = None

    def _same(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        except FileNotFoundError:
            return False
