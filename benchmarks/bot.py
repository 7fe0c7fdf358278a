"""The bot that every supervisor of the benchmarks starts: it notes when it was born, and waits.

Copied to the test host. While a file named `crash` lies beside it, it ends at once.
"""

import os
import sys
import time

BORN = time.clock_gettime(time.CLOCK_BOOTTIME)
FOLDER = os.path.dirname(__file__)  # noqa: PTH120 - pathlib would take longer than the rest

with open(f"{FOLDER}/starts", "a", encoding="ascii") as starts:  # noqa: PTH123
    starts.write(f"{BORN:.6f} {os.getpid()}\n")
if os.path.exists(f"{FOLDER}/crash"):  # noqa: PTH110
    sys.exit(1)
while True:
    time.sleep(3600)
