"""The node agent, `kpx run`: keeps the kernel as what it reads asks for, until it is stopped."""

from kpx.agent.cadence import Cadence
from kpx.agent.health import Health
from kpx.agent.metrics import Metrics
from kpx.agent.pipeline import Core, Pipeline
from kpx.agent.run import AgentSettings, run

__all__ = ["AgentSettings", "Cadence", "Core", "Health", "Metrics", "Pipeline", "run"]
