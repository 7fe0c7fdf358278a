"""The other supervisors, each set up as its own package or documentation does it, all as the bot's user.

The units carry the restart settings of the unit file that comes with the package (Debian's monit, daemontools-run and
supervisor, pm2's template, circus' documentation), so that "supervisor killed" shows what users of it get.
"""

from __future__ import annotations

from benchmarks.peers_image import NODE_HOME, PYTHON_HOME
from benchmarks.stand import HOME, PYTHON
from benchmarks.supervisor import PATIENCE, Supervisor

#: Debian's unit for daemontools; its packages of runit and s6 bring none.
_KEPT = ("Restart=always",)


def _start(key: str) -> str:
    return f"{PYTHON} {HOME}/{key}/main_app.py"


def _run_script(key: str) -> str:
    return f"#!/bin/sh\nexec {_start(key)}\n"


def _module(name: str, arguments: str) -> str:
    """Start a Python supervisor from where its wheels are, without a variable that its bot would inherit."""
    code = f"import sys; sys.path.insert(0, '{PYTHON_HOME}'); from {name} import main; main()"
    return f'{PYTHON} -c "{code}" {arguments}'


def _monit(key: str, title: str, cycle: int) -> Supervisor:
    folder = f"{HOME}/{key}"
    start = "/sbin/start-stop-daemon --start --background --make-pidfile"
    settings = f"""\
set daemon {cycle}
set log {folder}/monit.log
set pidfile {folder}/monit.pid
set idfile {folder}/monit.id
set statefile {folder}/monit.state
check process bot with pidfile {folder}/bot.pid
    start program = "{start} --pidfile {folder}/bot.pid --startas {PYTHON} -- {folder}/main_app.py"
    stop program = "/sbin/start-stop-daemon --stop --pidfile {folder}/bot.pid"
"""
    command = f"/usr/bin/monit -I -c {folder}/monitrc"
    peer = Supervisor(key, title, ("monit",), command, ("KillMode=process", "Restart=on-abnormal"))
    peer.files = {"monitrc": settings}
    if cycle > 1:
        peer.cycle, peer.patience = cycle, cycle + PATIENCE
    return peer


def _tree(key: str, title: str, command: str) -> Supervisor:
    """A supervisor of the daemontools family: a folder of services, each with a `run`."""
    files = {"service/bot/run": _run_script(key)}
    return Supervisor(key, title, (key,), f"{command} {HOME}/{key}/service", _KEPT, files)


def _supervisor() -> Supervisor:
    key = "supervisor"
    folder = f"{HOME}/{key}"
    settings = f"""\
[supervisord]
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
childlogdir={folder}
[program:bot]
command={_start(key)}
autorestart=true
"""
    command = _module("supervisor.supervisord", f"-n -c {folder}/supervisord.conf")
    unit = ("KillMode=process", "Restart=on-failure", "RestartSec=50s")
    return Supervisor(key, key, (key,), command, unit, {"supervisord.conf": settings})


def _circus() -> Supervisor:
    key = "circus"
    settings = f"[circus]\n[watcher:bot]\ncmd = {_start(key)}\n"
    command = _module("circus.circusd", f"{HOME}/{key}/circus.ini")
    return Supervisor(key, key, (key,), command, ("Restart=always", "RestartSec=5"), {"circus.ini": settings})


def _pm2() -> Supervisor:
    key = "pm2"
    folder = f"{HOME}/{key}"
    pm2 = f"{NODE_HOME}/node_modules/pm2/bin/pm2"
    script = f"""\
#!/bin/sh
[ -e {folder}/home/dump.pm2 ] && exec {pm2} resurrect
{pm2} start {folder}/main_app.py --name bot --interpreter {PYTHON} && exec {pm2} save
"""
    unit = ("Type=forking", f"Environment=PM2_HOME={folder}/home", f"PIDFile={folder}/home/pm2.pid")
    return Supervisor(key, key, (key, "nodejs"), f"{folder}/run", (*unit, "Restart=on-failure"), {"run": script})


def _unit(key: str, title: str, *settings: str) -> Supervisor:
    return Supervisor(key, title, (), _start(key), ("Restart=always", *settings), is_init=True)


def floor() -> Supervisor:
    """What starting the bot takes: nothing can be quicker than a loop that does nothing else."""
    loop = f"/bin/sh -c 'while :; do {_start('loop')}; done'"
    return Supervisor("loop", "shell loop (floor)", (), loop, ("KillMode=process",))


def peers() -> list[Supervisor]:
    """All of them, in the order of the tables."""
    return [
        _tree("daemontools", "daemontools", "/usr/bin/svscan"),
        _tree("runit", "runit", "/usr/bin/runsvdir -P"),
        _tree("s6", "s6", "/usr/bin/s6-svscan"),
        _pm2(),
        _unit("systemd-0", "systemd, RestartSec=0", "RestartSec=0"),
        _unit("systemd", "systemd, default"),
        _monit("monit", "monit, 1 s cycle", 1),
        _monit("monit-120", "monit, Debian's cycle", 120),
        _supervisor(),
        _circus(),
    ]
