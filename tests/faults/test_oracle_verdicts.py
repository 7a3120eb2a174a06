"""What the oracle says of single checks, and what it takes for shown by nobody."""

from __future__ import annotations

import math

import pytest

from tests.faults.oracle.registers import Bracket, Commit, Register, all_missing
from tests.faults.oracle.verdicts import Check, Tally, Verdict

TOLD_S = 100.0


def check(*missing: Commit, bound_ms: int | None = 500) -> Check:
    """Return a check of an answer that was told at 100 s, and reflects all before 99.5 s."""
    return Check(
        path="c0",
        read_model="customer_orders",
        told_s=TOLD_S,
        bound_ms=bound_ms,
        missing=missing,
    )


@pytest.mark.parametrize(
    ("missing", "verdict"),
    [
        ([], Verdict.HOLDS),
        ([Commit(99.6, 99.7)], Verdict.HOLDS),
        ([Commit(99.4, 99.6)], Verdict.UNDECIDABLE),
        ([Commit(99.4, math.inf)], Verdict.UNDECIDABLE),
        ([Commit(99.3, 99.4)], Verdict.VIOLATED),
        ([Commit(99.6, 99.7), Commit(99.4, 99.8)], Verdict.UNDECIDABLE),
        ([Commit(99.6, 99.7), Commit(99.4, 99.8), Commit(99.1, 99.49)], Verdict.VIOLATED),
    ],
)
def test_a_bound_is_judged_by_everything_that_is_missing(
    missing: list[Commit], verdict: Verdict
) -> None:
    assert check(*missing).verdict is verdict


def test_without_a_bound_nothing_is_claimed() -> None:
    assert check(Commit(1.0, 2.0), bound_ms=None).verdict is Verdict.NO_BOUND


def test_staleness_counts_from_the_commit_that_returned_first() -> None:
    assert check(Commit(98.0, 99.0), Commit(98.4, 98.5)).staleness_ms == pytest.approx(1_500)
    assert check(Commit(98.0, math.inf)).staleness_ms == 0
    assert check(Commit(99.9, 100.2)).staleness_ms == 0


def test_a_register_lacks_its_oldest_commit_that_is_not_shown() -> None:
    register = Register("r")
    register.commits = [Commit(1.0, 2.0), Commit(3.0, 4.0)]
    assert register.first_missing(0) == Commit(1.0, 2.0)
    assert register.first_missing(1) == Commit(3.0, 4.0)
    assert register.first_missing(2) is None
    other = Register("other")
    assert all_missing([(register, 1), (other, 0)]) == (Commit(3.0, 4.0),)


def test_a_commit_that_has_not_returned_may_be_missing_or_shown() -> None:
    register = Register("r")
    Bracket(register).sending(lambda: None)()
    assert register.open_since_s is not None
    assert register.first_missing(0) == Commit(register.open_since_s, math.inf)
    assert register.first_missing(1) is None
    assert not register.is_phantom(1)
    assert register.is_phantom(2)


def test_what_nobody_has_committed_is_a_phantom() -> None:
    register = Register("r")
    assert register.is_phantom(1)
    register.commits.append(Commit(1.0, 2.0))
    assert not register.is_phantom(1)


def test_checks_are_counted_by_fault_and_stale_ones_apart() -> None:
    tally = Tally()
    tally.add(check(Commit(99.3, 99.4)))
    fault = Check("c1", "products", TOLD_S, 500, (), faults=["two_relays"])
    tally.add(fault)
    assert tally.checks == 2
    assert tally.violations == [check(Commit(99.3, 99.4))]
    assert tally.by_fault == {"two_relays": {Verdict.HOLDS: 1}}
    assert tally.stale == 1
