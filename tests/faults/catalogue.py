"""The rows of the fault matrix: what operators meet, and what must happen then. The numbers are stable."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """``what`` happens; ``unproved`` is the reason why no test bears the number."""

    number: str
    what: str
    unproved: str = ""


class Part(NamedTuple):
    """Rows that belong together."""

    title: str
    rows: tuple[Row, ...]


PARTS = (
    Part("Identity and PID files", (
        Row("F01", "No PID file, no bot: one start, verified, PID file and state written, one alert"),
        Row("F02", "No PID file, the bot runs: it is adopted as it is, its PID file comes back, no start"),
        Row("F03", "The PID file names a dead PID: stale, one start"),
        Row("F04", "The PID file names a stranger that lives: it is not touched, the bot is started"),
        Row("F05", "The PID file names `tail -f main_app.py`, another project's bot or the like: not the bot"),
        Row("F06", "The PID file names a thread of another process: not the bot"),
        Row("F07", "The PID file names another bot, of another project: both keep running"),
        Row("F08", "The recorded PID lives with another start time: another process, whatever it runs"),
        Row("F09", "The PID file is empty, odd, huge, a FIFO, a directory, a link, unreadable: nobody is signalled"),
        Row("F10", "A process that may be the bot cannot be looked at: no start, no kill, one alert, exit 4"),
        Row("F11", "The bot is a zombie that its parent does not bury: not running; its parent is named"),
        Row("F12", "The bot runs under nohup, a shebang, a venv, options, a title of its own: still the bot"),
        Row("F13", "After a reboot the recorded PID belongs to somebody else: stale, and no failure of the bot"),
        Row("F14", "Another copy removed the bot's PID file: it is found all the same, and not started again"),
        Row("F15", "The PID file is read while it is written: nobody ever sees half of it, or trusts half of it"),
    )),
    Part("Duplicate instances and races", (
        Row("F20", "Twenty runs at the same instant: one acts, the others end at once"),
        Row("F21", "cron and operators at the same time: one after the other; a stop wins"),
        Row("F22", "The watchdog is killed between the start and the PID file: the next run adopts the bot"),
        Row("F23", "An earlier run hangs: it is named, and replaced once that is sure; the bot is left alone"),
        Row("F24", "The bot does not inherit the guard's lock: the next run is not locked out"),
        Row("F25", "The bot is dead and its lock is held: its own leftovers are ended first; a stranger is named"),
        Row("F26", "Two bots run already: one alert, neither is ended"),
        Row("F27", "A lock file is deleted while it is held: still one bot"),
        Row("F28", "No lock can be had, or only on a network file system: no start, exit 78; a full disk is no reason"),
        Row("F29", "A bot that does not end: no start before it is gone; exit 5 and an alert if it never goes"),
        Row("F30", "The bot is stopped (SIGSTOP): stop and restart end it in order"),
        Row("F31", "Children outlive the bot: they are ended with it"),
        Row("F32", "The same bot on two hosts", "belongs to the control side; not built yet"),
        Row("F33", "Two configurations, state directories or releases of one bot: one bot"),
        Row("F34", "An older watchdog runs beside ours: it is named"),
        Row("F35", "A stop at any instant of a start: no bot afterwards"),
        Row("F36", "No descriptor of guard, heir or tick locks one of them out; a killed guard is replaced"),
        Row("F37", "The guard's beat is old and its socket answers: it is left alone"),
        Row("F38", "The host shuts down: the bot has its time, nothing is started; it is back after the boot"),
    )),
    Part("Start, crash and crash loop", (
        Row("F40", "The bot ends at once: not started; its exit code and last words are in the alert"),
        Row("F41", "The bot dies again and again: slower retries, one critical alert, over guards and reboots"),
        Row("F42", "`start`, `reset` or a deploy in a crash loop: the counters begin anew"),
        Row("F43", "Reboots are no crash loop"),
        Row("F44", "Exit 78 or 79: held until the operator or a changed script says so; exit 0 is restarted"),
        Row("F45", "No interpreter, no script, a syntax error: no storm, an alert of its own, no PID file"),
        Row("F46", "The bot prints megabytes with nobody there to read them: it lives on"),
        Row("F47", "The bot inherits no descriptor, terminal or session, and outlives log-out and cron"),
        Row("F48", "A slow start: neither killed nor doubled by the next tick"),
        Row("F49", "The bot is killed by a signal or by the kernel for its memory: the alert says by which"),
    )),
    Part("Hung, or not trading", (
        Row("F50", "The bot is stopped, deadlocked, or blocked while data waits: restarted; the mail names the line"),
        Row("F51", "The bot no longer says that it works: restarted, by a deadline that is set or learned"),
        Row("F52", "Fresh heartbeat, no market data: told; restarted only where chosen, and not in quiet hours"),
        Row("F53", "The heartbeat comes from a thread while the loop is dead: told, by the data that it leaves unread"),
        Row("F54", "The heartbeat's time is in the future, the clock jumps, the host slept: no verdict from that"),
        Row("F55", "The bot burns CPU, memory or descriptors: told after several samples; restarted where chosen"),
        Row("F56", "The bot writes no heartbeat: it is not judged by one"),
    )),
    Part("Alerts", (
        Row("F60", "The mail server refuses, hangs, drips, is not found: first the restart; the mail waits"),
        Row("F61", "No mail for days: what waits is bounded, the first and the newest stay"),
        Row("F62", "A bot that flaps for a day: a bounded number of mails, and none of its deaths is forgotten"),
        Row("F63", "Down: a reminder a day in a crash loop; back: one mail, with its downtime"),
        Row("F64", "Alerts are not set up, or half: silent work, one warning; `alert-test` proves delivery"),
        Row("F65", "Line ends, escapes, secrets in what the bot prints: no header, terminal or secret suffers"),
        Row("F66", "Success prints nothing, so cron mails nothing"),
        Row("F67", "The watchdog itself is broken: told from outside", "not built yet"),
    )),
    Part("Environment", (
        Row("F70", "The disk is full: the bot is restarted, no file loses its content, the alert goes out"),
        Row("F71", "No inode, descriptor, process or memory left: an orderly end, the next run helps"),
        Row("F72", "The log directory is missing or cannot be written: elsewhere then, no crash"),
        Row("F73", "cron's environment is enough"),
        Row("F74", "State, wish or outbox files are damaged: rebuilt, told once, no start is blocked"),
        Row("F75", "Maintenance: no start, no storm, over reboots; duplicates are still seen"),
        Row("F76", "A deploy swaps files during a run: no crash, a healthy bot is left alone"),
        Row("F77", "Logs are rotated or removed under the bot: nobody is blocked"),
        Row("F78", "`fab status` with dead and hanging hosts: a whole table in bounded time"),
        Row("F79", "The user's account is gone: hands off, exit 78"),
        Row("F80", "Clock steps, DST, time zones: no restart, no delay"),
    )),
)  # fmt: skip

ROWS = tuple(row for part in PARTS for row in part.rows)
