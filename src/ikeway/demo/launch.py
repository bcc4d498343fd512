# SPDX-License-Identifier: Apache-2.0
"""Runs a program that is told to end when its parent does: `python launch.py PROGRAM ARGUMENTS`.

It is a program of its own, because nothing may run between fork and exec in a process with threads.
"""

import ctypes
import os
import signal
import sys

_PARENT_DEATH_SIGNAL = 1

if __name__ == "__main__":
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - no shell is wanted
