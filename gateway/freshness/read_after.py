"""Reading one's writes: waits until whatever is read has passed the ticks of a token.

A token's tick was read after the write's commit had returned. A read model that has reached a
*later* tick reflects the write; one that has reached the same tick need not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gateway.errors import InvalidConsistencyToken
from gateway.freshness.outcome import Outcome, count
from gateway.freshness.stale import missed_writes
from slackwater.freshness.board import FreshnessBoard
from slackwater.freshness.bound import Reading
from slackwater.freshness.token import ConsistencyToken
from slackwater.watermarks.tick import Tick

Pair = tuple[str, str]
_NO_KEYS: Mapping[Pair, Collection[str]] = {}


class ReadAfter:
    """The writes that one operation's answer must reflect."""

    def __init__(self, token: ConsistencyToken, board: FreshnessBoard) -> None:
        self._ticks = token.ticks
        self._board = board

    @property
    def requires_any(self) -> bool:
        """Whether the token holds any write at all."""
        return bool(self._ticks)

    async def wait(
        self,
        reads: Collection[Pair],
        asked_s: float,
        *,
        timeout_ms: int,
        keys: Mapping[Pair, Collection[str]] = _NO_KEYS,
    ) -> None:
        """Wait until each (read model, source) that is read reflects the writes.

        `asked_s` is when the request was there, on the clock of the probes. `keys` are those of
        what is read by key alone: of that, the partitions of the keys are enough.

        Raises:
            InvalidConsistencyToken: a tick is greater than any that its source has made.
            StaleRead: the time is up.
        """
        demanded = self._demanded(reads)
        deadline_s = asked_s + timeout_ms / 1000
        if demanded:
            await self._board.wait_for(
                lambda: self._is_decided(demanded, keys, asked_s), deadline_s=deadline_s
            )
            self._check(demanded, keys, asked_s)

    def check(self, pairs: Collection[Pair], readings: Mapping[str, Reading]) -> None:
        """Make sure that what has been read reflects the writes.

        Raises:
            StaleRead: it does not.
        """
        self._raise(self._demanded(pairs), {pair: _reached(readings, pair) for pair in pairs})

    def demands(self, pairs: Collection[Pair]) -> bool:
        """Tell whether one of these must reflect a write."""
        return any(source in self._ticks for _, source in pairs)

    def misses(self, reading: Reading, sources: Collection[str]) -> bool:
        """Tell whether what is read with this reading may miss one of the writes."""
        pairs = [(reading.read_model, source) for source in sources if source in self._ticks]
        reached = {pair: _reached({reading.read_model: reading}, pair) for pair in pairs}
        return bool(_missed(self._demanded(pairs), reached))

    def _demanded(self, pairs: Collection[Pair]) -> dict[Pair, Tick]:
        return {pair: self._ticks[pair[1]] for pair in pairs if pair[1] in self._ticks}

    def _is_decided(
        self, demanded: Mapping[Pair, Tick], keys: Mapping[Pair, Collection[str]], asked_s: float
    ) -> bool:
        missed = _missed(demanded, self._reached_now(demanded, keys))
        return not missed or self._impossible(missed, asked_s) is not None

    def _check(
        self, demanded: Mapping[Pair, Tick], keys: Mapping[Pair, Collection[str]], asked_s: float
    ) -> None:
        reached = self._reached_now(demanded, keys)
        missed = _missed(demanded, reached)
        impossible = self._impossible(missed, asked_s)
        if impossible is not None:
            raise InvalidConsistencyToken(impossible)
        self._raise(missed, reached)

    def _raise(self, demanded: Mapping[Pair, Tick], reached: Mapping[Pair, Tick | None]) -> None:
        missed = _missed(demanded, reached)
        if missed:
            count([Outcome.FAILED])
            raise missed_writes(missed, {pair: reached[pair] for pair in missed})

    def _reached_now(
        self, pairs: Collection[Pair], keys: Mapping[Pair, Collection[str]]
    ) -> dict[Pair, Tick | None]:
        """Return the ticks reached now; of what is read by key, the least of its keys."""
        return {pair: self._reached_by(pair, keys.get(pair, ())) for pair in pairs}

    def _reached_by(self, pair: Pair, keys: Collection[str]) -> Tick | None:
        read_model, _ = pair
        readings = [self._board.reading_of_key(read_model, key) for key in keys]
        ticks = [
            _reached({read_model: reading}, pair)
            for reading in readings or [self._board.reading(read_model)]
        ]
        known = [tick for tick in ticks if tick is not None]
        return min(known) if len(known) == len(ticks) else None

    def _impossible(self, missed: Mapping[Pair, Tick], asked_s: float) -> str | None:
        """Say why a tick never comes: its source was asked since and had not made it by then.

        Without an answer from since then, the tick may be newer than anything that was heard.
        """
        for (_, source), tick in missed.items():
            newest, probe = self._board.newest_tick(source), self._board.newest_probe(source)
            if newest is None or probe is None or probe.monotonic_s <= asked_s:
                continue
            if tick.timeline != newest.timeline:
                return (
                    f"{source} was restored since the write that the consistency token is of, or "
                    "its log was lost; read without the token and look whether the write is there"
                )
            if tick > newest:
                return (
                    f"the consistency token names a tick that {source} has not made; "
                    "use it exactly as a mutation returned it"
                )
        return None


def _missed(demanded: Mapping[Pair, Tick], reached: Mapping[Pair, Tick | None]) -> dict[Pair, Tick]:
    missed = {}
    for pair, tick in demanded.items():
        newest = reached[pair]
        if newest is None or not newest.is_after(tick):
            missed[pair] = tick
    return missed


def _reached(readings: Mapping[str, Reading], pair: Pair) -> Tick | None:
    reading = readings.get(pair[0])
    reach = reading.reaches.get(pair[1]) if reading is not None else None
    return reach.reached if reach is not None else None
