"""The alembic environment of the orders service's database."""
