"""Files that the agent reads may hold anything: readers answer or refuse as documented, and name no PID below 2."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.mangle import FUZZ, NUMBERS, documents, mangled
from tests.unit.watchdog.parts import attempt, instance_below
from watchdog import beat, clock, envfile, identity, journal, model, pidfile, policy, snapshot, wish
from watchdog.errors import ConfigError
from watchdog.instance import Instance

HIGHEST = 1 << 22
BOOT = clock.boot_id()
MEMORY = model.Memory(attempt=3, failures=(1.0, 2.0), next_start=5.0, told_at=(3.0,), reason="ended", hold_code=78)
END = {"time": "2026-01-01T00:00:00.000Z", "code": 1, "signal": None, "text": "ended with exit code 1"}
STATE = {
    "version": 1, "boot": BOOT, "saved_boot": 4.0, "saved_utc": 1_795_500_000.0, "memory": MEMORY._asdict(),
    "bot": [4321, 1234567, BOOT, True], "last_exit": END,
}  # fmt: skip
DESIRED = {"desired": "stopped", "by": "anna", "since": "2026-01-01T00:00:00.000Z", "reason": "holidays"}
MAINTENANCE = {
    "owner": "anna", "reason": "disk", "since": "x", "span": 7200.0, "until_utc": 4e9, "until_boot": 4e9, "boot": BOOT,
}  # fmt: skip
EVENT = {"time": "2026-01-01T00:00:00.000Z", "kind": "died", "level": "error", "message": "bot died", "pid": 4321}
BEAT = f"{5.0:018.3f} {4321:08d} {BOOT:<36}\n".encode()


@pytest.fixture
def here(tmp_path: Path) -> Instance:
    """An instance directory of the test's own."""
    return instance_below(tmp_path)


def written(path: str, content: bytes) -> str:
    """Put the content there."""
    Path(path).write_bytes(content)
    return path


@pytest.mark.fault("F09")
@FUZZ
@given(st.one_of(mangled(b"4321\n"), st.integers(-9, 9).map(lambda number: b"%d\n" % number)))
@example(b"\xd9\xa3\xd9\xa4")
@example(b"1_000")
@example(b"\xb2\xb3")
def test_a_pid_file_names_a_process_or_nobody(here: Instance, content: bytes) -> None:
    path = written(os.path.join(here.directory, "main_app.pid"), content)
    found = identity.read_pid_file(path)
    assert found is None or 1 < found < HIGHEST
    assert pidfile.remove_pid_file(path) == (not os.path.exists(path)) == (found == os.getpid())


@pytest.mark.fault("F74")
@FUZZ
@given(documents(STATE))
def test_a_state_file_is_used_or_refused_in_one_line(here: Instance, content: bytes) -> None:
    path = written(os.path.join(here.directory, "state.json"), content)
    found, refused = attempt(lambda: snapshot.load(path), ValueError)
    if refused:
        return
    if found.bot:
        found.bot.alive()
        identity.are_leftovers([os.getpid()], found.bot)
    memory, _ = policy.step(found.memory, model.Vacant(True, False, False, ""), clock.now())
    snapshot.save(path, found._replace(memory=memory))
    assert snapshot.load(path).bot == found.bot


@pytest.mark.fault("F74")
@FUZZ
@given(NUMBERS | st.booleans())
def test_a_state_file_names_a_process_or_is_refused(here: Instance, pid: float) -> None:
    content = json.dumps({**STATE, "bot": [pid, 1, BOOT, True]}).encode()
    path = written(os.path.join(here.directory, "state.json"), content)
    found, refused = attempt(lambda: snapshot.load(path), ValueError)
    assert refused or 1 < found.bot.pid <= HIGHEST, "PID 0 and session 0 are the kernel's, or another's"


@FUZZ
@given(documents(DESIRED))
@example(b"[" * 100_000)
def test_the_operators_word_is_read_from_any_damage(here: Instance, content: bytes) -> None:
    written(here.desired, content)
    found = wish.read_desired(here)
    assert found.state in (wish.RUN, wish.STOPPED)
    assert all(value is None or isinstance(value, str) for value in found)


@FUZZ
@given(documents(MAINTENANCE))
def test_maintenance_has_an_end_whatever_the_file_says(here: Instance, content: bytes) -> None:
    written(here.maintenance, content)
    found = wish.read_maintenance(here)
    assert found is None or 0 < found.remaining <= wish.LONGEST


@FUZZ
@given(st.lists(documents(EVENT), max_size=3).map(b"\n".join))
def test_the_last_event_is_an_event_or_nothing(here: Instance, content: bytes) -> None:
    found = journal.last_event(written(os.path.join(here.directory, "events.jsonl"), content))
    assert found is None or isinstance(found["message"], str)


@FUZZ
@given(mangled(BEAT))
def test_a_beat_is_a_number_of_seconds_or_nothing(here: Instance, content: bytes) -> None:
    found = beat.silence(written(os.path.join(here.directory, "beat"), content), 4321)
    assert found is None or isinstance(found, float)


@FUZZ
@given(data=st.data())
def test_a_voucher_is_for_that_very_process_or_for_nobody(here: Instance, data: st.DataObject) -> None:
    sound = f"{os.getpid()} {identity.identify(os.getpid()).start} {BOOT}\n".encode()  # type: ignore[union-attr]
    written(os.path.join(here.directory, pidfile.VOUCHER), data.draw(mangled(sound)))
    assert pidfile._vouched_for(here.directory) in (None, os.getpid())


@FUZZ
@given(mangled(b'# settings\nexport KEY="a \\"b\\" c"\nOTHER=plain\nLAST=\'x\'\n'))
@example(b"\xef\xbb\xbfKEY=1\n")
@example(b"=\n")
def test_an_env_file_is_settings_or_a_configuration_error(here: Instance, content: bytes) -> None:
    path = written(os.path.join(here.directory, "bot.env"), content)
    found, refused = attempt(lambda: envfile.read(path), ConfigError)
    if refused is None:
        assert all(key.isascii() and key and "\0" not in value and "=" not in key for key, value in found.items())
