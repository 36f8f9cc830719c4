"""The manifests of the demo: a Node, a Service, and its Pods."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from kpx.demo.cluster import NODE_ADDRESS, POD_CIDR, POD_PORT, Pod

__all__ = ["CLUSTER_IP", "EXTERNAL_IP", "NODE_NAME", "NODE_PORT", "SERVICE_PORT", "write"]

NODE_NAME: Final = "node"
CLUSTER_IP: Final = "10.96.0.10"
EXTERNAL_IP: Final = "198.51.100.10"
SERVICE_PORT: Final = 80
NODE_PORT: Final = 30080

_NODE: Final = f"""\
apiVersion: v1
kind: Node
metadata:
  name: {NODE_NAME}
spec:
  podCIDRs: [{POD_CIDR}]
status:
  addresses:
    - {{type: InternalIP, address: {NODE_ADDRESS}}}
"""

_SERVICE: Final = f"""\
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  type: NodePort
  clusterIP: {CLUSTER_IP}
  externalIPs: [{EXTERNAL_IP}]
  selector: {{app: web}}
  ports:
    - {{port: {SERVICE_PORT}, targetPort: {POD_PORT}, nodePort: {NODE_PORT}}}
"""

_POD: Final = """\
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  labels: {{app: web}}
spec:
  nodeName: {node}
status:
  phase: Running
  podIPs: [{{ip: {address}}}]
  conditions: [{{type: Ready, status: "True"}}]
"""


def write(directory: Path, pods: Iterable[Pod]) -> None:
    """Writes the manifests of the cluster as it is: one file for each kind."""
    (directory / "node.yaml").write_text(_NODE)
    (directory / "service.yaml").write_text(_SERVICE)
    documents = [_POD.format(name=pod.name, node=NODE_NAME, address=pod.address) for pod in pods]
    (directory / "pods.yaml").write_text("---\n".join(documents))
