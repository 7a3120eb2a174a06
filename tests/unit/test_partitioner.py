"""Keys go to the partitions that Kafka's own clients choose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slackwater.event_log.partitioner import _murmur2, partition_of

KAFKAS_VECTORS = {
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
}


@pytest.mark.parametrize("key", KAFKAS_VECTORS)
def test_the_hash_of_a_key_is_that_of_kafka(key: str) -> None:
    signed = int.from_bytes(_murmur2(key.encode()).to_bytes(4, "big"), "big", signed=True)
    assert signed == KAFKAS_VECTORS[key]


@pytest.mark.parametrize("key", KAFKAS_VECTORS)
def test_a_negative_hash_loses_its_sign_and_not_its_value(key: str) -> None:
    assert partition_of(key, 1_000_003) == (KAFKAS_VECTORS[key] & 0x7FFFFFFF) % 1_000_003


@given(st.text(), st.integers(1, 64))
def test_every_key_has_a_partition(key: str, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions
