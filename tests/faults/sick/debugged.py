"""Lets anybody of its user hold it, as its author with a debugger would (Yama asks for that; prctl(2))."""

import ctypes

SET_PTRACER, ANYBODY = 0x59616D61, ctypes.c_ulong(-1)


def live(behaviour, told):
    """Nothing else."""
    ctypes.CDLL(None).prctl(SET_PTRACER, ANYBODY, 0, 0, 0)
    open("permitted", "w").close()
