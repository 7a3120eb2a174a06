"""Projections, one a file: how events become the documents that the gateway serves."""
