"""The migrations of the customers service's database, oldest first."""
