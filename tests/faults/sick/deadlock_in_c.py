"""A mutex of C that its owner locks once more (pthread_mutex_lock(3)): no Python runs any more, no signal handler."""

import ctypes

import work


def live(behaviour, told):
    """Work, then wait for ourselves."""
    feed = work.until(told, behaviour)
    match_orders(ctypes.CDLL(None), ctypes.create_string_buffer(128))
    feed.close()


def match_orders(library, mutex):
    """All zeroes is PTHREAD_MUTEX_INITIALIZER of the ordinary kind."""
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)
