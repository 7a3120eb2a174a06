"""Commands that read an installation: there must be one."""

from __future__ import annotations

from slackwater.adapters import has_database
from slackwater.errors import ConfigurationError
from slackwater.settings import Settings


class NoInstallationError(ConfigurationError):
    """The folder holds no installation; name another with --data-dir."""


def require_installation(settings: Settings) -> None:
    if settings.postgresql_url is None and not (settings.data_dir / "services").is_dir():
        raise NoInstallationError(
            f"{settings.data_dir} holds no installation; name its folder with --data-dir"
        )


def require_database(settings: Settings, service: str) -> None:
    """Check that a service has been here, so that a look does not make an empty database."""
    if not has_database(settings, service):
        raise NoInstallationError(
            f"{settings.data_dir} holds no database of {service}; name its folder with --data-dir"
        )
