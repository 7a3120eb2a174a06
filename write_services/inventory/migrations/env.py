"""What alembic runs; the kernel knows how."""

from slackwater.service.migrations import run_env

run_env()
