"""Runs one of files/onhost on the host: modules and arguments go over stdin, the answer comes over stdout.

It takes one start of Python there, some 0.02 s, and leaves no file. ansible.builtin.command brings Ansible's library
along and has it compiled at each call, for some 0.2 s.

    watchdog_onhost:
      entry: stage          # the module whose main() is called
      arguments: {...}      # what it is called with; `check` and `diff` are added
      archive: /a/file      # of the controller; its bytes become the argument `archive`, in base64

An answer is a dictionary. `changed` and `diff` mean what they mean to Ansible, a `problem` is a failure.
"""

from __future__ import annotations

import base64
import json
import shlex
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

FOLDER = Path(__file__).resolve().parent.parent / "files" / "onhost"

#: What each entry needs, in the order of the imports.
NEEDS = {
    "preflight": "system logind envsettings commandline crontabs layout rivals",
    "stage": "system layout",
    "activate": "system logind crontabs layout stage agent",
    "remove": "system logind crontabs layout agent",
}
MODULES = {entry: (*names.split(), entry) for entry, names in NEEDS.items()}

#: All that stands in the host's process list and in sudo's log.
COMMAND = "import json, sys; given = json.load(sys.stdin); exec(given['loader'])"

#: Makes a package of the modules and calls the last one. The answer is the last line: a log-in may print others.
LOADER = """
import os, types
os.umask(0o022)
sys.modules["onhost"] = package = types.ModuleType("onhost")
package.__path__ = []
for name, text in given["modules"]:
    sys.modules["onhost." + name] = module = types.ModuleType("onhost." + name)
    module.__package__ = "onhost"
    setattr(package, name, module)
    exec(compile(text, "onhost/" + name + ".py", "exec"), module.__dict__)
print(json.dumps(module.main(given["arguments"])))
"""


class ActionModule(ActionBase):  # type: ignore[misc]
    """`watchdog_onhost` in a task; the answer is in the result under `answer`."""

    _VALID_ARGS = frozenset({"entry", "arguments", "archive"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        entry = self._task.args["entry"]
        python = self._templar.template((task_vars or {})["watchdog_python"])
        done = self._give(shlex.join([python, "-I", "-S", "-B", "-c", COMMAND]), self._message(entry))
        answer = _answer(done)
        if answer is None:
            raise AnsibleActionFail(_complaint(entry, python, done))
        problem = answer.get("problem") or "\n".join(answer.get("problems", ()))
        result["changed"] = bool(answer.get("changed"))
        if problem:
            return {**result, "failed": True, "msg": problem}
        if answer.get("diff"):
            result["diff"] = answer.pop("diff")
        return {**result, "answer": answer}

    def _give(self, command: str, message: bytes) -> dict[str, Any]:
        """Run the command with this on its stdin."""
        become = self._connection.become
        if become is None or become.pipelining:
            return dict(self._low_level_execute_command(command, in_data=message))
        # su(1) and its like read a password from stdin, and what comes after it as well.
        folder = self._make_tmp_path()
        path = f"{folder.rstrip('/')}/message"
        try:
            self._transfer_data(path, message)
            self._fixup_perms2((folder, path))
            return dict(self._low_level_execute_command(f"{command} < {shlex.quote(path)}"))
        finally:
            self._remove_tmp_path(folder)

    def _message(self, entry: str) -> bytes:
        modules = [(name, (FOLDER / f"{name}.py").read_text()) for name in MODULES[entry]]
        arguments = {
            **self._task.args["arguments"],
            "check": bool(self._task.check_mode),
            "diff": bool(self._task.diff),
        }
        if archive := self._task.args.get("archive"):
            arguments["archive"] = base64.b64encode(Path(archive).read_bytes()).decode()
        return json.dumps({"loader": LOADER, "modules": modules, "arguments": arguments}).encode()


def _answer(done: dict[str, Any]) -> dict[str, Any] | None:
    """The dictionary in the last line; None where the command failed or said something else."""
    try:
        found = json.loads(done["stdout"].strip().splitlines()[-1])
    except (ValueError, IndexError):
        return None
    return found if done["rc"] == 0 and isinstance(found, dict) else None


def _complaint(entry: str, python: str, done: dict[str, Any]) -> str:
    lines = (done["stderr"].strip() or done["stdout"].strip()).splitlines()
    said = lines[-1].strip() if lines else "no message"
    if entry == "preflight":
        return (
            f"watchdog_python: {python} does not do its work on this host ({said}). "
            "Install python3, 3.9 or newer, or name another one."
        )
    return f"{entry} ended with {done['rc']} on this host: {said}"
