"""The size of batches follows what transactions of that size have taken."""

from __future__ import annotations

from slackwater.consumer.batch_size import BatchSize


def test_it_grows_while_full_transactions_are_quick_and_no_further_than_allowed() -> None:
    size = BatchSize(500)
    seen = []
    for _ in range(6):
        seen.append(int(size))
        size.took(int(size), 0.01)
    assert seen == [32, 64, 128, 256, 500, 500]


def test_small_transactions_say_nothing_of_large_ones() -> None:
    size = BatchSize(500)
    for _ in range(6):
        size.took(3, 0.001)
    assert int(size) == 32


def test_it_becomes_what_fits_into_a_fraction_of_a_second() -> None:
    size = BatchSize(500)
    size.took(32, 0.39)
    assert int(size) == 24
    size.took(24, 0.3)
    assert int(size) == 24
    size.took(24, 3.0)
    assert int(size) == 12


def test_it_grows_where_single_records_are_slow_and_many_cost_little_more() -> None:
    size = BatchSize(500)
    for _ in range(10):
        size.lost(int(size))
    for _ in range(10):
        size.took(int(size), 0.15 + 0.001 * int(size))
    assert 100 < int(size) <= 150


def test_what_lost_is_cut_even_where_it_was_smaller_than_allowed() -> None:
    size = BatchSize(500)
    size.lost(6)
    assert int(size) == 3


def test_it_never_reaches_nothing() -> None:
    size = BatchSize(3)
    for _ in range(5):
        size.lost(int(size))
    assert int(size) == 1
