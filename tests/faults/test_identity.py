"""Which process is the bot: by its argument vector, parsed and resolved; never by a name, a PID or a guess."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from demo.mail_sink import MailSink
from tests.process import oracle
from tests.process.conftest import MakeWorld
from tests.process.world import World


def adopted(world: World, pid: int) -> None:
    """One pass, then a guard: both must find that very process and start nothing."""
    births = len(world.births())
    found = world.ok("check", "--json").json
    assert found["pid"] == pid and found["action"] in ("adopted", "none"), found
    assert world.pid_file.read_text().strip() == str(pid)
    world.guard()
    assert world.until_running() == pid
    assert len(world.births()) == births


@pytest.mark.fault("F02")
@pytest.mark.promise(6)
def test_a_bot_started_by_hand_is_adopted_with_its_pid(world: World) -> None:
    pid = world.by_hand()
    adopted(world, pid)
    assert world.events("adopted"), "an adoption is said"
    world.kill(pid)
    new = world.until_bot(other_than=pid)
    assert world.until_running() == new
    assert len(world.births()) == 2


@pytest.mark.fault("F02")
def test_a_bot_whose_pid_file_was_deleted_gets_it_back(world: World) -> None:
    pid = world.ok("check", "--json").json["pid"]
    world.lose_pid_file()
    assert world.ok("check", "--json").json["pid"] == pid
    assert world.pid_file.read_text().strip() == str(pid)
    assert len(world.births()) == 1


@pytest.mark.fault("F12")
@pytest.mark.parametrize(
    "options",
    [(), ("-u",), ("-uB",), ("-X", "utf8"), ("-Xdev", "-W", "ignore"), ("-O", "-I"), ("-s", "--")],
    ids=" ".join,
)
def test_interpreter_options_do_not_hide_a_bot(world: World, options: tuple[str, ...]) -> None:
    adopted(world, world.by_hand(*options))


@pytest.mark.fault("F12")
def test_a_relative_script_is_resolved_by_the_directory_of_its_process(world: World) -> None:
    adopted(world, world.by_hand(script="main_app.py", cwd=world.script.parent))


@pytest.mark.fault("F12")
def test_a_script_behind_a_symbolic_link_is_the_same_script(world: World) -> None:
    link = world.folder / "live"
    link.symlink_to(world.project)
    adopted(world, world.by_hand(script=str(link / "src" / "main_app.py")))


@pytest.mark.fault("F12")
def test_a_bot_started_as_a_module_is_found(world: World) -> None:
    before = len(world.births())
    process = world.spawn([world.python, "-m", "src.main_app"], world.project)
    oracle.until(lambda: len(world.births()) > before, "the module runs")
    adopted(world, process.pid)


@pytest.mark.fault("F12")
@pytest.mark.parametrize("how", ["nohup", "shebang", "venv"])
def test_however_it_was_started_it_is_the_bot(world: World, how: str) -> None:
    if how == "nohup":
        argv = ["nohup", world.python, "src/main_app.py"]
    elif how == "shebang":
        world.script.write_text(f"#!{world.python}\n{world.script.read_text()}")
        world.script.chmod(0o755)
        argv = ["./src/main_app.py"]
    else:
        folder = world.project / "venv" / "bin"
        folder.mkdir(parents=True)
        (folder / "python3.99").symlink_to(sys.executable)
        argv = [str(folder / "python3.99"), "src/main_app.py"]
    process = world.spawn(argv, world.project)
    oracle.until(world.births, f"{how} runs the bot")
    adopted(world, process.pid)


def decoys(world: World, other: Path) -> dict[str, list[str]]:
    """Commands whose argument vector has the bot's file name in it, and which are not the bot."""
    script, pause = str(world.script), "import time; time.sleep(3600)"
    (world.project / "main_app.py.log").write_text("x\n")
    (other / "src").mkdir(parents=True)
    (other / "src" / "main_app.py").write_text(pause)
    (other / "main_app.py").write_text(pause)
    tool = world.project / "tool.py"
    tool.write_text(pause)
    return {
        "tail of its log": ["tail", "-f", str(world.project / "main_app.py.log")],
        "tail of the script": ["tail", "-f", script],
        "another project": [world.python, str(other / "src" / "main_app.py")],
        "another directory": [world.python, str(other / "main_app.py")],
        "a tool with the script as argument": [world.python, str(tool), script],
        "-c with the script as argument": [world.python, "-c", pause, script],
        "a shell": ["sh", "-c", f"sleep 3600; exit # {world.python} {script}"],
        "stdin": [world.python, "-", script],
        "a module with the script as argument": [world.python, "-m", "tool", script],
        "an editor": [world.python, "-c", f"import os; os.execvp('tail', ['vim', '-f', {script!r}])"],
    }


@pytest.mark.fault("F05")
@pytest.mark.fault("F04")
@pytest.mark.promise(3)
def test_strangers_with_the_scripts_name_are_neither_the_bot_nor_ever_signalled(world: World, tmp_path: Path) -> None:
    strangers = {
        name: world.spawn(argv, world.project, stdout=subprocess.DEVNULL)
        for name, argv in decoys(world, tmp_path / "other").items()
    }
    for name, process in strangers.items():
        world.pid_file.write_text(f"{process.pid}\n")
        found = world.ok("check", "--json").json
        assert found["pid"] == world.bot != process.pid, name
        world.pid_file.write_text(f"{process.pid}\n")
        world.kill(found["pid"])
        world.forget_deaths()
    world.pid_file.write_text(f"{process.pid}\n")
    pid = world.ok("start", "--json").json["pid"]
    assert world.ok("restart", "--json").json["old_pid"] == pid
    assert world.ok("stop", "--json").json["old_pid"] != pid
    assert [name for name, process in strangers.items() if process.poll() is not None] == []


@pytest.mark.fault("F03")
def test_a_pid_file_with_a_dead_pid_is_stale(world: World) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    world.pid_file.write_text(f"{dead.pid}\n")
    assert world.ok("check", "--json").json["action"] == "started"
    assert len(world.births()) == 1 and world.pid_file.read_text().strip() == str(world.bot)


@pytest.mark.fault("F06")
def test_a_pid_file_that_names_a_thread_is_stale(world: World) -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        for verb in ("check", "restart", "stop"):
            world.pid_file.write_text(f"{thread.native_id}\n")
            world.ok(verb)
            assert len(world.bots()) == (verb != "stop")
        assert thread.is_alive()
    finally:
        over.set()
        thread.join()


@pytest.mark.fault("F07")
def test_two_bots_of_one_name_in_two_projects_are_two_bots(make_world: MakeWorld) -> None:
    one, two = make_world(), make_world()
    one.guard()
    first = one.until_running()
    two.pid_file.write_text(f"{first}\n")
    two.guard()
    second = two.until_running()
    assert second != first and one.bots() == [first]
    two.ok("stop")
    assert one.bots() == [first] and two.bots() == []
    one.kill(first)
    third = one.until_bot(other_than=first)
    assert one.until_running() == third and two.bots() == []


@pytest.mark.fault("F08")
def test_a_recorded_pid_with_another_start_time_is_another_process(world: World) -> None:
    stranger = world.spawn(["sleep", "3600"])
    world.ok("check")
    world.kill(world.bot)
    state = world.instance / "state.json"
    text = state.read_text()
    recorded = world.births()[0]["pid"]
    state.write_text(text.replace(f"[{recorded},", f"[{stranger.pid},"))
    world.pid_file.write_text(f"{stranger.pid}\n")
    assert world.ok("check", "--json").json["action"] == "started"
    assert world.bot != stranger.pid
    world.ok("stop")
    assert stranger.poll() is None


@pytest.mark.fault("F08")
def test_a_new_copy_of_the_bot_with_the_recorded_pid_is_not_the_recorded_bot(world: World) -> None:
    world.ok("check")
    world.kill(world.bot)
    pid = world.by_hand()
    state = world.instance / "state.json"
    recorded = world.births()[0]["pid"]
    state.write_text(state.read_text().replace(f"[{recorded},", f"[{pid},"))
    found = world.ok("check", "--json").json
    assert found["action"] == "adopted" and found["pid"] == pid
    assert world.events("died") and world.events("adopted"), "the recorded one is dead, and this one is new"
    assert world.bots() == [pid] and len(world.births()) == 2


@pytest.mark.fault("F25")
@pytest.mark.promise(1)
@pytest.mark.parametrize("locked", [False, True], ids=["without the lock", "with the bot's lock"])
def test_a_worker_of_a_dead_bot_that_a_person_had_started_is_named_and_nothing_starts_beside_it(
    world: World, sink: MailSink, locked: bool
) -> None:
    world.behave({"child": "fork", "pid_file": locked}, {})
    pid = world.by_hand(process_group=0)  # as an interactive shell does it
    world.guard()
    assert world.until_running() == pid
    (worker,) = (int(line) for line in world.lines("children"))
    world.kill(pid)
    mail = sink.wait_for(lambda mail: "error" in mail.subject)
    assert f"end them (kill {worker})" in mail.text and "Nothing was started" in mail.text
    done = world.verb("restart", "--json")
    assert done.code == 4 and str(worker) in done.json["message"], done
    assert oracle.alive(worker) and len(world.births()) == 1
    world.kill(worker)
    assert world.ok("check", "--json").json["action"] == "started"
    assert len(world.births()) == 2


@pytest.mark.fault("F11")
def test_a_zombie_is_not_a_running_bot_and_who_does_not_bury_it_is_named(world: World) -> None:
    text = f"if not os.fork(): os.execl({world.python!r}, 'python', {str(world.script)!r})"
    parent = world.spawn([world.python, "-c", f"import os, time\n{text}\ntime.sleep(3600)"])
    pid = world.until_bot()
    assert world.ok("check", "--json").json["action"] == "adopted"
    os.kill(pid, 9)
    oracle.until(lambda: (found := oracle.stat(pid)) and found.state == "Z", "a zombie that its parent does not bury")
    assert world.pid_file.read_text() == f"{pid}\n"
    found = world.status()
    assert found["state"] == "down" and f"its parent PID {parent.pid} " in str(found["warnings"])
    assert world.ok("check", "--json").json["action"] == "started"
    assert world.bot != pid
    (died,) = world.events("died")
    assert f"PID {pid} stays a zombie" in died["message"] and f"parent PID {parent.pid}" in died["message"]
    assert parent.poll() is None


@pytest.mark.fault("F13")
def test_what_an_earlier_boot_recorded_is_stale_even_when_the_pid_lives(world: World) -> None:
    daemon = world.spawn(["sleep", "3600"])
    world.ok("check")
    world.kill(world.bot)
    state = world.instance / "state.json"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    recorded = world.births()[0]["pid"]
    text = state.read_text().replace(boot, "0" * 36).replace(f"[{recorded},", f"[{daemon.pid},")
    state.write_text(text)
    world.pid_file.write_text(f"{daemon.pid}\n")
    found = world.ok("check", "--json").json
    assert found["action"] == "started" and found["pid"] == world.bot
    assert world.events("rebooted") and not world.events("died"), "a reboot is no failure of the bot"
    assert daemon.poll() is None


@pytest.mark.fault("F26")
@pytest.mark.promise(3)
def test_two_bots_started_by_hand_are_reported_and_neither_is_ended(world: World, sink: MailSink) -> None:
    world.bots_allowed = 2
    world.behave({"may_overlap": True})
    both = {world.by_hand(), world.by_hand()}
    world.guard()
    mail = sink.wait_for(lambda mail: "error" in mail.subject)
    assert all(str(pid) in mail.text for pid in both)
    assert any("more than one bot" in warning for warning in world.status()["warnings"])
    assert world.ok("check").code == 0
    assert set(world.bots()) == both and len(world.births()) == 2
    assert len(sink.mails) == 1


@pytest.mark.fault("F34")
def test_an_older_watchdog_of_the_same_bot_is_named_by_status(world: World) -> None:
    older = world.project / "scripts" / "watchdog.py"
    older.parent.mkdir()
    older.write_text("import time; time.sleep(3600)")
    process = world.spawn([world.python, "scripts/watchdog.py"], world.project)
    (warning,) = [text for text in world.status()["warnings"] if "older watchdog" in text]
    assert str(process.pid) in warning and str(older) in warning
