"""Reading one's writes: waits until whatever is read has passed the ticks of a token.

A token's tick was read after the write's commit had returned. A read model that has reached a
*later* tick reflects the write; one that has reached the same tick need not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gateway.errors import InvalidConsistencyToken
from gateway.freshness.stale import missed_writes
from slackwater.freshness.board import FreshnessBoard
from slackwater.freshness.bound import Reading
from slackwater.freshness.token import ConsistencyToken
from slackwater.watermarks.tick import Tick

Pair = tuple[str, str]


class ReadAfter:
    """The writes that one operation's answer must reflect."""

    def __init__(self, token: ConsistencyToken, board: FreshnessBoard) -> None:
        self._ticks = token.ticks
        self._board = board

    async def wait(self, reads: Collection[Pair], asked_s: float, *, timeout_ms: int) -> None:
        """Wait until each (read model, source) that is read reflects the writes.

        `asked_s` is when the request was there, on the clock of the probes.

        Raises:
            InvalidConsistencyToken: a tick is greater than any that its source has made.
            StaleRead: the time is up.
        """
        demanded = self._demanded(reads)
        deadline_s = asked_s + timeout_ms / 1000
        if demanded:
            await self._board.wait_for(
                lambda: self._is_decided(demanded, asked_s), deadline_s=deadline_s
            )
            self._check(demanded, asked_s)

    def check(self, pairs: Collection[Pair], readings: Mapping[str, Reading]) -> None:
        """Make sure that what has been read reflects the writes.

        Raises:
            StaleRead: it does not.
        """
        missed = _missed(self._demanded(pairs), readings)
        if missed:
            raise missed_writes(missed, {pair: _reached(readings, pair) for pair in missed})

    def misses(self, reading: Reading, sources: Collection[str]) -> bool:
        """Tell whether what is read with this reading may miss one of the writes."""
        pairs = [(reading.read_model, source) for source in sources if source in self._ticks]
        return bool(_missed(self._demanded(pairs), {reading.read_model: reading}))

    def _demanded(self, pairs: Collection[Pair]) -> dict[Pair, Tick]:
        return {pair: self._ticks[pair[1]] for pair in pairs if pair[1] in self._ticks}

    def _is_decided(self, demanded: Mapping[Pair, Tick], asked_s: float) -> bool:
        missed = _missed(demanded, self._board.snapshot())
        return not missed or self._impossible(missed, asked_s) is not None

    def _check(self, demanded: Mapping[Pair, Tick], asked_s: float) -> None:
        missed = _missed(demanded, self._board.snapshot())
        impossible = self._impossible(missed, asked_s)
        if impossible is not None:
            raise InvalidConsistencyToken(impossible)
        self.check(missed, self._board.snapshot())

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


def _missed(demanded: Mapping[Pair, Tick], readings: Mapping[str, Reading]) -> dict[Pair, Tick]:
    missed = {}
    for pair, tick in demanded.items():
        reached = _reached(readings, pair)
        if reached is None or not reached.is_after(tick):
            missed[pair] = tick
    return missed


def _reached(readings: Mapping[str, Reading], pair: Pair) -> Tick | None:
    reading = readings.get(pair[0])
    reach = reading.reaches.get(pair[1]) if reading is not None else None
    return reach.reached if reach is not None else None
