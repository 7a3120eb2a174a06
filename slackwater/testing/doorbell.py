"""A doorbell inside one process, for tests that need no sockets."""

from __future__ import annotations

from slackwater.local_doorbell import LocalDoorbell as LocalDoorbell
