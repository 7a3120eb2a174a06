"""Garbage collection that does not make the event loop stand still, nor whoever waits for the end.

A full collection looks at every object that is kept: in a gateway that has loaded its schema, for
150 to 200 ms on a slow core, every ten seconds. All requests and probes wait meanwhile, and bounds
grow by as much. What a process has loaded stays for its life, so it is set aside, once.
"""

from __future__ import annotations

import asyncio
import atexit
import gc

_SETTLED_S = 10.0
_THRESHOLDS = 10_000, 10, 50  # nearly everything dies by its reference count; cycles are few


def leave_it_at_exit() -> None:
    """Look for no garbage when the interpreter ends: a fifth of a short command was spent on it."""
    atexit.register(gc.freeze)


def set_aside_what_stays() -> None:
    """Collect rarely from now on, and freeze what this process has loaded once it has settled.

    Without a collection before it, which would stand still once more: the little that starting has
    left as garbage by then stays, too.
    """
    gc.set_threshold(*_THRESHOLDS)
    asyncio.get_running_loop().call_later(_SETTLED_S, gc.freeze)
