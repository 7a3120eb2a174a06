"""What an event log refuses, each with its remedy."""

from __future__ import annotations

from slackwater.errors import SlackwaterError, StructuralError
from slackwater.event_log.port import TopicPartition


class UnknownTopicError(StructuralError):
    """The topic does not exist; create it with `create_topics` first."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        super().__init__(f"topic {topic} does not exist; create it with create_topics first")


class PartitionCountError(StructuralError):
    """A topic's partitions never change; use a new topic name and rebuild."""

    def __init__(self, topic: str, existing: int, wanted: int) -> None:
        self.topic = topic
        self.existing = existing
        self.wanted = wanted
        super().__init__(
            f"topic {topic} has {existing} partitions and not {wanted}, and their number never "
            "changes; keep it, or use a new topic and rebuild what reads it"
        )


class LostRetentionError(StructuralError):
    """Records were trimmed before they were read; rebuild from a snapshot of the source."""

    def __init__(self, at: TopicPartition, position: int, oldest: int) -> None:
        self.topic_partition = at
        self.position = position
        self.oldest = oldest
        super().__init__(
            f"{at.topic}[{at.partition}] keeps nothing before offset {oldest}, and {position} is "
            "wanted; rebuild from a snapshot of the source, and raise the topic's retention"
        )


class PositionBeyondEndError(StructuralError):
    """The log ends before the position, so it was deleted or restored; rebuild what reads it."""

    def __init__(self, at: TopicPartition, position: int, end: int) -> None:
        self.topic_partition = at
        self.position = position
        self.end = end
        super().__init__(
            f"{at.topic}[{at.partition}] ends at offset {end}, and {position} is wanted: the log "
            "was deleted or restored; rebuild what reads it"
        )


class ClosedSubscriptionError(SlackwaterError):
    """The subscription is closed; subscribe again."""
