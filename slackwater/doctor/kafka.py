"""Kafka: its brokers against the settings, and every topic of the manifest as it should be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from slackwater.doctor.check import Check
from slackwater.doctor.finding import Seen, broken, caution, ok
from slackwater.errors import StructuralError, TransientError
from slackwater.event_log.kafka_driver import (
    AdminClient,
    ConfigResource,
    ConfigResourceType,
    KafkaCluster,
    KafkaConnectionError,
)
from slackwater.event_log.kafka_topics import config_of
from slackwater.event_log.port import Topic
from slackwater.installation import Installation
from slackwater.settings import Settings

_OK, _UNKNOWN_TOPIC = 0, 3
_REQUEST_TIMEOUT_MS = 4_000
_NO_TOPICS = "no topics yet"
_RETENTION = ("cleanup.policy", "retention.ms", "retention.bytes")
_SAFETY = ("min.insync.replicas", "unclean.leader.election.enable")
_AUTO_CREATE = "auto.create.topics.enable"
_CREATE = "slackwater topics create"
_FACTOR = "SLACKWATER_KAFKA_REPLICATION_FACTOR"
_IN_SYNC = "SLACKWATER_KAFKA_MIN_INSYNC_REPLICAS"
_TWO_OF_THREE = f"set {_IN_SYNC} = 2 and {_FACTOR} = 3"
_REASSIGN = (
    "make more with kafka-reassign-partitions; settings of the replication apply to new topics only"
)
_LOOK_AFTER = "see that every broker runs, and that this client may describe cluster and topics"
_THREE_BROKERS = "run three brokers or more in production"


@asynccontextmanager
async def opened(installation: Installation) -> AsyncIterator[Sequence[Check]]:
    """Connect as who creates topics does."""
    settings = installation.settings
    cluster = KafkaCluster(
        bootstrap_servers=str(settings.kafka_url), request_timeout_ms=_REQUEST_TIMEOUT_MS
    )
    admin = AdminClient(**cluster.options())
    try:
        try:
            await admin.start()
        except KafkaConnectionError as error:
            raise TransientError(f"no broker answers; {_LOOK_AFTER}") from error
        yield (
            _Brokers(admin, settings).checks()
            + _Topics(admin, settings, installation.manifest.topics()).checks()
        )
    finally:
        await admin.close()


class _Brokers:
    """The cluster, against what the settings ask of it."""

    def __init__(self, admin: AdminClient, settings: Settings) -> None:
        self._admin = admin
        self._copies = settings.kafka_replication_factor
        self._in_sync = settings.kafka_min_insync_replicas

    def checks(self) -> list[Check]:
        return [
            Check("brokers", self._see_brokers, _LOOK_AFTER),
            Check("replication factor", self._see_replication_factor, _LOOK_AFTER),
            Check("min.insync.replicas", self._see_in_sync, _LOOK_AFTER),
            Check("auto-creation of topics", self._see_auto_create, _LOOK_AFTER),
        ]

    async def _see_brokers(self) -> Seen:
        count = len(await self._broker_ids())
        found = f"{count} running"
        return ok(found) if count > 1 else caution(found, _THREE_BROKERS)

    async def _see_replication_factor(self) -> Seen:
        brokers = len(await self._broker_ids())
        found = f"{_copies(self._copies)} of each topic in the settings, on {brokers} running"
        if self._copies > brokers:
            return broken(found, f"start more brokers, or lower {_FACTOR}")
        if self._copies == 1:
            return caution(f"{found}: a lost disk is lost data", f"set {_FACTOR} = 3")
        return ok(found)

    async def _see_in_sync(self) -> Seen:
        found = f"{_copies(self._in_sync)} must hold a record, of {self._copies}"
        if self._in_sync > self._copies:
            return broken(f"{found}: nothing can be written", _TWO_OF_THREE)
        if self._in_sync == 1:
            return caution(f"{found}: a failover may lose it", _TWO_OF_THREE)
        if self._in_sync == self._copies:
            return caution(f"{found}: one broker away stops all writing", _TWO_OF_THREE)
        return ok(found)

    async def _see_auto_create(self) -> Seen:
        values = {
            broker: (await _config(self._admin, ConfigResourceType.BROKER, str(broker))).get(
                _AUTO_CREATE
            )
            for broker in await self._broker_ids()
        }
        switched_on = [str(broker) for broker, value in values.items() if value != "false"]
        if switched_on:
            return caution(
                f"on (broker {', '.join(switched_on)}): a misspelt topic is created",
                f"set {_AUTO_CREATE} = false on every broker",
            )
        return ok("off")

    async def _broker_ids(self) -> list[int]:
        described = await self._admin.describe_cluster()
        return [broker["node_id"] for broker in described["brokers"]]


class _Topics:
    """The topics that the manifest asks for, by their names in the cluster."""

    def __init__(self, admin: AdminClient, settings: Settings, topics: Sequence[Topic]) -> None:
        self._admin = admin
        self._settings = settings
        self._topics = {f"{settings.namespace}.{topic.name}": topic for topic in topics}

    def checks(self) -> list[Check]:
        return [
            Check("topics", self._see_all, _LOOK_AFTER),
            Check("partitions", self._see_partitions, _LOOK_AFTER),
            Check("copies", self._see_copies, _LOOK_AFTER),
            Check("retention", self._see_retention, _LOOK_AFTER),
            Check("topic settings", self._see_settings, _LOOK_AFTER),
        ]

    async def _see_all(self) -> Seen:
        described = await self._described()
        missing = [name for name in self._topics if name not in described]
        if missing:
            return caution(
                f"{len(missing)} of {len(self._topics)} missing: {', '.join(missing)}",
                f"{_CREATE} (a service that starts does it, too)",
            )
        return ok(f"all {len(described)} of the manifest")

    async def _see_partitions(self) -> Seen:
        described = await self._described()
        counts = {name: len(partitions) for name, partitions in described.items()}
        wrong = [
            f"{name} has {count}, not {self._topics[name].partitions}"
            for name, count in counts.items()
            if count != self._topics[name].partitions
        ]
        if wrong:
            return broken(
                "; ".join(wrong),
                f"take another SLACKWATER_NAMESPACE, {_CREATE}, and publish all events anew: "
                "a topic's number of partitions cannot be changed without losing their order",
            )
        if not counts:
            return ok(_NO_TOPICS)
        return ok(f"{sum(counts.values())} in {len(counts)} topics, as the manifest says")

    async def _see_copies(self) -> Seen:
        """Look at what is there: the settings apply to new topics only."""
        partitions = [each for found in (await self._described()).values() for each in found]
        if not partitions:
            return ok(_NO_TOPICS)
        needed = self._settings.kafka_min_insync_replicas
        fewest = min(len(each["replicas"]) for each in partitions)
        if fewest < needed:
            return broken(f"{_copies(fewest)} of some partitions, of {needed} needed", _REASSIGN)
        if any(len(each["isr"]) < needed for each in partitions):
            return broken("too few in sync to write: a broker is away", _LOOK_AFTER)
        if fewest < self._settings.kafka_replication_factor:
            return caution(f"{_copies(fewest)} of some partitions", _REASSIGN)
        if any(len(each["isr"]) < len(each["replicas"]) for each in partitions):
            return caution("some are not in sync", "wait, or look after the broker that is behind")
        return ok("all in sync")

    async def _see_retention(self) -> Seen:
        """Events must be kept for ever, because read models are built anew from them."""
        wrong = await self._differing(_RETENTION)
        expiring = [name for name in wrong if self._topics[name].retention_records is None]
        if expiring:
            return broken(
                _said({name: wrong[name] for name in expiring}),
                f"{_CREATE} sets it right; what was dropped meanwhile is missing from rebuilds",
            )
        if wrong:
            return caution(_said(wrong), f"{_CREATE} sets it right")
        return ok("events are kept for ever" if await self._described() else _NO_TOPICS)

    async def _see_settings(self) -> Seen:
        wrong = await self._differing(_SAFETY)
        if wrong:
            return caution(_said(wrong), f"{_CREATE} sets it right")
        return ok(f"{' and '.join(_SAFETY)} as they should be")

    async def _differing(self, keys: Sequence[str]) -> dict[str, list[str]]:
        """Say for each topic which of the keys are not as they would be set anew."""
        differing = {}
        for name in await self._described():
            wanted = config_of(self._topics[name], self._settings.kafka_min_insync_replicas)
            found = await _config(self._admin, ConfigResourceType.TOPIC, name)
            differing[name] = [
                f"{key} is {found.get(key)}, not {wanted[key]}"
                for key in keys
                if found.get(key) != wanted[key]
            ]
        return {name: wrong for name, wrong in differing.items() if wrong}

    async def _described(self) -> dict[str, list[dict[str, Any]]]:
        """Return the partitions of each topic that exists."""
        described = await self._admin.describe_topics(list(self._topics))
        for each in described:
            if each["error_code"] not in (_OK, _UNKNOWN_TOPIC):
                raise StructuralError(
                    f"Kafka does not describe {each['topic']} (error {each['error_code']}); "
                    f"{_LOOK_AFTER}"
                )
        found = {each["topic"]: each["partitions"] for each in described if not each["error_code"]}
        return {name: found[name] for name in self._topics if name in found}


async def _config(admin: AdminClient, kind: ConfigResourceType, name: str) -> dict[str, str]:
    """Return what is in force, wherever it was set."""
    [answer] = await admin.describe_configs([ConfigResource(kind, name)])
    [(code, message, _, _, entries)] = answer.resources
    if code != _OK:
        raise StructuralError(f"Kafka does not tell the configuration ({message}); {_LOOK_AFTER}")
    return {key: value for key, value, *_ in entries}


def _copies(number: int) -> str:
    return "1 copy" if number == 1 else f"{number} copies"


def _said(wrong: dict[str, list[str]]) -> str:
    """Say each problem once, with the topics that have it."""
    problems = sorted({problem for problems in wrong.values() for problem in problems})
    return "; ".join(
        f"{problem}, on {', '.join(name for name in wrong if problem in wrong[name])}"
        for problem in problems
    )
