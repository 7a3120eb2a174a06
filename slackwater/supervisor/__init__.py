"""Keeps all parts of an installation running, in one process or in one each."""
