"""A bot on asyncio that follows a WebSocket feed, and what may become of its loop.

``reads_every`` is how long it needs for one message. A bot that ``falls_ill`` blocks its loop once it is told. With
``thread_beats`` a thread of its own beats, whatever the loop does.
"""

import asyncio
import signal
import sys
import threading
import time

import lifesign
import work
import ws_client


def live(behaviour, told):
    """Until SIGTERM, which the loop takes (so a blocked one never hears of it)."""
    if behaviour.get("thread_beats"):
        threading.Thread(target=beat_for_ever, daemon=True).start()
    asyncio.run(follow(behaviour, told))
    sys.exit(0)


async def follow(behaviour, told):
    """Read, work, beat; a quiet feed is reason enough to beat."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, sys.exit, 0)
    feed = await ws_client.connect(behaviour["feed"])
    lifesign.ready()
    enough = time.monotonic() + work.ENOUGH
    while True:
        ill = time.monotonic() > enough and told()
        try:
            on_price(await asyncio.wait_for(feed.receive(), 0.5), behaviour, ill)
        except TimeoutError:
            pass
        if behaviour.get("beats"):
            lifesign.beat()


def on_price(price, behaviour, ill):
    """What the bot does with a message."""
    time.sleep(behaviour.get("reads_every", 0))
    if ill and behaviour.get("falls_ill"):
        time.sleep(3600)


def beat_for_ever():
    """A thread that knows nothing of the loop."""
    while True:
        lifesign.beat()
        time.sleep(0.05)
