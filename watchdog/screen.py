"""The status as a person reads it."""

from __future__ import annotations

from typing import Any

from . import clock, units, wish


def status(found: dict[str, Any], verbose: bool) -> str:
    """The document of `report.status` as lines."""
    marks = {
        "running": "✅", "starting": "⏳", "stopping": "⏳", "stopped": "⏹ ", "unknown": "❓", "suspect": "⚠️ ",
    }  # fmt: skip
    head = f"{marks.get(found['state'], '❌')} {found['name']} on {found['host']}: {found['state']}"
    if found["pid"]:
        head += f", PID {found['pid']}, up {clock.human(found['uptime_s'])}"
    rows = [head]
    if found["reason"] and found["state"] not in ("running", "stopped") and not found["signs"]:
        rows.append(f"   why         {found['reason']}")
    rows += [f"   evidence    {_sign(sign)}" for sign in found["signs"]]
    if found["next_start_in_s"] is not None:
        rows.append(f"   next start  in {clock.human(found['next_start_in_s'])}")
    if found["desired"] == wish.STOPPED:
        why = f": {found['desired_reason']}" if found["desired_reason"] else ""
        rows.append(f"   stopped by  {found['desired_by']} at {found['desired_since']}{why}")
    if found["maintenance"]:
        one = found["maintenance"]
        why = f": {one['reason']}" if one["reason"] else ""
        rows.append(
            f"   maintenance by {one['owner']} until {one['until']} ({clock.human(one['remaining_s'])} left){why}"
        )
    if found["pid"] and found["memory_bytes"] is not None:
        rows.append(f"   resources   cpu {found['cpu_percent']:.1f} %, memory {units.size(found['memory_bytes'])}")
    rows.append(f"   restarts    {found['restarts']}")
    if found["last_event"]:
        rows.append(f"   last event  {found['last_event']['time']} {found['last_event']['message']}")
    guard = found["guard"]
    watcher = "none" if not guard else f"PID {guard['pid']}" + ("" if guard["answers"] else ", silent")
    rows.append(f"   guard       {watcher}")
    if verbose:
        rows += [*_health(found["health"]), *_details(found)]
    rows += [f"⚠️  {warning}" for warning in found["warnings"]]
    return "\n".join(rows)


def _sign(sign: dict[str, Any]) -> str:
    weight = "a proof" if sign["proof"] else "told, no reason to restart"
    return f"it {sign['text']}: {weight}"


def _details(found: dict[str, Any]) -> list[str]:
    keys = ("version", "release", "started_at", "lock", "instance_dir", "state_dir", "log_file", "app_log")
    rows = [f"   {key.replace('_', ' '):<11} {found[key]}" for key in keys]
    rows.append(f"   pid file    {found['pid_file']['path']}: {found['pid_file']['pid']}")
    alerts = found["alerts"]
    switch = "on" if alerts["configured"] else "off"
    rows.append(f"   alerts      {switch}, {alerts['queued']} queued, {alerts['dead']} dead")
    if found["last_exit"]:
        rows.append(f"   last end    {found['last_exit']['time']} {found['last_exit']['text']}")
        rows += [f"             | {line}" for line in found["last_exit"]["last_lines"]]
    return rows


def _health(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    rows = []
    if found["connections"] is None:
        rows.append("   network     cannot be told")
    else:
        unread = units.size(found["backlog_bytes"])
        many = "connection" if found["connections"] == 1 else "connections"
        rows.append(f"   network     {found['connections']} TCP {many}, {unread} unread")
    if found["last_beat_s_ago"] is None:
        rows.append("   heartbeat   none: the bot sends no WATCHDOG=1")
    else:
        last, gap = clock.human(found["last_beat_s_ago"]), clock.human(found["longest_gap_s"])
        rows.append(f"   heartbeat   {last} ago, {found['beats']} so far, {gap} apart at most")
    if found["quiet"]:
        rows.append("   quiet       now: silence of file and network does not count")
    if found["says"]:
        rows.append(f"   says        {found['says']}")
    if found["trend"]:
        rows.append(f"   trend       {found['trend']}")
    if found["suggested_deaf_after_s"]:
        seconds = found["suggested_deaf_after_s"]
        rows.append(f"   suggestion  WATCHDOG_DEAF_AFTER={seconds:.0f}, by its longest silence within a week")
    return rows
