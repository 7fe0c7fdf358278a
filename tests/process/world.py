"""One bot project of a test's own, the verbs of the agent on it, and its end without a trace."""

from __future__ import annotations

import compileall
import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from demo.mail_sink import MailSink
from tests.process import oracle
from watchdog.pidfile import instance_dir

REPOSITORY = Path(__file__).resolve().parents[2]

#: The package under test; another copy can be named, to show that the tests notice what is broken in it.
AGENT = Path(os.environ.get("AGENT_UNDER_TEST", REPOSITORY))
compileall.compile_dir(AGENT / "watchdog", quiet=2)  # verbs write no bytecode, and are run by the hundred

#: A traceback of the agent's own code; the last lines of a bot may well be a traceback of the bot's.
TRACE = re.compile(r'Traceback \(most recent call last\)[^\0]*?File \\?"[^"]*/watchdog/\w+\.py')

#: Rounds of the races: a few on every commit, many for the proof.
ROUNDS = int(os.environ.get("WATCHDOG_ROUNDS", "3"))


class Done(NamedTuple):
    """A verb that has ended."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str
    seconds: float

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        document = json.loads(self.out)
        assert isinstance(document, dict) and document["schema"] == 1, self
        return document


class World:
    """A bot project at ``project``, seen by an oracle from beginning to end.

    ``env`` holds the settings that every verb gets. ``bots_allowed`` is raised by the tests in which somebody really
    starts a second bot by hand. ``other_scripts`` names further scripts whose instance directories go with the test.
    """

    def __init__(self, folder: Path, name: str = "dcaTrader") -> None:
        self.folder = folder
        self.project = folder / name
        self.script = self.project / "src" / "main_app.py"
        self.script.parent.mkdir(parents=True)
        shutil.copyfile(Path(__file__).with_name("standin.py"), self.script)
        shutil.copyfile(AGENT / "watchdog" / "pidfile.py", self.script.with_name("pidfile.py"))
        self.pid_file = self.project / "main_app.pid"
        self.instance = Path(instance_dir(str(self.script)))
        self.state_dir = self.instance
        self.python = sys.executable
        self.agent = AGENT
        self.env: dict[str, str] = {
            "WATCHDOG_APP_DIR": str(self.project),
            "WATCHDOG_APP_PYTHON": self.python,
            "WATCHDOG_START_GRACE": "0.3",
            "WATCHDOG_STOP_GRACE": "2",
            "WATCHDOG_ALLOW_ROOT": "1" if os.geteuid() == 0 else "",
        }
        self.bots_allowed = 1
        self.other_scripts: list[Path] = []
        self.sinks: list[MailSink] = []
        self._started: list[subprocess.Popen[Any]] = []
        self.sampler = oracle.Sampler(self.script)
        self.sampler.start()

    # The agent -------------------------------------------------------------------------------------------------------

    def environment(self, **more: str) -> dict[str, str]:
        """What a verb is started with; an empty value takes a setting away."""
        user = pwd.getpwuid(os.geteuid())
        base = {"PATH": os.environ["PATH"], "HOME": user.pw_dir, "LANG": "C.UTF-8", "PYTHONPATH": str(self.agent)}
        merged = {**base, "PYTHONDONTWRITEBYTECODE": "1", **self.env, **more}
        return {key: value for key, value in merged.items() if value}

    def command(self, *words: str) -> list[str]:
        """The argument vector of a verb."""
        return [self.python, "-m", "watchdog", *words]

    def verb(self, *words: str, timeout: float = 60, cwd: Path | str | None = None, **more: str) -> Done:
        """Run a verb to its end; settings in ``more``. No traceback may ever come out of it (oracle I4)."""
        before = time.monotonic()
        ended = subprocess.run(
            self.command(*words), cwd=cwd or self.folder, env=self.environment(**more), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip
        done = Done(words, ended.returncode, ended.stdout, ended.stderr, time.monotonic() - before)
        assert "Traceback" not in done.err and not TRACE.search(done.out), done
        assert done.code in (0, 1, 2, 3, 4, 5, 75, 78), done
        return done

    def ok(self, *words: str, **more: Any) -> Done:
        """Run a verb that must succeed."""
        done = self.verb(*words, **more)
        assert done.code == 0, done
        return done

    def begin(self, *words: str, cwd: Path | None = None, **more: str) -> subprocess.Popen[str]:
        """Start a verb and go on."""
        return self.spawn(self.command(*words), cwd or self.folder, self.environment(**more))

    def spawn(
        self, argv: list[str], cwd: Path | None = None, env: dict[str, str] | None = None, **more: Any
    ) -> subprocess.Popen[Any]:
        """Start any process; it is ended with the test."""
        pipe = subprocess.PIPE
        options: dict[str, Any] = {"stdin": pipe, "stdout": pipe, "stderr": pipe, "text": True, **more}
        process = subprocess.Popen(argv, cwd=cwd or self.folder, env=env or self.environment(), **options)
        self._started.append(process)
        return process

    def status(self, **more: str) -> dict[str, Any]:
        """The document of ``status --json``."""
        return self.verb("status", "--json", **more).json

    def guard(self, **more: str) -> int:
        """Put a guard on watch, as cron does it; its PID."""
        self.ok("guard", **more)
        return self.until_guarded()

    # The bot ---------------------------------------------------------------------------------------------------------

    def behave(self, *lives: dict[str, Any]) -> None:
        """Tell the bot what to do: the first life the first, the last for all others."""
        part = self.project / "behaviour.part"
        part.write_text(json.dumps(lives))
        part.rename(self.project / "behaviour.json")

    def by_hand(self, *options: str, script: str | None = None, cwd: Path | None = None, **more: Any) -> int:
        """Start the bot without the watchdog, as a person in a shell would; its PID once it runs."""
        before = len(self.births())
        argv = [self.python, *options, script or str(self.script)]
        process = self.spawn(argv, cwd or self.project, {"PATH": os.environ["PATH"]}, **more)
        oracle.until(lambda: len(self.births()) > before, f"{argv} runs")
        return process.pid

    def bots(self) -> list[int]:
        """The live bots, by /proc."""
        return oracle.instances(self.script)

    @property
    def bot(self) -> int:
        """The PID of the only live bot."""
        found = self.bots()
        assert len(found) == 1, f"live bots: {found}"
        return found[0]

    def births(self) -> list[dict[str, Any]]:
        """One entry per life."""
        return [json.loads(line) for line in self.lines("births.jsonl")]

    def until_bot(self, other_than: int | None = None, within: float = 15.0) -> int:
        """Wait for a live bot whose first line is written; its PID."""

        def found() -> int | None:
            born = {entry["pid"] for entry in self.births()}
            return next((pid for pid in self.bots() if pid != other_than and pid in born), None)

        return int(str(oracle.until(found, f"a bot other than {other_than}", within)))

    def until_running(self, other_than: int | None = None, within: float = 15.0) -> int:
        """Wait for a bot that the agent calls running; its PID."""

        def recorded() -> bool:
            try:
                state = json.loads((self.state_dir / "state.json").read_text())
            except (OSError, ValueError):
                return False
            recorded = state["bot"][0] if state["memory"]["phase"] == "running" and state["bot"] else None
            return recorded not in (None, other_than) and oracle.alive(recorded)  # a death is on record a moment later

        oracle.until(recorded, f"a running bot other than {other_than} in state.json; log: {self.log[-1500:]}", within)
        status = self.status()
        assert status["state"] == "running" and status["pid"] != other_than, status
        return int(status["pid"])

    def kill(self, pid: int, number: int = signal.SIGKILL) -> None:
        """Signal one of our processes and, where that ends it, wait for its end."""
        descriptor = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)
        if number == signal.SIGKILL:
            oracle.until(lambda: not oracle.alive(pid), f"PID {pid} dies of SIGKILL")

    def lose_pid_file(self) -> None:
        """Remove the PID file, as a person would."""
        self.pid_file.unlink()

    def forget_deaths(self, *state_dirs: Path) -> None:
        """Let the delay ladder begin anew, by taking away what was recorded. No guard may be on watch."""
        for folder in state_dirs or (self.state_dir,):
            (folder / "state.json").unlink(missing_ok=True)

    # Guard and heir --------------------------------------------------------------------------------------------------

    @property
    def guards(self) -> list[int]:
        """Who holds the guard's lock."""
        return oracle.lock_holders(self.instance / "guard.lock")

    @property
    def heirs(self) -> list[int]:
        """Who holds the heir's lock: while it waits, its argument vector is that of flock(1)."""
        return oracle.lock_holders(self.instance / "heir.lock")

    def until_guarded(self, other_than: int | None = None, within: float = 15.0) -> int:
        """Wait for one guard and, waiting behind it, one heir; the guard's PID."""

        def found() -> int | None:
            guards, heirs = self.guards, self.heirs
            ready = len(guards) == 1 and len(heirs) == 1 and guards != heirs and guards[0] != other_than
            return guards[0] if ready else None

        return int(str(oracle.until(found, f"a guard other than {other_than} and one heir", within)))

    # Files -----------------------------------------------------------------------------------------------------------

    def lines(self, name: str | Path) -> list[str]:
        """The lines of a file in the project, none when it is not there."""
        try:
            return (self.project / name).read_text(errors="replace").splitlines()
        except OSError:
            return []

    @property
    def log(self) -> str:
        """The watchdog's log."""
        return "\n".join(self.lines("logs/watchdog.log"))

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The events so far, or those of one kind."""
        found = [json.loads(line) for line in self.lines(self.instance / "events.jsonl")]
        return [entry for entry in found if kind in (None, entry["kind"])]

    def until_event(self, kind: str, count: int = 1, within: float = 15.0) -> dict[str, Any]:
        """Wait for the n-th event of a kind."""
        oracle.until(lambda: len(self.events(kind)) >= count, f"{count} events {kind!r} in {self.log[-1500:]}", within)
        return self.events(kind)[count - 1]

    def outbox(self, box: str = "new") -> list[Path]:
        """The alerts that wait."""
        return sorted((self.instance / "outbox" / box).glob("*.json"))

    # The end ---------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End everything of this world, then say what the oracles saw."""
        if self.bots_allowed < 2:
            for pid in self.bots()[1:]:
                self.sampler.evidence.append((0.0, [pid]))
        self.sampler.stop()
        self._end_processes()
        for folder in (self.instance, *(Path(instance_dir(str(script))) for script in self.other_scripts)):
            shutil.rmtree(folder, ignore_errors=True)
        assert self.sampler.most <= self.bots_allowed, f"I1 broken: {self.sampler.evidence}\n{self.log}"
        overlaps = self.lines("overlaps")
        assert len(overlaps) < self.bots_allowed, f"{overlaps}\n{self.log}"

    def _end_processes(self) -> None:
        end = time.monotonic() + 20
        mine = {process.pid for process in self._started}
        while found := [pid for pid in oracle.related(f"{self.folder}/", self.instance.name) if oracle.alive(pid)]:
            if time.monotonic() > end:
                raise AssertionError(f"these live on: {[(pid, oracle.read(pid, 'cmdline')) for pid in found]}")
            for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, or an heir takes over meanwhile
                for pid in found:
                    with contextlib.suppress(OSError):
                        os.kill(pid, number)
            time.sleep(0.01)
        for process in self._started:
            if process.pid in mine:
                process.kill()
                process.wait(10)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    with contextlib.suppress(OSError):
                        stream.close()
