"""GraphQL over the read models, with the proven staleness of every field."""
