"""The harness's own parts that could be wrong unseen: which calls are points, how they may fail, what a row says."""

from __future__ import annotations

from pathlib import Path

from tests.torture.calls import Call, parse
from tests.torture.outcome import MARK, Outcome, summed, write

TRACE = """\
restart_syscall(<... resuming interrupted poll ...>) = 0
openat(AT_FDCWD</>, "/proc/7/stat", O_RDONLY|O_CLOEXEC) = 5</proc/7/stat>
read(5</proc/7/stat>, "7 (python) S 1 7 7"..., 8192) = 120
newfstatat(5</proc/7/stat>, "", {st_mode=S_IFREG|0444, st_size=0, ...}, AT_EMPTY_PATH) = 0
newfstatat(AT_FDCWD</>, "/srv/bot", {st_mode=S_IFDIR|0755, st_size=60, ...}, 0) = 0
getpid()                                = 9
openat(AT_FDCWD</>, "/srv/bot/main_app.pid.9.tmp", O_WRONLY|O_CREAT|O_TRUNC, 0644) = 5</srv/bot/main_app.pid.9.tmp>
write(5</srv/bot/main_app.pid.9.tmp>, "7\\n", 2) = 2
--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_KILLED, si_pid=7} ---
write(4<pipe:[4711]>, "\\21", 1)         = 1
openat(AT_FDCWD</>, "/srv/bot/state.json", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)
+++ exited with 0 +++
"""


def test_a_trace_is_read_as_strace_counts_and_only_real_failures_are_made() -> None:
    assert parse(TRACE) == [
        Call("openat", 1, ("EMFILE",)),
        Call("read", 1, ()),
        Call("newfstatat", 2, ("EIO",)),
        Call("openat", 2, ("EMFILE", "ENOSPC", "EROFS", "EIO")),
        Call("write", 1, ("ENOSPC", "EIO", "EAGAIN")),
        Call("write", 2, ()),
        Call("openat", 3, ("EMFILE", "EIO")),
    ]


def verdict(**more: object) -> dict[str, object]:
    usual = {"points": 1, "doubles": 0, "lost": 0, "tracebacks": 0, "reached": True, "figures": [], "caught": 0}
    return {**usual, **more}


def good(row: str, *verdicts: dict[str, object], caught: bool = False) -> bool:
    return summed(row, [(number, "", one) for number, one in enumerate(verdicts)], caught).good


def test_a_row_fails_by_one_bad_point_by_points_that_missed_and_by_none_at_all() -> None:
    assert good("lines", verdict(), verdict())
    for wrong in ({"doubles": 1}, {"lost": 1}, {"tracebacks": 1}, {"caught": 1}):
        assert not good("lines", verdict(), verdict(**wrong))
    assert good("failing", verdict(), verdict(caught=1)), "a failing call is caught"
    assert not good("failing", verdict(), verdict(tracebacks=1))
    assert not good("lines", verdict(), verdict(reached=False))
    assert not good("lines")
    assert good("mutant", verdict(doubles=3, lost=1), caught=True)
    assert not good("mutant", verdict(), caught=True)


def test_a_written_row_replaces_its_like_and_leaves_the_others(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{MARK}\n\n{MARK}\nafter\n")
    rows = ["a", "b"]
    write(page, [Outcome("b", 1, 0, 0, 0, 1, 1)], rows)
    write(page, [Outcome("a", 2, 1, 0, 0, 2, 2)], rows)
    write(page, [Outcome("b", 3, 0, 0, 0, 3, 3)], rows)
    lines = page.read_text().splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]
    assert cells[1:] == [["a", "2", "1", "0", "0", "FAILED"], ["b", "3", "0", "0", "0", "ok"]]
    assert (lines[0], lines[-1]) == ("before", "after")
