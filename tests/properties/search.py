"""Searches for the shortest steps in which something that is built wrongly breaks a promise.

    python -m tests.properties.search [NAME …] [--histories 2000] [--seed 1]

What it prints stands in `weaknesses.py`. Run it again for what the tests say is not found any more.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import structlog

from slackwater.errors import StructuralError
from tests.properties.weaknesses import WEAKNESSES, Weakness
from tests.properties.world import ALWAYS, SHOWING, STEPS, THEMES, ViolationError, world_in


def histories(seed: int, count: int, themes: Sequence[str] | None = None) -> Iterator[list[str]]:
    """Yield steps of the themes, or of some others each time.

    Of these, some are frequent and some are left out, others each time: that finds more than equal
    chances do ("Swarm Testing", Groce and others, 2012).
    """
    chance = random.Random(seed)
    for _ in range(count):
        chosen = chance.sample(sorted(THEMES), chance.randint(1, 3)) if themes is None else themes
        steps = ALWAYS | {name: step for theme in chosen for name, step in THEMES[theme].items()}
        names = sorted(steps)
        weights = [chance.choice((1, 2, 4) if name in ALWAYS else (0, 2, 6)) for name in names]
        yield chance.choices(names, weights, k=chance.randint(20, 140))


def violated_in(directory: Path, steps: Sequence[str]) -> str | None:
    """Take the steps in an empty directory; return which promise they break, if they break one."""
    with tempfile.TemporaryDirectory(dir=directory) as empty:
        return asyncio.run(_violated(Path(empty), steps))


async def _violated(directory: Path, steps: Sequence[str]) -> str | None:
    async with world_in(directory, in_search=not SHOWING.keys().isdisjoint(steps)) as world:
        try:
            for name in steps:
                await STEPS[name](world)
            await world.drain()
        except (ViolationError, StructuralError) as violation:  # nothing is a reason to halt
            return str(violation) or type(violation).__name__
    return None


def shortened(directory: Path, steps: Sequence[str]) -> list[str]:
    """Leave out, in ever smaller pieces, whatever is not needed to break a promise."""
    kept, size = list(steps), len(steps) // 2
    while size:
        at = 0
        while at < len(kept):
            without = kept[:at] + kept[at + size :]
            if violated_in(directory, without):
                kept = without
            else:
                at += size
        size //= 2
    return kept


def found(weakness: Weakness, directory: Path, seed: int, count: int) -> list[str] | None:
    """Return the shortest steps that were found."""
    with pytest.MonkeyPatch.context() as patch:
        weakness.weaken(patch)
        for steps in histories(seed, count, weakness.themes):
            if violated_in(directory, steps):
                return shortened(directory, steps)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="weaknesses; all, if left out")
    parser.add_argument("--histories", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as directory:
        for weakness in WEAKNESSES:
            if not options.names or weakness.name in options.names:
                steps = found(weakness, Path(directory), options.seed, options.histories)
                print(weakness.name, steps, flush=True)


if __name__ == "__main__":
    main()
