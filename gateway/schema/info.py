"""The type of the information that resolvers get."""

from __future__ import annotations

from typing import TypeAlias

import strawberry

from gateway.request import Request

Info: TypeAlias = strawberry.Info[Request, None]
