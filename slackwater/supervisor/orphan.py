"""A supervised process ends when its supervisor is gone, even one that was killed."""

from __future__ import annotations

import os
import signal
import threading

_STANDARD_INPUT = 0
SUPERVISED = "SUPERVISED_BY_SLACKWATER"


def end_with_supervisor() -> None:
    """Watch the pipe from the supervisor on standard input; do nothing when there is none."""
    if os.environ.get(SUPERVISED):
        threading.Thread(target=_wait_for_end, name="orphan watch", daemon=True).start()


def _wait_for_end() -> None:
    while os.read(_STANDARD_INPUT, 1):  # no lock that the interpreter's end would wait for
        pass
    os.kill(os.getpid(), signal.SIGTERM)
