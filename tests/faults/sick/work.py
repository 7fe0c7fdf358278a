"""Healthy work, as all the sick bots do it until the word comes: what the feed brings is read, and then they beat."""

import socket
import time

import lifesign

lifesign.EVERY = 0.1  # a pace at which a test can wait for what a guard learns
ENOUGH = 1.2  # seconds in which a guard has seen often enough that we read and beat


def until(told, behaviour):
    """Work until told otherwise, and long enough for the guard to have learned our pace; the connection to the feed."""
    feed = None
    if "port" in behaviour:
        feed = socket.create_connection(("127.0.0.1", behaviour["port"]))
        feed.settimeout(0.05)
    enough = time.monotonic() + ENOUGH
    lifesign.ready()
    while time.monotonic() < enough or not told():
        take(feed)
        if behaviour.get("beats", True):
            lifesign.beat()
    return feed


def take(feed):
    """One message, or the knowledge that there is none."""
    if feed is None:
        time.sleep(0.05)
        return b""
    try:
        return feed.recv(65536)
    except TimeoutError:
        return b""
