"""The store's demo, as the command line finds it."""

from __future__ import annotations

from gateway.demo.seed import seed
from gateway.demo.traffic import traffic
from slackwater.gateway import DemoDefinition

demo = DemoDefinition(seed=seed, traffic=traffic)
