"""What every write service is made of: commands and queries over HTTP, saga steps, background."""
