"""The demonstration itself: every step does something real, and claims only what it has observed."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from demo import processes
from demo.commands import Finished
from demo.mail import Mail, render
from demo.processes import wait_until
from demo.sandbox import Sandbox
from demo.stage import NotProvedError, Stage

_FIRST_LINE = re.compile(r"^BOOTTIME=(\d+\.\d+) first line$", re.MULTILINE)
_TASK = re.compile(r"^TASK \[(?:[\w.-]+ : )?(.*?)\] \**$")
_RESULT = re.compile(r"^(ok|changed|fatal|failed): \[")


@dataclass
class Story:
    """The steps in their order; each may rely on those before it."""

    stage: Stage
    sandbox: Sandbox
    printed: list[str] = field(default_factory=list)
    """Everything the commands printed, searched for secrets at the end."""
    pid: int = 0
    killed: float = 0.0
    """``time.monotonic()`` at the kill."""

    def play(self) -> None:
        """Raises :class:`~demo.stage.NotProvedError`, :class:`TimeoutError` or :class:`OSError`."""
        for step in STEPS:
            step(self)

    def prepare(self) -> None:
        """The bot's project, the feed and the mail server."""
        stage, sandbox = self.stage, self.sandbox
        stage.step("A trading bot, its price feed and a mail server")
        sandbox.open()
        stage.say("bot         dcaTrader/src/main_app.py: buys a little every 0.5 s, on paper")
        stage.say(f"price feed  {sandbox.feed.url}")
        stage.say(f"mail        {sandbox.sink.host}:{sandbox.sink.port}, STARTTLS and a log-in required")
        stage.say("inventory   hosts.yml: one host, `bot`, over a local connection")
        if sandbox.is_root:
            stage.note("You are root, which the watchdog refuses unless told: watchdog_allow_root is set to true.")
        stage.command(f"export ANSIBLE_INVENTORY={sandbox.inventory}")

    def deploy(self) -> None:
        """Deploy with the real playbook."""
        stage = self.stage
        stage.step("Deploy the watchdog: the playbook that real hosts get")
        stage.command("ansible-playbook deploy.yml")
        tasks = _TaskLines(stage)
        done = self._run("ansible-playbook", "deploy.yml", timeout=120, on_line=tasks)
        tasks.recap(done)
        stage.claim(done.code == 0, f"deployed in {done.seconds:.1f} s, exit code 0")
        self.pid = self._status()["pid"] or 0
        stage.claim(self.pid and self._alive() == [self.pid], f"it started the bot: PID {self.pid}, and no other copy")

    def look(self) -> None:
        """The real ``fab status``."""
        stage = self.stage
        stage.step("Ask how it is")
        running = wait_until(lambda: self._status()["state"] == "running", 10, every=0.2)
        done = self._fab("status")
        stage.claim(running and done.code == 0, "exit code 0: every bot is running")

    def kill(self) -> None:
        """Kill the bot and measure how long nobody was there."""
        stage, project = self.stage, self.sandbox.project
        stage.step("Kill it")
        old, lines, before = self.pid, len(self._first_lines()), self._status()["restarts"]
        with processes.Count(project.script) as count:
            stage.command(f"kill -9 {old}")
            self.killed, killed = time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME)
            os.kill(old, signal.SIGKILL)
            wait_until(lambda: len(self._first_lines()) > lines, 20)
            self.pid = self._status()["pid"] or 0
            trading = wait_until(lambda: self._traders()[-1:] == [self.pid], 10)
            traded = time.clock_gettime(time.CLOCK_BOOTTIME)
        gone = (self._first_lines()[-1] - killed) * 1000
        back = len(self._first_lines()) == lines + 1 and gone > 0 and self._alive() == [self.pid] and self.pid != old
        stage.claim(back, f"back after {gone:.0f} ms: PID {old} -> PID {self.pid}")
        stage.say("  (from the kill to the new bot's first line, by the bot's own time stamp)")
        stage.claim(trading, f"trading again {(traded - killed) * 1000:.0f} ms after the kill")
        looks = len(count.samples)
        stage.claim(
            max(count.samples, default=0) == 1, f"never two bots: {looks} looks at the process table saw one at most"
        )
        wait_until(lambda: self._status()["state"] == "running", 10, every=0.2)
        done = self._fab("status")
        stage.claim(done.code == 0 and self._status()["restarts"] == before + 1, "one more restart on record")

    def mail(self) -> None:
        """The mail about it."""
        stage = self.stage
        stage.step("Read the mail that was sent about it")
        mail = self.sandbox.sink.wait_for(lambda m: m.received_at > self.killed, timeout=20)
        lines = render(mail, stage.width - 4, prefix="").splitlines()
        stage.output([*lines[:15], f"  ... {len(lines) - 20} more lines ...", *lines[-5:]])
        stage.claim(str(self.pid) in mail.text and "restarted" in mail.subject, f"it names PID {self.pid}")
        stage.claim(mail.encrypted and mail.user == "bot", "delivered over TLS with a verified certificate, logged in")
        unseen = self.sandbox.password.encode() not in Path(f"/proc/{self.pid}/environ").read_bytes()
        stage.claim(unseen, "the bot itself never sees the mail settings")
        stage.claim(self._came_after_the_bot(mail), "sent after the restart, never before it")

    def logs(self) -> None:
        """The bot's log from afar."""
        stage = self.stage
        stage.step("Read the bot's log")
        done = self._fab("logs", "--lines", "6")
        stage.claim(done.code == 0 and "trade" in done.output, "the bot's own log")

    def second_copy(self) -> None:
        """Somebody starts the bot by hand."""
        stage, project = self.stage, self.sandbox.project
        stage.step("Start a second copy by hand")
        stage.say("Two copies would trade twice. The bot calls create_pid_file(), which asks the kernel's lock.")
        stage.command("python dcaTrader/src/main_app.py")
        done = self._run(sys.executable, str(project.script), timeout=20)
        stage.output(done.output)
        stage.claim(done.code == 79, "refused, exit code 79")
        stage.claim(self._alive() == [self.pid], f"PID {self.pid} goes on undisturbed")

    def stop(self) -> None:
        """Stop it; nothing resurrects it."""
        stage, sandbox = self.stage, self.sandbox
        stage.step("Stop it, and try to resurrect it")
        done = self._fab("stop", "--reason", "demo")
        stage.claim(done.code == 0 and not self._alive(), f"PID {self.pid} has ended")
        tidy = "ledger saved, goodbye" in sandbox.project.log.read_text() and not sandbox.project.pid_file.exists()
        stage.claim(tidy, "it ended tidily: ledger saved, PID file removed")
        stage.say("Cron runs this every minute, so run it, then kill the guard and run it again:")
        with processes.Count(sandbox.project.script) as count:
            stage.command(f"{sandbox.door.relative_to(sandbox.folder)} guard")
            first = self._run(str(sandbox.door), "guard", timeout=20)
            guard = self._guard()
            stage.claim(guard and not self._alive(), f"there is a guard, PID {guard}, and it starts nothing")
            stage.command(f"kill -9 {guard}")
            os.kill(guard, signal.SIGKILL)
            replaced = wait_until(lambda: self._guard() not in (0, guard), 10)
            heir = self._guard()
            second = self._run(str(sandbox.door), "guard", timeout=20)
            time.sleep(1)
        stage.claim(
            first.code == second.code == 0 and replaced,
            f"the guard itself was replaced at once: PID {guard} -> PID {heir}",
        )
        stage.claim(count.samples and max(count.samples) == 0, "but no bot came back: what the operator says, lasts")
        done = self._fab("status")
        stage.claim(done.code == 3, "exit code 3: not running")

    def books(self) -> None:
        """What the ledger says about two copies; what the output says about the password."""
        stage = self.stage
        stage.step("Check the books")
        runs = [(pid, len(list(trades))) for pid, trades in groupby(self._traders())]
        stage.output(f"{count:4} trades by PID {pid}" for pid, count in runs)
        stage.claim(len(runs) == 2, "one bot after the other, never interleaved")
        stage.claim(not self._leaks(), "the mail password is in no log, event, mail or output")

    def remove(self) -> None:
        """Take the watchdog away."""
        stage, sandbox = self.stage, self.sandbox
        stage.step("Take everything away")
        stage.command("ansible-playbook remove.yml")
        tasks = _TaskLines(stage)
        done = self._run("ansible-playbook", "remove.yml", timeout=120, on_line=tasks)
        tasks.recap(done)
        stage.claim(done.code == 0 and not sandbox.root.exists(), "the watchdog's files are gone")
        stage.claim(wait_until(lambda: not processes.of_folder(sandbox.folder), 5), "no guard, no heir, no bot")
        stage.claim(not sandbox.state_dir.exists(), "no state, no lock file: it was proved first that nobody holds one")

    def _run(self, *argv: str, timeout: float = 30, **options: Any) -> Finished:
        done = self.sandbox.run(*argv, timeout=timeout, **options)
        self.printed.append(done.output)
        return done

    def _fab(self, *words: str) -> Finished:
        argv = ("fab", "-H", "bot", *words)
        self.stage.command(argv)
        done = self._run(*argv, terminal=True)
        self.stage.output(done.output)
        return done

    def _status(self) -> dict[str, Any]:
        done = self._run(str(self.sandbox.door), "status", "--json")
        try:
            status: dict[str, Any] = json.loads(done.output)
            return {name: status[name] for name in ("state", "pid", "restarts", "guard")}
        except (ValueError, KeyError):
            raise NotProvedError(f"`status --json` answers with a status: {done.output.strip()[:300]}") from None

    def _guard(self) -> int:
        return (self._status()["guard"] or {}).get("pid") or 0

    def _alive(self) -> list[int]:
        return [process.pid for process in processes.running(self.sandbox.project.script)]

    def _first_lines(self) -> list[float]:
        return [float(stamp) for stamp in _FIRST_LINE.findall(self.sandbox.project.output.read_text())]

    def _traders(self) -> list[int]:
        rows = self.sandbox.project.ledger.read_text().splitlines()[1:]
        return [int(row.split(",")[1]) for row in rows]

    def _came_after_the_bot(self, mail: Mail) -> bool:
        offset = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
        return mail.received_at + offset > self._first_lines()[-1]

    def _leaks(self) -> list[str]:
        secret, sandbox = self.sandbox.password, self.sandbox
        allowed = {sandbox.inventory, *sandbox.root.glob("**/smtp.env")}
        files = [path for top in (sandbox.folder, sandbox.state_dir) for path in top.rglob("*") if path.is_file()]
        found = [str(path) for path in files if path not in allowed and secret.encode() in path.read_bytes()]
        return found + [text for text in self.printed if secret in text]


STEPS = (
    Story.prepare,
    Story.deploy,
    Story.look,
    Story.kill,
    Story.mail,
    Story.logs,
    Story.second_copy,
    Story.stop,
    Story.books,
    Story.remove,
)


class _TaskLines:
    """Shows Ansible's output with one line per task, as it comes."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._task = self._result = ""

    def __call__(self, line: str) -> None:
        task, result = _TASK.match(line), _RESULT.match(line)
        if task or line.startswith("PLAY RECAP"):
            if self._result:
                self._stage.output([f"{self._result:8} {self._task}"])
            self._task, self._result = task[1].partition(" - ")[0] if task else "", ""
        elif result and self._result in ("", "ok"):  # a loop has several: the worst one counts
            self._result = result[1]

    def recap(self, done: Finished) -> None:
        """The closing line; everything, where it failed."""
        if done.code:
            self._stage.output(done.output)
        lines = [" ".join(line.split()) for line in done.output.splitlines() if re.match(r"^bot\s+: ok=", line)]
        self._stage.output(line.partition(" skipped=")[0] for line in lines)
