"""The published language: what services say to each other and to read models."""
