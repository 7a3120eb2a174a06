"""The services that own the data: each decides commands, and tells of its changes by events."""
