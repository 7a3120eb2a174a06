"""How stale a read can be at most: ticks, probes and progress joined into proven bounds."""
