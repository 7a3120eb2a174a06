"""The customers' names: 200 made-up companies with role mailboxes at `.example` domains."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import msgspec

COMPANIES = 200

_FIRST = (
    *("Alder", "Brindle", "Cinder", "Dray", "Elder", "Fallow", "Garnet", "Harrow", "Ivel"),
    *("Juniper", "Kelder", "Lorn", "Marl", "Nether", "Osier", "Pell", "Quern", "Rush"),
    *("Sable", "Thorn"),
)
_SECOND = ("quay", "mere", "holt", "wick", "gate", "stead", "moor", "fell", "brook", "haven")
_TRADES = (
    *("Joinery Ltd", "Facility Services GmbH", "Building Supplies", "Marine Works BV"),
    *("Elektrotechnik GmbH", "Catering Equipment", "Logistics SA", "Precision Parts AG"),
    *("Plumbing & Heating", "Garden Centres", "Shopfitting SARL", "Packaging Oy", "Foods Ltd"),
    *("Anlagenbau GmbH", "Roofing Partners", "Print & Display", "Hotels Group", "Cold Stores BV"),
    *("Vehicle Works", "Maintenance Nordic AB", "School Supplies", "Metal Structures Srl"),
    *("Laboratories", "Timber Trading", "Property Care", "Wind Services A/S", "Bakeries KG"),
    *("Events & Staging", "Cycle Works"),
)
_MAILBOXES = ("purchasing", "orders", "procurement", "accounts", "stores")


class Company(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's name and where its orders are confirmed to."""

    name: str
    email: str


@cache
def companies() -> tuple[Company, ...]:
    """Return every company; neighbours share neither first word nor trade."""
    return tuple(map(_company, range(COMPANIES)))


def _company(number: int) -> Company:
    first = _FIRST[number % len(_FIRST)]
    second = _SECOND[(number + number // len(_FIRST)) % len(_SECOND)]
    name = f"{first}{second} {_TRADES[number * 3 % len(_TRADES)]}"
    mailbox = _MAILBOXES[number % len(_MAILBOXES)]
    return Company(name=name, email=f"{mailbox}@{_domain(name)}.example")


def _domain(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
