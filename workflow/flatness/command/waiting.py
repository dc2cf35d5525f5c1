"""How the threads of a command wait for each other."""

import os
import sys


def wait_asleep() -> None:
    """Let threads that have nothing to do sleep, unless the environment says otherwise.

    OpenMP lets them spin, so that where other programs use the cores, too, most of the time goes
    into waiting for a thread that does not run: a resnet18 on 20 images of 64 x 64 took 28 to 43 s
    of CPU time with two threads on two busy cores, 9 to 12 s with threads that sleep, and 10 s with
    one. Numbers do not depend on it. OpenMP reads it once, when torch is loaded.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
