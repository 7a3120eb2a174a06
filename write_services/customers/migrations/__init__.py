"""The alembic environment of the customers service's database."""
