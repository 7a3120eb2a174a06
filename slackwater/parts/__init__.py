"""The parts of an installation, each a coroutine that runs until cancelled."""
