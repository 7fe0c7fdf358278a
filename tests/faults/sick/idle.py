"""Nothing is wrong with it: it sleeps, and keeps two connections that it has no use for at the moment."""

import socket
import time

import work


def live(behaviour, told):
    """As a pool of an HTTP library does, between two orders."""
    pool = [socket.create_connection(("127.0.0.1", behaviour["pool"])) for _ in range(2)]
    work.until(told, {**behaviour, "beats": False})
    while pool:
        time.sleep(3600)
