"""The settings of one process: typed, validated, from `SLACKWATER_…` variables or the command line.

An unknown variable with our prefix is refused: a misspelt setting that is silently ignored costs a
night some day.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from slackwater.errors import ConfigurationError
from slackwater.new_file import drafted
from slackwater.outbox.publishing import Publishing

_PREFIX = "SLACKWATER_"
_SECRET_BYTES = 32
_ID_BYTES = 8
_NOT_OURS = {"SLACKWATER_ENGINES_DIR"}  # where `make engines` keeps its data


class Settings(BaseSettings):
    """One object a process; every field can be set as `SLACKWATER_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address that every server binds to.")
    port: int = Field(
        8000, ge=1, le=65_000, description="Port of the gateway; other parts take those after it."
    )
    data_dir: Path = Field(Path(".slackwater"), description="Folder of the embedded storage.")
    demo: bool = Field(True, description="Fill an empty installation with demo data.")
    namespace: str = Field(
        "slackwater",
        pattern="^[a-z][a-z0-9_]{0,39}$",
        description="Begins every name on shared engines: schemas, topics, databases, indexes.",
    )
    postgresql_url: str | None = Field(
        None, description="PostgreSQL for the write services, a schema each; else SQLite files."
    )
    kafka_url: str | None = Field(
        None, description="Kafka's bootstrap servers, for the event log; else SQLite files."
    )
    kafka_replication_factor: int = Field(
        1, ge=1, description="Copies of each topic; 3 in production."
    )
    kafka_min_insync_replicas: int = Field(
        1, ge=1, description="Copies that must hold a record before it counts; 2 in production."
    )
    kafka_group_instance_id: str | None = Field(
        None,
        pattern="^[A-Za-z0-9._-]{1,100}$",
        description="Names this process in its groups on Kafka, so that a quick restart moves no "
        "partitions; at no time may two processes of a part have the same.",
    )
    mongodb_url: str | None = Field(
        None, description="MongoDB for documents and progress; else an SQLite file."
    )
    elasticsearch_url: str | None = Field(
        None, description="Elasticsearch for search; else an SQLite file."
    )
    elasticsearch_api_key: str | None = Field(
        None, description="Key for Elasticsearch, where the address holds no name and password."
    )
    elasticsearch_ca_certs: str | None = Field(
        None, description="File with the authority that Elasticsearch's certificate comes from."
    )
    search_refresh_interval_ms: int = Field(
        200, ge=10, description="Elasticsearch makes new documents visible at most this often."
    )
    publishing: dict[str, Publishing] = Field(
        {}, description="How services publish events, as JSON; else each by its OUTBOX."
    )
    retained_log_alarm_mb: int = Field(
        1_024,
        ge=1,
        description="A replication slot that keeps more write-ahead log is an error in the log.",
    )
    outbox_retention_s: int | None = Field(
        None, ge=60, description="Published events older than this leave outboxes; else none does."
    )
    idempotency_retention_s: int = Field(
        604_800, ge=3_600, description="Commands repeated later than this are done again."
    )
    service_urls: dict[str, str] = Field(
        {}, description="Where the write services are, as JSON; else on this host."
    )
    heartbeat_ms: int = Field(
        100, ge=10, le=10_000, description="Interval of probes; each makes an idle relay tick."
    )
    lagging_after_ms: int = Field(
        1_000, ge=100, description="Bound above which a read model counts as LAGGING."
    )
    token_secret: str | None = Field(
        None, min_length=16, description="Signs consistency tokens; shared by all gateways."
    )
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    log_json: bool = Field(False, description="Log one JSON object a line.")


def load_settings(overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read settings from the environment; `overrides` that are not None win.

    Raises:
        ConfigurationError: a variable is unknown or a value is invalid.
    """
    _refuse_unknown_variables()
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        problems = "; ".join(
            f"{_PREFIX}{'_'.join(map(str, problem['loc'])).upper()}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ConfigurationError(f"settings are invalid: {problems}") from None


class UnusableDataDirError(ConfigurationError):
    """The folder of the embedded storage cannot be used; choose another with --data-dir."""


def make_data_dir(settings: Settings) -> Path:
    """Return the folder of the embedded storage, made if it is missing.

    Raises:
        UnusableDataDirError: it cannot be made, or is a file.
    """
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnusableDataDirError(
            f"cannot use {settings.data_dir} for data ({error.strerror}); "
            "choose another folder with --data-dir"
        ) from error
    return settings.data_dir


def token_secret(settings: Settings) -> bytes:
    """Return the secret that signs tokens; on one machine it is made once and kept in a file."""
    if settings.token_secret is not None:
        return settings.token_secret.encode()
    return _kept(settings.data_dir / "token.secret", secrets.token_bytes(_SECRET_BYTES))


def with_group_instance_id(settings: Settings) -> Settings:
    """Return the settings with a name in groups; the same at each start from the same folder.

    Call it where nobody else can start from that folder meanwhile.
    """
    if settings.kafka_group_instance_id is not None or settings.kafka_url is None:
        return settings
    name = _kept(settings.data_dir / "group-instance.id", secrets.token_hex(_ID_BYTES).encode())
    return settings.model_copy(update={"kafka_group_instance_id": name.decode()})


def _kept(path: Path, made: bytes) -> bytes:
    """Return what a file of the owner alone says; it is made with this unless it exists."""
    if not path.exists():
        with drafted(path) as draft, open(draft, "wb", opener=_owners_alone) as file:
            file.write(made)
            file.flush()
            os.fsync(file.fileno())
    return path.read_bytes()


def _owners_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _refuse_unknown_variables() -> None:
    known = {f"{_PREFIX}{name}".upper() for name in Settings.model_fields} | _NOT_OURS
    unknown = sorted(
        name
        for name in os.environ
        if name.upper().startswith(_PREFIX) and name.upper() not in known
    )
    if unknown:
        raise ConfigurationError(
            f"unknown settings: {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )
