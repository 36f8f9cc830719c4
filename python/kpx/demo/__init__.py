"""A small cluster in network namespaces, to see Services work before there is a cluster.

Everything happens in namespaces of its own, which vanish with the last process in them: the
machine's own network is never touched.
"""

from kpx.demo.isolation import run

__all__ = ["run"]
