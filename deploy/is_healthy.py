#!/usr/bin/env python3
"""The health check of a container: asks its own process, `is-healthy 8000/readyz`."""

from __future__ import annotations

import http.client
import sys

_TIMEOUT_S = 4


def main(target: str) -> int:
    """Return 0 when the process answers that it is well."""
    port, _, path = target.partition("/")
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=_TIMEOUT_S)
    try:
        connection.request("GET", f"/{path}")
        answer = connection.getresponse()
        sys.stdout.write(answer.read(1000).decode(errors="replace"))
    except OSError as error:
        sys.stdout.write(f"no answer: {error}")
        return 1
    return 0 if answer.status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
