"""The controller that keeps EndpointSlices right: watches, work queues, writes, one leader.

What is to be written is decided in `kpx.endpointslices`.
"""

from kpx.controller.controller import Controller, Scope
from kpx.controller.run import ControllerSettings, run
from kpx.controller.work_queue import WorkQueue

__all__ = ["Controller", "ControllerSettings", "Scope", "WorkQueue", "run"]
