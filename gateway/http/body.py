"""Request bodies: bounded in size and in time, whatever their headers claim.

A body without Content-Length (chunked) is counted as it comes in, so that no client can make the
gateway hold more than the limit, nor keep it waiting for a body that never ends.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request as HttpRequest
from starlette.types import Message, Receive

from gateway.http.limits import Limits
from gateway.http.refusal import Refusal


def bounded(receive: Receive, bytes_max: int) -> Receive:
    """Return `receive`, failing as soon as more than `bytes_max` of body have come in."""
    received_bytes = 0

    async def receive_bounded() -> Message:
        nonlocal received_bytes
        message = await receive()
        received_bytes += len(message.get("body", b""))
        if received_bytes > bytes_max:
            raise _too_large(bytes_max)
        return message

    return receive_bounded


async def body_of(http: HttpRequest, limits: Limits) -> bytes:
    """Read the whole body.

    Raises:
        Refusal: it is larger than allowed (413) or does not come in time (408).
    """
    claimed = http.headers.get("content-length", "")
    if claimed.isdecimal() and int(claimed) > limits.body_bytes_max:
        raise _too_large(limits.body_bytes_max)
    try:
        async with asyncio.timeout(limits.body_timeout_s):
            return await http.body()
    except TimeoutError:
        raise Refusal("the request's body does not come; send it at once", status=408) from None


def _too_large(bytes_max: int) -> Refusal:
    return Refusal(f"the body is larger than {bytes_max} bytes; send less at once", status=413)
