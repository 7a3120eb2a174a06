"""Apache Kafka as one KRaft node, from the artifacts that the project publishes for Java."""

from __future__ import annotations

import base64
import shutil
import socket
import struct
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path

from deploy.engines.digest import check_digest
from deploy.engines.downloads import Fetching
from deploy.engines.engine import Engine
from deploy.engines.errors import EngineError
from deploy.engines.java import find_java
from deploy.engines.maven import Maven
from deploy.engines.ports import LOOPBACK
from deploy.engines.programs import found_or_installed

VERSION = "4.4.0"
_ARTIFACTS = [
    f"org.apache.kafka:kafka_2.13:{VERSION}",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5",
]
_FETCHED_BYTES = 60_000_000  # jars of 43 MB, and what Maven itself needs
_JARS_SHA256 = "bda063de6f84a36e8fa0e31196934eba54905640b2dddd4e50f6a64c8fe4ffec"
_JAVA_MIN = 17
_HEAP = "512m"
_ASK_S = 2.0
_FORMAT_S = 60.0
_METADATA_OF_NO_TOPIC = struct.pack(">hhih5si", 3, 1, 1, 5, b"ready", 0)

_PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers={host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={data}
# one node: internal topics have one replica, and few partitions start faster
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
default.replication.factor=1
min.insync.replicas=1
# topics are made by Slackwater, with the partitions that it wants
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
log.cleaner.threads=1
log.cleaner.dedupe.buffer.size=8388608
"""
_LOGGING = """<Configuration status="WARN">
  <Appenders>
    <Console name="out"><PatternLayout pattern="[%d] %p %m (%c)%n"/></Console>
  </Appenders>
  <Loggers>
    <Root level="WARN"><AppenderRef ref="out"/></Root>
  </Loggers>
</Configuration>
"""


class Kafka(Engine):
    """Broker and controller in one process; the controller takes the port after the broker's."""

    name = "kafka"
    setting = "SLACKWATER_KAFKA_URL"
    service = "kafka"
    default_port = 19092
    tested_on = f"Apache Kafka {VERSION}"

    @property
    def url(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def ports(self) -> tuple[int, ...]:
        return (self.port, self.port + 1)

    def install(self) -> None:
        self._java()
        self._jars()

    def prepare(self) -> None:
        """Write the configuration anew; format the data unless that was once completed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._properties.write_text(
            _PROPERTIES.format(
                host=LOOPBACK, port=self.port, controller_port=self.port + 1, data=self._data
            )
        )
        (self.folder / "log4j2.xml").write_text(_LOGGING)
        if not (self._data / "meta.properties").exists():  # written last
            shutil.rmtree(self._data, ignore_errors=True)
            self._format()

    def command(self) -> Sequence[str | Path]:
        return self._run("kafka.Kafka", self._properties, heap=_HEAP)

    def is_ready(self) -> bool:
        """Ask for the cluster's metadata, and whether it names a broker."""
        with socket.create_connection((LOOPBACK, self.port), timeout=_ASK_S) as connection:
            connection.sendall(
                struct.pack(">i", len(_METADATA_OF_NO_TOPIC)) + _METADATA_OF_NO_TOPIC
            )
            answer = connection.recv(4096)
        return brokers_in(answer) > 0

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def _java(self) -> Path:
        return found_or_installed(
            lambda: find_java(_JAVA_MIN), f"Java {_JAVA_MIN} or newer", "openjdk-17-jre-headless"
        )

    def _jars(self) -> Path:
        return self.cache.once(f"kafka-{VERSION}", _fetch) / "jars"

    def _format(self) -> None:
        done = subprocess.run(  # noqa: S603 - our own commands only
            self._run(
                "kafka.tools.StorageTool", "format", "--standalone", "-t", _new_cluster_id(), "-c",
                self._properties, heap="128m",
            ),
            capture_output=True, text=True, timeout=_FORMAT_S, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise EngineError(f"cannot format Kafka's data; mend this, try again:\n{done.stderr}")

    def _run(self, *arguments: str | Path, heap: str) -> Sequence[str | Path]:
        return [
            self._java() / "bin" / "java", f"-Xmx{heap}", "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={self.folder / 'log4j2.xml'}",
            "-cp", f"{self._jars()}/*", *arguments,
        ]  # fmt: skip


def _fetch(fetching: Fetching) -> None:
    jars = Maven(fetching).fetch_jars(f"kafka-{VERSION}", _ARTIFACTS, total_bytes=_FETCHED_BYTES)
    check_digest(jars, _JARS_SHA256)


def _new_cluster_id() -> str:
    """Kafka's way to write a UUID; it may not begin with a dash."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A", 1)


def brokers_in(answer: bytes) -> int:
    """Return how many brokers a metadata answer names: size, correlation id, then their count."""
    return int.from_bytes(answer[8:12])
