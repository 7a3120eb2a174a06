"""Money on the wire: a decimal as text, with its currency."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import strawberry

from contracts.money import Money as Amount


@strawberry.type(description='An amount such as "12.50", with exactly the currency\'s decimals.')
class Money:
    """Never a float: clients get and send decimals as text."""

    amount: Decimal
    currency: str


@strawberry.input(description='An amount such as "12.50" in a currency such as EUR.')
class MoneyInput:
    """Checked when it is used, so that what is wrong with it becomes a refusal."""

    amount: Decimal
    currency: str

    def parse(self) -> Amount:
        """Return the amount in minor units.

        Raises:
            InvalidMoneyError: it is no money; the message says why.
        """
        return Amount.parse(self.amount, self.currency)


def to_money(value: dict[str, Any]) -> Money:
    """Return a document's amount as it stands on the wire."""
    amount = Amount(minor=value["minor"], currency=value["currency"])
    return Money(amount=amount.amount, currency=amount.currency)
