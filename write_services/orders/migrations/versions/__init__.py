"""The migrations of the orders service's database, oldest first."""
