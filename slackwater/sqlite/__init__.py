"""SQLite done right: a safe version, a writer thread with group commit, reader threads."""
