"""The kernel of Slackwater: events, outbox, log, projections and freshness, free of any domain."""
