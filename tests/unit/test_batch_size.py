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


def test_it_shrinks_when_one_was_long_and_stays_when_it_was_neither() -> None:
    size = BatchSize(500)
    size.took(32, 0.4)
    assert int(size) == 16
    size.took(16, 0.2)
    assert int(size) == 16


def test_slowness_alone_leaves_a_few_for_each_transaction() -> None:
    size = BatchSize(500)
    for _ in range(10):
        size.took(int(size), 5.0)
        size.took(1, 5.0)
    assert int(size) == 8


def test_small_transactions_that_are_no_longer_than_usual_leave_it_as_it_is() -> None:
    size = BatchSize(500)
    for _ in range(10):
        size.took(1, 0.29)
    assert int(size) == 32


def test_what_lost_grows_again_however_slow_single_records_are() -> None:
    size = BatchSize(500)
    for _ in range(10):
        size.lost(int(size))
    for _ in range(10):
        size.took(int(size), 0.3 + 0.002 * int(size))
    assert int(size) == 8


def test_what_lost_is_cut_even_where_it_was_smaller_than_allowed() -> None:
    size = BatchSize(500)
    size.lost(6)
    assert int(size) == 3


def test_it_never_reaches_nothing() -> None:
    size = BatchSize(3)
    for _ in range(5):
        size.lost(int(size))
    assert int(size) == 1
