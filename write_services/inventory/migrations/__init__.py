"""The alembic environment of the inventory service's database."""
