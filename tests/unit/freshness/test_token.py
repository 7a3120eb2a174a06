"""Consistency tokens: signed, bounded, and merged without losing a demand."""

from __future__ import annotations

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slackwater.errors import InvalidTokenError
from slackwater.freshness.token import ConsistencyToken, TokenSigner
from slackwater.watermarks.tick import Tick

SIGNER = TokenSigner(b"a secret of this test")
TICKS = st.builds(
    Tick, st.integers(0, 2**40), st.integers(0, 2**60), st.sampled_from(["one", "other"])
)
SOURCES = st.dictionaries(st.sampled_from(["customers", "orders", "inventory", "s4"]), TICKS)
TOKENS = st.builds(
    ConsistencyToken,
    ticks=SOURCES,
    versions=st.dictionaries(
        st.text("abcdef0123456789-", min_size=1, max_size=36),
        st.integers(1, 2**31),
        max_size=8,
    ),
)


@given(TOKENS)
def test_a_token_survives_the_round_trip(token: ConsistencyToken) -> None:
    assert SIGNER.decode(SIGNER.encode(token)) == token


@given(TOKENS, st.data())
def test_a_changed_token_is_refused(token: ConsistencyToken, data: st.DataObject) -> None:
    text = SIGNER.encode(token)
    at = data.draw(st.integers(0, 20))
    other = "A" if text[at] != "A" else "B"
    with pytest.raises(InvalidTokenError):
        SIGNER.decode(text[:at] + other + text[at + 1 :])


@given(TOKENS)
def test_a_token_of_another_installation_is_refused(token: ConsistencyToken) -> None:
    with pytest.raises(InvalidTokenError):
        TokenSigner(b"the secret of another").decode(SIGNER.encode(token))


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    with pytest.raises(InvalidTokenError):
        SIGNER.decode(text)


def test_a_token_that_is_too_long_is_refused() -> None:
    with pytest.raises(InvalidTokenError, match="longer than"):
        SIGNER.decode("A" * 2_049)


def test_a_token_of_too_many_aggregates_is_refused() -> None:
    versions = {f"a{number}": 1 for number in range(9)}
    with pytest.raises(InvalidTokenError, match="over 8 aggregates"):
        SIGNER.decode(SIGNER.encode(ConsistencyToken(versions=versions)))


@given(TOKENS, TOKENS)
def test_merging_demands_what_both_demand(left: ConsistencyToken, right: ConsistencyToken) -> None:
    merged = left.merge(right)
    assert merged.ticks.keys() == left.ticks.keys() | right.ticks.keys()
    for token in (left, right):
        assert all(merged.ticks[source][:2] >= tick[:2] for source, tick in token.ticks.items())


@given(TICKS, TICKS, TICKS)
def test_what_is_reached_in_one_timeline_meets_no_demand_of_another(
    left: Tick, right: Tick, reached: Tick
) -> None:
    merged = ConsistencyToken(ticks={"s": left}).merge(ConsistencyToken(ticks={"s": right}))
    meets_both = reached.is_after(left) and reached.is_after(right)
    assert reached.is_after(merged.ticks["s"]) == meets_both
    assert not (meets_both and left.timeline != right.timeline)


def test_a_token_of_the_format_before_is_refused() -> None:
    payload = msgspec.msgpack.encode([1, {"customers": [1, 2]}, {}])
    with pytest.raises(InvalidTokenError, match="is invalid"):
        SIGNER.decode(base64.urlsafe_b64encode(SIGNER._sign(payload) + payload).decode())


@given(TOKENS, TOKENS, TOKENS)
def test_the_order_of_merging_does_not_matter_for_ticks(
    one: ConsistencyToken, two: ConsistencyToken, three: ConsistencyToken
) -> None:
    assert one.merge(two).ticks == two.merge(one).ticks
    assert one.merge(two).merge(three).ticks == one.merge(two.merge(three)).ticks
    assert one.merge(one).ticks == one.ticks


@given(st.lists(TOKENS, max_size=6))
def test_a_merged_token_is_bounded_and_readable(tokens: list[ConsistencyToken]) -> None:
    merged = ConsistencyToken.merged(tokens)
    assert len(merged.versions) <= 8
    assert SIGNER.decode(SIGNER.encode(merged)) == merged


def test_nothing_merged_demands_nothing() -> None:
    assert ConsistencyToken.merged([]) == ConsistencyToken()
