"""Places: the fields of an operation whose origin or demand differs from what encloses them."""

from __future__ import annotations

import msgspec

from gateway.freshness.paths import Keys

Origin = tuple[str, tuple[str, ...]]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A field whose origin or demand differs from what encloses it.

    `type_name` is the object type that has the field; for a union or interface that is read by
    member (`of_value`), the member's. `member` is the member below which the field stands. `reader`
    is the path of the nearest field that reads, which is the place itself if that reads. `is_entry`
    tells that its origin differs from the enclosing entry's. `nullable` tells that a null here
    stays within the reach of the demand. `from_source` tells that no read model answers it in this
    operation, whatever is declared: it is under no demand, and what it shows waits for nobody.
    `look_up` is the number of the plan's look-up whose document shows it.
    """

    path: Keys
    type_name: str
    name: str
    of_value: bool
    member: str | None
    origin: Origin
    reader: Keys | None
    is_entry: bool
    demand: int | None
    nullable: bool
    source_answers: bool
    from_source: bool
    look_up: int | None = None

    @property
    def reads(self) -> bool:
        return self.reader == self.path

    @property
    def answered_at(self) -> Keys:
        """The path of the field whose resolver decides who answers this one."""
        return self.reader or self.path

    @property
    def read_model(self) -> str:
        return self.origin[0]

    @property
    def sources(self) -> tuple[str, ...]:
        return self.origin[1]
