"""What a first deploy finds or is told, and a deploy whose bot or whose agent does not stay up."""

from __future__ import annotations

import pytest

from tests.lab.deployment import APP_DIR, Site


@pytest.mark.promise(6)
@pytest.mark.fault("F02")
def test_a_bot_that_somebody_started_by_hand_is_adopted_by_the_first_deploy(site: Site) -> None:
    start = f"cd {APP_DIR} && setsid nohup python3 src/main_app.py > /dev/null 2>&1 &"
    site.lab.exec(site.host, ["sh", "-c", start], user="trader")
    bot = site.lab.exec(site.host, ["pgrep", "-f", "src/main_app.py"]).stdout.split()
    played = site.deploy()
    assert f"running, PID {bot[0]}" in played.line
    assert "adopted" in played.line
    assert site.lab.exec(site.host, ["pgrep", "-f", "src/main_app.py"]).stdout.split() == bot
    site.door("stop")


@pytest.mark.promise(5)
def test_a_first_deploy_that_is_not_to_start_the_bot_leaves_it_down_until_told(site: Site) -> None:
    foretold = site.deploy("--check", watchdog_start=False)
    assert "would record `stop`" in foretold.line
    played = site.deploy(watchdog_start=False)
    assert "stopped, no PID" in played.line
    assert "recorded `stop`" in played.line
    assert site.bots() == []
    assert site.deploy(watchdog_start=False).changed == 0
    assert site.deploy(watchdog_start=True).changed == 0
    assert site.bots() == []
    site.door("start")
    assert len(site.bots()) == 1
    assert site.deploy(watchdog_start=False).changed == 0
    assert len(site.bots()) == 1


def test_a_bot_that_does_not_stay_up_fails_the_first_deploy_with_the_reason(site: Site) -> None:
    site.install_bot("import sys\nprint('no exchange key', flush=True)\nsys.exit(3)\n")
    played = site.play("deploy.yml")
    assert played.code != 0
    assert "the bot does not stay up" in played.failure
    assert "3" in played.failure
    again = site.deploy()
    assert "PLAY RECAP" in again.output


def test_a_release_that_cannot_guard_takes_the_host_back(site: Site) -> None:
    site.deploy()
    before, bot = site.current(), site.bots()
    source = site.checkout / "watchdog" / "tick.py"
    good = source.read_text()
    source.write_text(good + "\n\ndef become_guard(*_):\n    raise OSError('a release that cannot guard')\n")
    try:
        played = site.play("deploy.yml")
        assert played.code != 0
        assert "did not become the guard" in played.failure
        assert f"back on {before}" in played.failure
        assert site.current() == before
        assert site.bots() == bot
        assert site.status()["guard"]["answers"]
    finally:
        source.write_text(good)
