"""The GraphQL schema, one file a noun."""
