#!/usr/bin/python3
# Becomes bin/watchdog of a release. An old Python must still be able to read it, in order to say that it is too old.
# ruff: noqa: PTH118, PTH120, UP031, UP036
import sys

if sys.version_info < (3, 9):
    sys.stderr.write(
        "watchdog: Python 3.9 or newer is needed and %s is %d.%d; set watchdog_python to a newer one and deploy again\n"
        % (sys.executable, sys.version_info[0], sys.version_info[1])
    )
    sys.exit(78)

import os

# By the real path, so that a process keeps to its own release when the `current` link moves on.
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "lib"))

from watchdog.__main__ import main

sys.exit(main())
