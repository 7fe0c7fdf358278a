"""Where a bot stood: faulthandler's dumps, out of real interpreters and out of whatever else a bot may print."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.watchdog.parts import PROPERTY, Sleepers, first_line, interpreters, until, version_of
from watchdog.stacks import LARGEST, OTHERS, Frame, Thread, parse, stuck_at

APP = "/srv/bot"

DEADLOCK = """
import threading
one, two, up = threading.Lock(), threading.Lock(), threading.Barrier(2)

def settle():
    with two:
        up.wait()
        print("up", flush=True) or one.acquire()

def on_message():
    with one:
        up.wait()
        print("up", flush=True) or two.acquire()

threading.Thread(target=settle, daemon=True).start()
on_message()
"""
SPIN = """
def reconnect():
    print("up", flush=True)
    while True:
        pass
reconnect()
"""
IN_C = """
import ctypes
def quote():
    libc = ctypes.PyDLL(None)  # which keeps the interpreter lock
    print("up", flush=True) or libc.sleep(600)
quote()
"""
IN_LIBRARY = """
import threading
def on_message():
    threading.Event().wait()
print("up", flush=True)
on_message()
"""
NO_DUMP = "import faulthandler, time\nfaulthandler.disable()\nprint('up', flush=True) or time.sleep(600)\n"


def dump_of(sleepers: Sleepers, folder: Path, python: str, code: str) -> str:
    """What a bot of that code prints when SIGABRT ends it, which happens once it is stuck."""
    (folder / "src").mkdir(exist_ok=True)
    (folder / "src" / "main_app.py").write_text(code)
    with (folder / "bot.out").open("wb") as out:
        bot = sleepers.start(
            python, "src/main_app.py", cwd=folder, stderr=out, env={"PYTHONFAULTHANDLER": "1", "PATH": "/usr/bin:/bin"}
        )
    first_line(bot)
    if code == DEADLOCK:
        first_line(bot)
    if code == IN_LIBRARY:
        until(lambda: psutil.Process(bot.pid).status() == psutil.STATUS_SLEEPING)
    bot.send_signal(signal.SIGABRT)
    assert bot.wait(20) == -signal.SIGABRT
    return (folder / "bot.out").read_text()


def line_of(code: str, part: str) -> int:
    """The number of the one line that has this part."""
    (found,) = [number for number, line in enumerate(code.split("\n"), 1) if part in line]
    return found


@pytest.fixture(params=interpreters(), ids=version_of)
def python(request: pytest.FixtureRequest) -> str:
    """Every interpreter of this machine."""
    found: str = request.param
    return found


def test_a_deadlock_shows_both_of_its_sides(sleepers: Sleepers, tmp_path: Path, python: str) -> None:
    text = dump_of(sleepers, tmp_path, python, DEADLOCK)
    main, other = line_of(DEADLOCK, "two.acquire"), line_of(DEADLOCK, "one.acquire")
    assert stuck_at(text, str(tmp_path)) == (
        f"stuck at src/main_app.py:{main} in on_message; other threads: src/main_app.py:{other} in settle"
    )
    threads = parse(text)
    assert [thread.current for thread in threads] == [False, True]
    assert [frame.function for frame in threads[1].frames] == ["on_message", "<module>"]


def test_a_loop_that_spins_is_named(sleepers: Sleepers, tmp_path: Path, python: str) -> None:
    found = stuck_at(dump_of(sleepers, tmp_path, python, SPIN), str(tmp_path))
    lines = [line_of(SPIN, part) for part in ("print", "while", "pass")]
    assert found in [f"stuck at src/main_app.py:{line} in reconnect" for line in lines]


def test_a_call_that_hangs_in_c_and_keeps_the_interpreter_is_named(
    sleepers: Sleepers, tmp_path: Path, python: str
) -> None:
    found = stuck_at(dump_of(sleepers, tmp_path, python, IN_C), str(tmp_path))
    assert found == f"stuck at src/main_app.py:{line_of(IN_C, 'sleep')} in quote"


def test_a_wait_within_a_library_is_named_by_who_called_it(sleepers: Sleepers, tmp_path: Path, python: str) -> None:
    text = dump_of(sleepers, tmp_path, python, IN_LIBRARY)
    inner = parse(text)[0].frames[0]
    assert inner.file.endswith("/threading.py") and inner.line > 100
    assert stuck_at(text, str(tmp_path)) == (
        f"stuck at src/main_app.py:{line_of(IN_LIBRARY, '().wait')} in on_message "
        f"(innermost: threading.py:{inner.line} in wait)"
    )
    assert stuck_at(text, "/elsewhere") == f"stuck at threading.py:{inner.line} in wait"


def test_a_bot_without_the_handler_says_nothing(sleepers: Sleepers, tmp_path: Path) -> None:
    assert stuck_at(dump_of(sleepers, tmp_path, sys.executable, NO_DUMP), str(tmp_path)) is None


# Texts of interpreters that are not here, and others -----------------------------------------------------------------

NEWEST = """\
12:00:01 INFO connected
waiting for quotes...Fatal Python error: Aborted

Thread 0x00007f3c8b7fe6c0 [feed] (most recent call first):
  File "/srv/bot/.venv/lib/python3.14/site-packages/websockets/sync/connection.py", line 309 in recv
  File "/srv/bot/src/feed.py", line 88 in listen
  File "/usr/lib/python3.14/threading.py", line 1024 in run

Thread 0x00007f3c8bfff6c0 [pool [1] x] (most recent call first):
  <no Python frame>

Current thread 0x00007f3c95a4c780 [python] (most recent call first):
  Garbage-collecting
  File "/usr/lib/python3.14/asyncio/base_events.py", line ??? in run_forever
12:00:02 INFO another thread prints on
  File "/srv/bot/src/main_app.py", line 42 in on_message
  File "/srv/bot/src/main_app.py", line 120 in <module>
  ...

Current thread's C stack trace (most recent call first):
  Binary file "/usr/bin/python3.14", at _Py_DumpStack+0x30 [0x4b53b0]
  File "/srv/bot/src/not_a_frame.py", line 1 in c
  <truncated rest of calls>

Extension modules: _cffi_backend, numpy._core._multiarray_umath (total: 2)
"""


def test_threads_of_python_3_14_have_names_and_are_followed_by_the_c_stack() -> None:
    feed, pool, current = parse(NEWEST)
    assert (feed.name, feed.current, len(feed.frames)) == ("feed", False, 3)
    assert pool == Thread("pool [1] x", False, ())
    assert current == Thread(
        "python",
        True,
        (
            Frame("/usr/lib/python3.14/asyncio/base_events.py", 0, "run_forever"),
            Frame("/srv/bot/src/main_app.py", 42, "on_message"),
            Frame("/srv/bot/src/main_app.py", 120, "<module>"),
        ),
    )
    assert stuck_at(NEWEST, APP) == (
        "stuck at src/main_app.py:42 in on_message (innermost: asyncio/base_events.py:? in run_forever); "
        "other threads: src/feed.py:88 in listen"
    )


def test_libraries_in_an_environment_below_the_bot_are_not_its_own_code() -> None:
    text = NEWEST.replace('"/srv/bot/src/main_app.py", line 42', '"/srv/bot/venv/lib64/python3.14/json/x.py", line 7')
    assert stuck_at(text, APP + "/") == (
        "stuck at src/main_app.py:120 in <module> (innermost: asyncio/base_events.py:? in run_forever); "
        "other threads: src/feed.py:88 in listen"
    )
    assert stuck_at(text.replace("/srv/bot/src/", "/srv/bott/src/"), APP) == (
        "stuck at asyncio/base_events.py:? in run_forever"
    )


def test_a_bot_that_lies_among_libraries_itself_has_code_of_its_own() -> None:
    text = NEWEST.replace(APP, "/usr/lib/python3/dist-packages/bot")
    assert "stuck at src/main_app.py:42 in on_message" in str(stuck_at(text, "/usr/lib/python3/dist-packages/bot"))


def test_without_the_interpreter_lock_one_stack_is_printed() -> None:
    text = (
        "Fatal Python error: Aborted\n\n<Cannot show all threads while the GIL is disabled>\n"
        'Stack (most recent call first):\n  File "/srv/bot/src/main_app.py", line 9 in run\n'
    )
    assert parse(text) == (Thread("", True, (Frame("/srv/bot/src/main_app.py", 9, "run"),)),)
    assert stuck_at(text, APP) == "stuck at src/main_app.py:9 in run"


def test_the_main_thread_counts_when_no_thread_is_the_current_one() -> None:
    text = NEWEST.replace("Current thread 0x", "Thread 0x")
    assert "stuck at src/main_app.py:42 in on_message" in str(stuck_at(text, APP))


def test_a_current_thread_without_a_frame_gives_way_to_the_main_one() -> None:
    text = NEWEST.replace("Current thread 0x", "Thread 0x").replace(
        "Thread 0x00007f3c8bf", "Current thread 0x00007f3c8bf"
    )
    assert [thread.current for thread in parse(text)] == [False, True, False]
    assert "stuck at src/main_app.py:42 in on_message" in str(stuck_at(text, APP))


def test_the_last_dump_counts() -> None:
    assert len(parse(NEWEST + NEWEST.replace("main_app", "second"))) == 3
    assert "second.py:42" in str(stuck_at(NEWEST + NEWEST.replace("main_app", "second"), APP))


def test_a_dump_whose_head_is_lost_is_read_from_where_it_goes_on() -> None:
    text = NEWEST[NEWEST.index("Thread 0x00007f3c8bf") - 60 :]
    assert [thread.name for thread in parse(text)] == ["pool [1] x", "python"]


def test_only_so_many_other_threads_are_named_each_place_once() -> None:
    others = "".join(
        f'Thread 0x{number:016x} (most recent call first):\n  File "/srv/bot/src/t.py", line {number // 2} in work\n\n'
        for number in range(20)
    )
    text = NEWEST.replace("Thread 0x00007f3c8b7", others + "Thread 0x00007f3c8b7", 1)
    found = str(stuck_at(text, APP))
    assert found.endswith(
        "; other threads: src/t.py:0 in work, src/t.py:1 in work, src/t.py:2 in work, …".replace(":0", ":?")
    )
    assert OTHERS == 3


def test_code_that_lies_in_no_file_is_not_the_bots() -> None:
    text = 'Stack (most recent call first):\n  File "<string>", line 3 in f\n  File "src/main_app.py", line 4 in g\n'
    assert stuck_at(text, APP) == "stuck at src/main_app.py:4 in g (innermost: <string>:3 in f)"


@pytest.mark.parametrize(
    "line",
    [
        '  File "x.py", line 3, in f', '  File "x.py", line ٣ in f', '  File "x.py", line 1234567890 in f',
        '  File "x.py", line 3 in ', '  File "", line 3 in f', 'File "x.py", line 3 in f', '  File "x.py"', '  File "',
        '  File "x.py", line -3 in f',
    ],
)  # fmt: skip
def test_lines_that_only_look_like_calls_are_none(line: str) -> None:
    assert parse(f"Stack (most recent call first):\n{line}\n") == (Thread("", True, ()),)
    assert stuck_at(f"Stack (most recent call first):\n{line}\n", APP) is None


def test_a_usual_traceback_is_no_dump() -> None:
    text = 'Traceback (most recent call last):\n  File "/srv/bot/src/main_app.py", line 3, in f\nKeyError: 1\n'
    assert stuck_at(text, APP) is None


def test_what_a_bot_calls_its_files_and_functions_is_cut_and_cleaned() -> None:
    text = f'Stack (most recent call first):\n  File "/srv/bot/{"d" * 200}/m.py", line 3 in f\x1b[31m{"g" * 200}\n'
    found = str(stuck_at(text, APP))
    assert found == f"stuck at …{'d' * 75}/m.py:3 in f [31m{'g' * 54}"
    assert parse("Thread 0x1 [a\x07b] (most recent call first):\n")[0].name == "a b"


def test_a_path_may_hold_what_follows_paths() -> None:
    text = 'Stack (most recent call first):\n  File "/srv/bot/a", line 5 in b", line 3 in f\n'
    assert parse(text)[0].frames == (Frame('/srv/bot/a", line 5 in b', 3, "f"),)


PIECES = st.sampled_from(
    [
        "Fatal Python error: ", "Aborted\n", "Current thread 0x", "Thread 0x", "12ab", " [", "]", "\x1b[31m", "\ud800",
        " (most recent call first):\n", '  File "', "/srv/bot/", "../", "/", '", line ', "7", " in ", "f\n", "\n", "\0",
        "Current thread's C stack trace", "site-packages/", "lib/python3.9/", "<", "Stack", "…", "x" * 3_000,
    ]
)  # fmt: skip


@PROPERTY
@given(st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=60).map("".join), st.sampled_from([APP, "/", "", "."]))
def test_any_text_gives_one_short_printable_line_or_none(text: str, app_dir: str) -> None:
    found = stuck_at("Stack (most recent call first):\n" + text, app_dir)
    assert found is None or (found.isprintable() and len(found) < 1_000)


@pytest.mark.parametrize(
    "unit",
    [
        'Thread 0x1 (most recent call first):\n  File "/srv/bot/a/b.py", line 1 in f\n',
        '  File "/srv/bot/a.py", line 1 in f\n', "/", '", line ', "\n", " [", "Fatal Python error: ",
    ],
)  # fmt: skip
def test_of_much_output_the_end_is_looked_at(unit: str) -> None:
    text = NEWEST + "Stack (most recent call first):\n" + '  File "' + unit * (100 * LARGEST // len(unit))
    assert parse(text) == parse(text[-LARGEST:])
    assert stuck_at(text, APP) in (None, "stuck at a.py:1 in f", "stuck at a/b.py:1 in f")
