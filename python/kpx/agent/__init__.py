"""The node agent, `kpx run`: keeps the kernel as what it reads asks for, until it is stopped."""

from kpx.agent.cadence import Cadence
from kpx.agent.health import Health
from kpx.agent.metrics import Metrics
from kpx.agent.pipeline import Core, Pipeline
from kpx.agent.reload import Configuration
from kpx.agent.run import run
from kpx.agent.settings import AgentSettings

__all__ = [
    "AgentSettings",
    "Cadence",
    "Configuration",
    "Core",
    "Health",
    "Metrics",
    "Pipeline",
    "run",
]
