"""Publishing from PostgreSQL's write-ahead log: commits arrive by themselves, in their order."""
