"""How fast events get from a commit in PostgreSQL into Kafka, by each way of publishing.

    python -m benchmarks.atomicity [--debezium] [--rounds 3] [--events 20000] [--record]

Each way (benchmarks/contenders.py) has a schema, a topic and a relay process of its own. One runs
at a time; each round they take turns in another order.

cold      the relay is started on a backlog: `start_s` is the time until the consumer has the
          first events, and what comes after them is counted by the second
warm      it runs, stands still (SIGSTOP) for six seconds at most while a backlog is written, and
          goes on: events a second of the second such backlog
latency   200 transactions a second of one event each: from the commit's return until a consumer
          has the event; processor time of the relay, and of its sessions in the database, meanwhile
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import statistics
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.arrivals import Arrivals
from benchmarks.backends import RelayBackends
from benchmarks.contender import Contender
from benchmarks.contenders import CONTENDERS, DEBEZIUM, OURS
from benchmarks.record import record
from benchmarks.relaying import RelayError, RelayProcess, relaying

_RATE = 200
_DRAINS = 2
_CALM_S = 2.0
_FROZEN_MAX_S = 6.0  # the server gives up whoever is silent for ten seconds

Figures = dict[str, float]


async def measure(contender: Contender, events: int, seconds: float) -> Figures:
    """Run the whole course of one contender; its tables and topics are there, and empty."""
    arrivals = Arrivals(contender.kafka, contender.topic)
    await arrivals.start()
    try:
        await contender.write_backlog(events)
        backends = RelayBackends(contender)
        await backends.leave_out_present()
        began_s = time.monotonic()
        async with relaying(contender.relay_command()) as relay:
            await relay.until(arrivals.wait_for(contender.written))
            cold = {
                "start_s": arrivals.first_s - began_s,
                "cold_events_a_second": arrivals.rate(),
            }
            warm = [await _drained(contender, relay, arrivals, events) for _ in range(_DRAINS)]
            latency = await _latency(contender, relay, backends, arrivals, seconds)
    finally:
        await arrivals.stop()
    return cold | {"warm_events_a_second": warm[-1]} | latency


async def _drained(
    contender: Contender, relay: RelayProcess, arrivals: Arrivals, events: int
) -> float:
    """Return the events a second with which a running relay publishes a backlog."""
    await asyncio.sleep(_CALM_S)  # marks and positions of what came before are stored
    with relay.frozen():
        written = await contender.write_backlog(events, within_s=_FROZEN_MAX_S)
    began_s = time.monotonic()
    await relay.until(arrivals.wait_for(contender.written))
    return written / (arrivals.last_s - began_s)


async def _latency(
    contender: Contender,
    relay: RelayProcess,
    backends: RelayBackends,
    arrivals: Arrivals,
    seconds: float,
) -> Figures:
    await asyncio.sleep(_CALM_S)
    began_relay_s, began_backends = relay.cpu_s(), await backends.cpu_s()
    committed_s = await contender.write_at_rate(_RATE, seconds)
    await relay.until(arrivals.wait_for(contender.written))
    relay_s, ended_backends = relay.cpu_s() - began_relay_s, await backends.cpu_s()
    backends_s = sum(took - began_backends.get(pid, 0) for pid, took in ended_backends.items())
    waits_ms = [(arrivals.at_s[at] - since_s) * 1_000 for at, since_s in committed_s.items()]
    return {
        "latency_ms_p50": statistics.median(waits_ms),
        "latency_ms_p99": statistics.quantiles(waits_ms, n=100)[98],
        "relay_cpu_ms_an_event": relay_s * 1_000 / len(waits_ms),
        "database_cpu_ms_an_event": backends_s * 1_000 / len(waits_ms),
    }


async def _course(contender: Contender, events: int, seconds: float) -> Figures:
    try:
        await contender.prepare()
        figures = await measure(contender, events, seconds)
    finally:
        await contender.close()
    return {name: _rounded(figure) for name, figure in figures.items()}


def medians(rounds: Iterable[Mapping[str, Figures]]) -> dict[str, Figures]:
    """Return each contender's median of each figure."""
    found: dict[str, dict[str, list[float]]] = {}
    for each in rounds:
        for name, figures in each.items():
            for figure, value in figures.items():
                found.setdefault(name, {}).setdefault(figure, []).append(value)
    return {
        name: {figure: _rounded(statistics.median(all_)) for figure, all_ in figures.items()}
        for name, figures in found.items()
    }


def ratios(of: Mapping[str, Figures], reference: str) -> dict[str, Figures]:
    """Return how many times the reference's figure each contender's is."""
    return {
        name: {
            figure: round(value / of[reference][figure], 2)
            for figure, value in figures.items()
            if of[reference][figure]
        }
        for name, figures in of.items()
        if name != reference
    }


def _rounded(figure: float) -> float:
    return round(figure) if figure >= 1_000 else round(figure, 2)


def _run(options: argparse.Namespace) -> None:
    names = _chosen(options)
    rounds: list[dict[str, Figures]] = []
    for number in range(options.rounds):
        rounds.append({})
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            contender = _opened(name, f"{options.run}{number}")
            try:
                figures = asyncio.run(_course(contender, options.events, options.seconds))
            except RelayError as error:  # the others can still be compared
                print(f"{name} has no figures in round {number + 1}: {error}", flush=True)
                continue
            rounds[-1][name] = figures
            print(name, figures, flush=True)
        results = _results(names, rounds, options)
        if options.record:  # also when a later round is interrupted
            record("atomicity", options.record, results)
    print(_table(results["medians"]))
    for name, figures in results[f"times_{_reference(names)}"].items():
        print(f"{name}, times {_reference(names)}:", figures)


def _table(of: Mapping[str, Figures]) -> str:
    """Return figures as a table in Markdown, a column for each contender."""
    figures = next(iter(of.values()), {})
    rows = [[figure, *(f"{each[figure]:,}" for each in of.values())] for figure in figures]
    head = [["", *of], ["---"] * (len(of) + 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in head + rows)


def _reference(names: Sequence[str]) -> str:
    """Return what others are compared with: Debezium as fast as it can be had, if it takes part."""
    return next((name for name in reversed(DEBEZIUM) if name in names), names[0])


def _chosen(options: argparse.Namespace) -> list[str]:
    if not options.ways:
        return [*OURS, *(DEBEZIUM if options.debezium else ())]
    names: list[str] = options.ways.split(",")
    unknown = [name for name in names if name not in CONTENDERS]
    if unknown:
        raise SystemExit(f"there is no {', '.join(unknown)}; there are {', '.join(CONTENDERS)}")
    return names


def _results(
    names: list[str], rounds: list[dict[str, Figures]], options: argparse.Namespace
) -> dict[str, Any]:
    reference, middle = _reference(names), medians(rounds)
    return {
        "events": options.events,
        "latency_s": options.seconds,
        "load_average": [round(each, 1) for each in os.getloadavg()],
        "medians": middle,
        f"times_{reference}": ratios(middle, reference) if reference in middle else {},
        "rounds": rounds,
    }


def _opened(name: str, run: str) -> Contender:
    url, kafka = os.environ["SLACKWATER_POSTGRESQL_URL"], os.environ["SLACKWATER_KAFKA_URL"]
    return CONTENDERS[name](name, run, url, kafka)


def _relay(name: str, run: str) -> None:
    """Be the relay process of one of our ways, until it or who started it is ended."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    url, kafka = os.environ["SLACKWATER_POSTGRESQL_URL"], os.environ["SLACKWATER_KAFKA_URL"]

    async def relay() -> None:
        await OURS[name](name, run, url, kafka).relay()

    asyncio.run(relay())


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--debezium", action="store_true", help="Debezium's engine beside ours")
    parser.add_argument("--ways", help=f"only these, of {', '.join(CONTENDERS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=20_000, help="of a backlog")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the measure of latency")
    parser.add_argument("--record", nargs="?", const="atomicity", help="name of the result")
    parser.add_argument("--run", default=secrets.token_hex(3), help="part of all names")
    parser.add_argument("--relay", help="of the child process: the way that it relays")
    options = parser.parse_args()
    if options.relay:
        _relay(options.relay, options.run)
    else:
        _run(options)


if __name__ == "__main__":
    main()
