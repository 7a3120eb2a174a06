"""The doctor: examines what an installation's settings choose, and says what to do about it."""
