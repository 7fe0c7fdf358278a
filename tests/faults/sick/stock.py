"""Beats through a stock client: libsystemd's sd_notify(3), or one that stays connected to the socket it once found."""

import ctypes
import os
import socket
import time


def live(behaviour, told):
    """Beat until told."""
    notify = by_libsystemd() if behaviour["client"] == "libsystemd" else by_connection()
    notify(b"READY=1")
    while not told():
        notify(b"WATCHDOG=1")
        time.sleep(0.1)
    while True:
        time.sleep(3600)


def by_libsystemd():
    """What systemd.daemon.notify() calls."""
    library = ctypes.CDLL("libsystemd.so.0")
    return lambda text: library.sd_notify(0, text)


def by_connection():
    """What sdnotify 0.3.2 does: connect once, and pass over all errors."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    client.connect(os.environ["NOTIFY_SOCKET"])

    def notify(text):
        try:
            client.sendall(text)
        except OSError:
            pass

    return notify
