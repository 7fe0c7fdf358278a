"""A loop that never comes to its end."""

import work


def live(behaviour, told):
    """Work, then burn."""
    feed = work.until(told, behaviour)
    average([1.0])
    feed.close()


def average(prices):
    """Waits for a hundredth price that nobody brings."""
    while len(prices) < 100:
        pass
