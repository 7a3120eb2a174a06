"""GraphQL over HTTP and WebSocket, and the page for browsers."""
