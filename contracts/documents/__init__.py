"""The documents of every read model, and the shapes in which services answer.

They are JSON objects; the classes here say what stands in them. Times are ISO 8601 in UTC.
"""
