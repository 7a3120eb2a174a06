"""Money: integer minor units with a currency, and nothing ever rounded."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

import msgspec

_CURRENCY = re.compile(r"[A-Z]{3}")
_MINOR_MAX = 10**15

# ISO 4217 currencies whose minor unit is not a hundredth.
_EXPONENTS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"), 0),
    **dict.fromkeys(("RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


class InvalidMoneyError(ValueError):
    """An amount or currency that is no money; the message says why."""


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """An amount in the currency's smallest unit: EUR 12.50 has `minor` 1250."""

    minor: int
    currency: str

    @classmethod
    def parse(cls, amount: Decimal, currency: str) -> Money:
        """Read a decimal amount.

        Raises:
            InvalidMoneyError: the currency is no ISO 4217 code, or the amount is not finite, has
                more decimals than the currency, or is out of range.
        """
        if not _CURRENCY.fullmatch(currency):
            raise InvalidMoneyError(f"{currency!r} is no currency; use a code such as EUR")
        if not amount.is_finite() or abs(amount) > _MINOR_MAX:
            raise InvalidMoneyError(f"{amount} is no amount within ±{_MINOR_MAX}")
        exponent = exponent_of(currency)
        minor = Fraction(amount) * 10**exponent  # exact, where Decimal would round
        if minor.denominator != 1:
            raise InvalidMoneyError(f"{amount} has more than the {exponent} decimals of {currency}")
        if abs(minor) > _MINOR_MAX:
            raise InvalidMoneyError(f"{amount} {currency} is too large")
        return cls(minor=int(minor), currency=currency)

    @property
    def amount(self) -> Decimal:
        """The amount with exactly the currency's decimals."""
        return Decimal(self.minor).scaleb(-exponent_of(self.currency))


def exponent_of(currency: str) -> int:
    """Return the number of decimals of a currency."""
    return _EXPONENTS.get(currency, 2)
