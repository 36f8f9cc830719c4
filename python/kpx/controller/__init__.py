"""The controller that keeps EndpointSlices right: watches, a work queue, writes, one leader.

What is to be written is decided in `kpx.endpointslices`.
"""

from kpx.controller.controller import Controller
from kpx.controller.run import ControllerSettings, run
from kpx.controller.work_queue import WorkQueue

__all__ = ["Controller", "ControllerSettings", "WorkQueue", "run"]
