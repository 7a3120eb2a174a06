"""The Kafka client: what is used of it, where the brokers are, and its errors in our words.

The client retries by itself whatever passes by itself; what comes out here was in vain until a
deadline (transient) or will never do (structural).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer as Consumer  # type: ignore[import-untyped]
from aiokafka import AIOKafkaProducer as Producer
from aiokafka import ConsumerRebalanceListener as RebalanceListener
from aiokafka import TopicPartition as KafkaPartition
from aiokafka import errors as kafka_errors
from aiokafka.admin import (  # type: ignore[import-untyped]
    AIOKafkaAdminClient as AdminClient,
)
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import (  # type: ignore[import-untyped]
    ConfigResource,
    ConfigResourceType,
)
from aiokafka.coordinator.assignors.range import (  # type: ignore[import-untyped]
    RangePartitionAssignor,
)

from slackwater.cancellation import undisturbed
from slackwater.errors import SlackwaterError, StructuralError, TransientError
from slackwater.logs import logger

__all__ = [
    "AdminClient",
    "CommitFailedError",
    "ConfigResource",
    "ConfigResourceType",
    "Consumer",
    "KafkaCluster",
    "KafkaConnectionError",
    "KafkaError",
    "KafkaPartition",
    "NewTopic",
    "OffsetOutOfRangeError",
    "Producer",
    "RangePartitionAssignor",
    "RebalanceListener",
    "end_consumer",
    "in_our_words",
    "knows_coordinator",
    "our_error",
    "require_unbroken",
    "start_consumer",
]

CommitFailedError = kafka_errors.CommitFailedError
KafkaConnectionError = kafka_errors.KafkaConnectionError
KafkaError = kafka_errors.KafkaError
OffsetOutOfRangeError = kafka_errors.OffsetOutOfRangeError

_STOP_TIMEOUT_S = 10.0
_log = logger("event log")

_STRUCTURAL = (
    kafka_errors.AuthenticationFailedError,
    kafka_errors.AuthenticationMethodNotSupported,
    kafka_errors.ClusterAuthorizationFailedError,
    kafka_errors.GroupAuthorizationFailedError,
    kafka_errors.IncompatibleBrokerVersion,
    kafka_errors.InconsistentGroupProtocolError,
    kafka_errors.InvalidConfigurationError,
    kafka_errors.InvalidGroupIdError,
    kafka_errors.InvalidReplicationFactorError,
    kafka_errors.InvalidSessionTimeoutError,
    kafka_errors.InvalidTopicError,
    kafka_errors.MessageSizeTooLargeError,
    kafka_errors.PolicyViolationError,
    kafka_errors.RecordListTooLargeError,
    kafka_errors.SaslAuthenticationFailed,
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.UnsupportedVersionError,
)


class KafkaCluster(msgspec.Struct, frozen=True, kw_only=True):
    """Where the brokers are and how they are talked to."""

    bootstrap_servers: str
    security_protocol: str = "PLAINTEXT"
    ssl_context: ssl.SSLContext | None = None
    sasl_mechanism: str = "PLAIN"
    sasl_username: str | None = None
    sasl_password: str | None = None
    request_timeout_ms: int = 5_000

    def options(self) -> dict[str, Any]:
        """Return what every client of the cluster is made with."""
        return {
            "bootstrap_servers": self.bootstrap_servers,
            "client_id": "slackwater",
            "security_protocol": self.security_protocol,
            "ssl_context": self.ssl_context,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.sasl_username,
            "sasl_plain_password": self.sasl_password,
            "request_timeout_ms": self.request_timeout_ms,
        }


@contextmanager
def in_our_words(doing: str) -> Iterator[None]:
    """Raise the client's errors as ours; `doing` says what was tried."""
    try:
        yield
    except (KafkaError, TimeoutError, OSError) as error:
        raise our_error(doing, error) from error


def require_unbroken(consumer: Consumer) -> None:
    """Raise what has stopped a consumer from taking part in its group, or from finding brokers.

    The client stops in silence until somebody asks. It has no public call that does only that.
    """
    consumer._coordinator.check_errors()  # noqa: SLF001
    looking_for_brokers = consumer._client._sync_task  # noqa: SLF001
    if looking_for_brokers is not None and looking_for_brokers.done():
        raise KafkaError("the client has ceased to look for brokers")


def knows_coordinator(consumer: Consumer) -> bool:
    """Tell whether a consumer has a broker that it takes for its group's.

    The client has no public call that says so.
    """
    return consumer._coordinator.coordinator_id is not None  # noqa: SLF001


async def start_consumer(consumer: Consumer) -> None:
    """Start a consumer; whatever keeps it from that, nothing of it is left."""
    try:
        await consumer.start()
        await asyncio.sleep(0)  # its tasks must have begun before they can be stopped
    except BaseException:
        await undisturbed(end_consumer(consumer))
        raise


async def end_consumer(consumer: Consumer) -> None:
    """Stop a consumer, or what is left of one that has failed, within a deadline."""
    try:
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            await consumer.stop()
    except Exception as error:  # whatever has made it fail may also keep it from ending
        _log.warning("consumer ends uncleanly", reason=str(error) or type(error).__name__)
        await _abandon(consumer)


async def _abandon(consumer: Consumer) -> None:
    """End the tasks that stopping has not come to, then the connections.

    Here, too, the client has no public call, and does nothing more once it was told to stop.
    """
    client, coordinator = consumer._client, consumer._coordinator  # noqa: SLF001
    if client._sync_task is not None and client._sync_task.done():  # noqa: SLF001
        client._sync_task = None  # noqa: SLF001 - its error would keep the rest from being closed
    ends = []
    if consumer._fetcher is not None:  # noqa: SLF001 - it had begun to fetch
        ends.append(consumer._fetcher.close())  # noqa: SLF001
    if hasattr(coordinator, "_stop_heartbeat_task"):  # a member of a group
        ends.append(coordinator._stop_heartbeat_task())  # noqa: SLF001
    await asyncio.gather(*ends, return_exceptions=True)
    await client.close()


def our_error(doing: str, error: Exception) -> SlackwaterError:
    """Say in our words why `doing` failed."""
    reason = str(error) or type(error).__name__
    if isinstance(error, _STRUCTURAL):
        return StructuralError(
            f"{doing} is refused by Kafka ({reason}); mend the topic's or the cluster's settings "
            "or the rights of this client, and restart"
        )
    return TransientError(
        f"{doing} did not succeed in time ({reason}); try again, and see to the brokers if it lasts"
    )
