"""New UDP flows through one of many Services: `flows SERVICES FLOWS`.

Each datagram has a source port of its own, so that each is the first of a flow: it passes all the
rules. Every address is this host's, so nothing leaves the network namespace it runs in.
"""

import json
import os
import socket
import struct
import subprocess
import sys
import time

from kpx import Proxier

from . import cases
from .recording import fed
from .results import Measurement

ENDPOINTS, ROUNDS = 10, 9
VIP, VIP_PORT = "10.0.0.2", 53


def measure(services: int, flows: int) -> Measurement:
    """Returns how long a flow takes, a figure for each round."""
    command = [sys.executable, "-m", "bench.flows", str(services), str(flows)]
    completed = subprocess.run(
        ["unshare", "--net", *command], capture_output=True, text=True, timeout=600, check=True
    )
    return Measurement("core", "flow", services, 1, seconds=json.loads(completed.stdout))


def main() -> None:
    """Prints the seconds of one flow, a figure for each round."""
    services, flows = int(sys.argv[1]), int(sys.argv[2])
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    for command in ("ip link set lo up", "ip route add local 10.0.0.0/8 dev lo"):
        subprocess.run(command.split(), check=True)
    proxier = fed(services, 1, "plain")
    _add_probe(proxier)
    proxier.apply(proxier.plan())

    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("0.0.0.0", cases.TARGET_PORT))
    seconds = []
    for number in range(ROUNDS):
        # Another source each round: no flow of an earlier one comes back.
        sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
        sender.bind((f"10.200.0.{1 + number}", 0))
        datagrams = [
            struct.pack("!HHHH", 1024 + port, VIP_PORT, 9, 0) + b"x" for port in range(flows)
        ]
        started = time.perf_counter()
        for datagram in datagrams:
            sender.sendto(datagram, (VIP, 0))
        seconds.append((time.perf_counter() - started) / flows)
    assert _received(receiver) > 0, "no flow arrived"
    print(json.dumps(seconds))


def _add_probe(proxier: Proxier) -> None:
    service, endpoint_slice = cases.service_object(0), cases.slice_object(0, ENDPOINTS)
    for made in (service, endpoint_slice):
        made["metadata"]["name"] = "probe"
    endpoint_slice["metadata"]["labels"]["kubernetes.io/service-name"] = "probe"
    service["spec"].update(clusterIP=VIP, clusterIPs=[VIP])
    service["spec"]["ports"] = [{"name": "dns", "protocol": "UDP", "port": VIP_PORT}]
    endpoint_slice["ports"] = [{"name": "dns", "protocol": "UDP", "port": cases.TARGET_PORT}]
    for page in cases.pages([service], [endpoint_slice]):
        proxier.feed(page)


def _received(receiver: socket.socket) -> int:
    """Counts what fitted into the receiver's buffer: that the flows arrive at all."""
    receiver.setblocking(False)
    count = 0
    try:
        while receiver.recv(16):
            count += 1
    except BlockingIOError:
        return count
    return count


if __name__ == "__main__":
    main()
