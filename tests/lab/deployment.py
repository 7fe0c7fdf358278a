"""Drives the real `ansible-playbook` from a checkout of its own against one lab host, and looks at what came of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.api import Lab

ROOT = Path(__file__).resolve().parents[2]
CARRIED = ("watchdog", "release", "roles", "playbooks", "requirements")
FILES = ("ansible.cfg", "deploy.yml", "remove.yml")
APP_DIR = "/home/trader/dcaTrader"
STATE = "/home/trader/.local/state/dca-watchdog"
BASE = "/opt/dca-watchdog"
HOME_ROOT = "/home/trader/.local/share/dca-watchdog"
SECONDS = 180

BOT = """\
import os, time
print("up", os.getpid(), flush=True)
while True:
    time.sleep(0.2)
"""


def copy_checkout(target: Path) -> Path:
    """What a deploy needs of this checkout, so that a test may change it."""
    for name in CARRIED:
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, target / name)
    return target


def touch_agent(checkout: Path, word: str) -> None:
    """Another agent, as a new version would be: its release gets another hash."""
    source = checkout / "watchdog" / "states.py"
    source.write_text(f"{source.read_text()}\n# {word}\n")


@dataclass(frozen=True)
class Played:
    """How one run of a playbook ended."""

    code: int
    output: str

    @property
    def changed(self) -> int:
        """How many tasks the recap counts as changed."""
        return sum(int(number) for number in re.findall(r"changed=(\d+)", self.output))

    @property
    def line(self) -> str:
        """The one line that the host gets at the end."""
        found = re.findall(r"\(item=(\w[\w-]*: .*)\)", self.output)
        assert found, self.output
        return str(found[-1])

    @property
    def failure(self) -> str:
        """What the failing task says, as one line."""
        found = re.search(r"FAILED! =>.*?\n    msg: (.*?)(?:\n\S|\n\n)", self.output, re.DOTALL)
        assert found, self.output
        return " ".join(found[1].split()).replace("''", "'")

    def failure_of(self, entry: str) -> str:
        """All that is said of the failure of one inventory name, as one line."""
        found = re.search(rf"^fatal: \[{entry}\]: FAILED! =>.*((?:\n    .*)+)", self.output, re.MULTILINE)
        assert found, self.output
        return " ".join(found[1].split()).replace("''", "'")


@dataclass
class Site:
    """One bot of the inventory, the host it lives on, and the checkout it is deployed from."""

    lab: Lab
    checkout: Path
    host: str = "bot1"
    inventory: Path | None = None
    entry: str = ""
    name: str = "dcaTrader"
    root: str = BASE
    app_dir: str = APP_DIR
    environment: Mapping[str, str] | None = None

    def play(self, playbook: str, *options: str, **variables: Any) -> Played:
        """Run a playbook as an operator does; `variables` are given as -e. Never raises for a failed play."""
        command = [str(Path(sys.executable).parent / "ansible-playbook"), playbook]
        command += ["-i", str(self.inventory or self.lab.inventory_path), "--limit", self.entry or self.host, *options]
        if variables:
            command += ["-e", json.dumps(variables)]
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "COLUMNS": "1000", **(self.environment or {})}
        done = subprocess.run(
            command, cwd=self.checkout, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        return Played(done.returncode, done.stdout + done.stderr)

    def deploy(self, *options: str, **variables: Any) -> Played:
        """Deploy, and expect it to work."""
        played = self.play("deploy.yml", *options, **variables)
        assert played.code == 0, played.output
        return played

    def refuse(self, *options: str, **variables: Any) -> str:
        """Deploy, and expect a refusal; returns its text."""
        played = self.play("deploy.yml", *options, **variables)
        assert played.code != 0, played.output
        assert played.changed == 0, played.output
        assert "Traceback" not in played.output, played.output
        return played.failure

    def remove(self, *options: str, **variables: Any) -> Played:
        """Take the watchdog away, and expect it to work."""
        played = self.play("remove.yml", *options, **variables)
        assert played.code == 0, played.output
        return played

    def door(self, *words: str, check: bool = True) -> dict[str, Any]:
        """Call the bot's door as the bot's user; its JSON answer."""
        answer = self.lab.exec(
            self.host, [f"{self.root}/bin/{self.name}", *words, "--json"], user="trader", check=check
        )
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    def status(self) -> dict[str, Any]:
        """The bot's status."""
        return self.door("status", check=False)

    def bots(self) -> list[int]:
        """The PIDs, inside the host, of all processes that run the bot's script."""
        script = f"{self.app_dir}/src/main_app.py"
        return [pid for pid, argv in self.processes().items() if "python" in argv[0] and script in argv]

    def processes(self) -> dict[int, list[str]]:
        """Every process of the host by its PID there, with its arguments."""
        code = (
            "import os,json\n"
            "found={}\n"
            "for pid in filter(str.isdigit, os.listdir('/proc')):\n"
            "    try: words=open(f'/proc/{pid}/cmdline').read().split(chr(0))[:-1]\n"
            "    except OSError: continue\n"
            "    if words: found[int(pid)]=words\n"
            "print(json.dumps(found))"
        )
        answer = self.lab.exec(self.host, ["python3", "-c", code])
        return {int(pid): words for pid, words in json.loads(answer.stdout).items()}

    def ours(self) -> list[str]:
        """Every file of ours outside the bot's project and every process of ours."""
        find = ["find", "/", "-xdev", "-name", "*dca-watchdog*", "-not", "-path", "/proc/*"]
        files = self.lab.exec(self.host, find, check=False).stdout.split()
        crontab = self.lab.exec(self.host, ["crontab", "-u", "trader", "-l"], check=False).stdout
        processes = [" ".join(argv) for argv in self.processes().values() if any("watchdog" in word for word in argv)]
        return files + processes + [line for line in crontab.splitlines() if "watchdog" in line]

    def current(self) -> str:
        """The release in force."""
        link = self.lab.exec(self.host, ["readlink", f"{self.root}/{self.name}/current"]).stdout
        return link.strip().rpartition("/")[2]

    def releases(self) -> set[str]:
        """The releases kept on the host."""
        return set(self.lab.exec(self.host, ["ls", f"{self.root}/{self.name}/releases"]).stdout.split())

    def install_bot(self, source: str = BOT, app_dir: str = "") -> None:
        """Put a bot's project onto the host, owned by its user."""
        app_dir = app_dir or self.app_dir
        self.lab.exec(self.host, ["mkdir", "-p", f"{app_dir}/src"], user="trader")
        self.write(f"{app_dir}/src/main_app.py", source)

    def write(self, path: str, text: str, user: str = "trader") -> None:
        """Write a file on the host."""
        self.lab.exec(self.host, ["sh", "-c", 'cat > "$1"', "write", path], user=user, input=text)

    def crontab(self, text: str, user: str = "trader") -> None:
        """Install a user's crontab; an empty text removes it."""
        self.lab.exec(self.host, ["crontab", "-u", user, "-"], input=text)

    def kill_bots(self) -> None:
        """End the bots that are left over from a test, once nothing brings them back."""
        for pid in self.bots():
            self.lab.exec(self.host, ["kill", "-9", str(pid)], check=False)

    def reset(self) -> None:
        """Back to a host that never heard of us."""
        if self.ours() not in ([], [STATE]):  # a test of removal has done it already
            self.remove()
        self.kill_bots()
        self.lab.exec(self.host, ["rm", "-rf", STATE, self.app_dir])


def write_inventory(path: Path, lab: Lab, entries: Mapping[str, Mapping[str, Any]]) -> Path:
    """The lab's inventory with these hosts in place of its own; each is `bot1` under another name."""
    content = yaml.safe_load(lab.inventory_path.read_text())
    host = content["bots"]["hosts"]["bot1"]
    content["bots"]["hosts"] = {name: {**host, **variables} for name, variables in entries.items()}
    path.write_text(yaml.safe_dump(content))
    return path
