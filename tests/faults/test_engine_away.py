"""An engine of the read side stands still in traffic: writes go on, and all catches up alone.

It is stopped with SIGSTOP, so connections stay open and nobody answers: the worst way to be away.
By hand for a minute: `AWAY_S=60 make test ARGS="tests/faults/test_engine_away.py -s"` where the
engines' addresses are set.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

import pytest

from tests.end_to_end.harness import Answer, Running, Store, until
from tests.engines import on_all_engines
from tests.faults.ledger import Ledger, Traffic
from tests.faults.own_engines import OwnEngines

AWAY_S = float(os.environ.get("AWAY_S", "10"))
ANSWER_S = 15.0
CAUGHT_UP_S = 180.0
GROWTH_BYTES_MAX = 150_000_000
SEEDS = {"elasticsearch": 1, "mongodb": 2}

DOCUMENTS = "{ customers(first: 1) { edges { node { name } } } }"
SEARCH = '{ search(text: "BOLT", first: 1) { edges { score } } }'
FOUND = '{ search(text: "BOLT") { totalCount } }'
FROM_SOURCE = """
query ($id: ID!) @freshness(maxStalenessMs: 500, onStale: SOURCE) { customer(id: $id) { name } }
"""

pytestmark = [
    *on_all_engines(),
    pytest.mark.slow,
    pytest.mark.timeout(720 + 2 * int(AWAY_S)),
]


@pytest.mark.parametrize(
    ("engine", "answered", "unavailable"),
    [("elasticsearch", DOCUMENTS, SEARCH), ("mongodb", FOUND, DOCUMENTS)],
    ids=["elasticsearch", "mongodb"],
)
def test_what_does_not_need_the_engine_goes_on_and_the_rest_catches_up(
    breakable: Running,
    own_engines: OwnEngines,
    customers: list[str],
    engine: str,
    answered: str,
    unavailable: str,
) -> None:
    store, ledger = breakable.store, Ledger()
    with Traffic(store, ledger, customers, "BOLT", SEEDS[engine]):
        until(lambda: len(ledger.acknowledged), lambda count: count > 20, CAUGHT_UP_S)
        before = breakable.resident_bytes()
        with own_engines.paused(engine):
            _asked_while_away(store, ledger, answered, unavailable)
            _answered_by_the_source(store, customers[0], engine)
            away = breakable.resident_bytes()
    began_s = time.monotonic()
    _until_live(store)
    print(f"\n{engine}: live {time.monotonic() - began_s:.1f} s after it is back")
    _check_growth(before, away, breakable.resident_bytes())
    checked = until(breakable.verify, lambda verified: verified.returncode == 0, CAUGHT_UP_S)
    assert checked.stdout.count(": equal") == 4, checked.stdout
    ledger.check(store)
    print(f"{len(ledger.acknowledged)} acknowledged of {len(ledger.attempted)}")


def _asked_while_away(store: Store, ledger: Ledger, answered: str, unavailable: str) -> None:
    """Ask again and again until the time is up; a part of the writes lies in each half of it."""
    slowest_s = 0.0
    for _ in range(2):
        end_s = time.monotonic() + AWAY_S / 2  # what is asked last may take longer
        acknowledged = len(ledger.acknowledged)
        while time.monotonic() < end_s:
            shown = _asked(store, answered)[0]
            assert shown.codes == [], shown.body
            refused, took_s = _asked(store, unavailable)
            assert refused.codes == ["READ_MODEL_UNAVAILABLE"], refused.body
            slowest_s = max(slowest_s, took_s)
        assert len(ledger.acknowledged) > acknowledged, "writes stood still, too"
        print(f"\n{len(ledger.acknowledged) - acknowledged} orders in {AWAY_S / 2:.0f} s", end="")
    told, _ = _asked(store, "{ readModels { name status documents } }")
    counts = {model["name"]: model["documents"] for model in told.data["readModels"]}
    assert [name for name, count in counts.items() if count is None], counts
    print(f"; refused after at most {slowest_s:.1f} s", end="")


def _answered_by_the_source(store: Store, customer: str, engine: str) -> None:
    answer = store.ask(FROM_SOURCE, {"id": customer})
    assert answer.data["customer"]["name"] == "C 0"
    [shown] = [each for each in answer.freshness["fields"] if each["path"] == ["customer"]]
    assert shown["maxStalenessMs"] <= ANSWER_S * 1000, shown
    assert shown["servedFrom"] == "SOURCE" or engine != "mongodb", shown


def _asked(store: Store, query: str) -> tuple[Answer, float]:
    began_s = time.monotonic()
    answer = store.ask(query)
    took_s = time.monotonic() - began_s
    assert took_s < ANSWER_S, (took_s, query)
    return answer, took_s


def _until_live(store: Store) -> None:
    def statuses() -> set[str]:
        answer = store.ask("{ readModels { status } }").body.get("data") or {"readModels": []}
        return {model["status"] for model in answer["readModels"]}

    until(statuses, lambda found: found == {"LIVE"}, CAUGHT_UP_S)


def _check_growth(*sizes: Mapping[str, int]) -> None:
    """Sizes are those before, while the engine was away, and after all has caught up."""
    for name in sorted(sizes[0]):
        print(f"{name:28} {' → '.join(f'{size[name] / 1e6:.0f}' for size in sizes)} MB")
        assert max(size[name] for size in sizes) < sizes[0][name] + GROWTH_BYTES_MAX, name
