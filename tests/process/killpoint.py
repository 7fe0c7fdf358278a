"""Run the agent and have the kernel kill it, at once and for good, when it makes a chosen system call.

``python killpoint.py NUMBER -- ARGUMENTS`` runs ``python -m watchdog ARGUMENTS``. The process that makes system call
NUMBER dies as of SIGKILL, before the call.
A seccomp filter does it (seccomp(2), SECCOMP_RET_KILL_PROCESS): exact, without a debugger, and without slowing down
anything else. Children inherit the filter, so choose a call that only the agent makes.
"""

import ctypes
import os
import runpy
import struct
import sys

PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
KILL_PROCESS = 0x80000000
ALLOW = 0x7FFF0000
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
NUMBER_AT = 0  # in struct seccomp_data


def instruction(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    """One BPF instruction."""
    return struct.pack("HBBI", code, yes, no, value)


def forbid(number: int) -> None:
    """Install the filter in this process and all that come from it."""
    program = [
        instruction(LOAD, NUMBER_AT),
        instruction(EQUAL, number, 0, 1),
        instruction(RETURN, KILL_PROCESS),
        instruction(RETURN, ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(header), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


if __name__ == "__main__":
    chosen, _, *words = sys.argv[1:]
    sys.argv = ["watchdog", *words]
    sys.path[0] = os.environ["PYTHONPATH"]
    forbid(int(chosen))
    runpy.run_module("watchdog", run_name="__main__", alter_sys=True)
