"""New UDP flows through one of many Services: `new_flows SERVICES FLOWS ROUNDS`.

Each datagram has a source port of its own, so that each is the first of a flow: it passes all the
rules. Every address is this host's, so nothing leaves the network namespace it runs in.
"""

import json
import socket
import struct
import subprocess
import sys
import time

from kpx._core import Proxier

from . import cases

ENDPOINTS = 10
VIP, VIP_PORT = "10.0.0.2", 53
PAGE = 1_000


def main() -> None:
    """Prints `{"microseconds": [...]}`: the time of one flow, a figure for each round."""
    services, flows, rounds = (int(argument) for argument in sys.argv[1:4])
    for command in ("ip link set lo up", "ip route add local 10.0.0.0/8 dev lo"):
        subprocess.run(command.split(), check=True)
    proxier = Proxier(json.dumps(cases.core_config()))
    for start in range(0, services, PAGE):
        for page in cases.lists(range(start, min(start + PAGE, services)), 1):
            proxier.feed(page)
    for page in _probe_lists():
        proxier.feed(page)
    proxier.apply(proxier.plan())

    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("0.0.0.0", cases.TARGET_PORT))
    microseconds = []
    for number in range(rounds):
        # Another source each round: no flow of an earlier one comes back.
        sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
        sender.bind((f"10.200.0.{1 + number}", 0))
        datagrams = [
            struct.pack("!HHHH", 1024 + port, VIP_PORT, 9, 0) + b"x" for port in range(flows)
        ]
        started = time.perf_counter()
        for datagram in datagrams:
            sender.sendto(datagram, (VIP, 0))
        microseconds.append((time.perf_counter() - started) * 1e6 / flows)
    print(json.dumps({"microseconds": microseconds, "answers": _received(receiver)}))


def _probe_lists() -> tuple[bytes, bytes]:
    service, endpoint_slice = cases.service_object(0), cases.slice_object(0, ENDPOINTS)
    for made in (service, endpoint_slice):
        made["metadata"]["name"] = "probe"
    endpoint_slice["metadata"]["labels"]["kubernetes.io/service-name"] = "probe"
    service["spec"].update(clusterIP=VIP, clusterIPs=[VIP])
    service["spec"]["ports"] = [{"name": "dns", "protocol": "UDP", "port": VIP_PORT}]
    port = {"name": "dns", "protocol": "UDP", "port": cases.TARGET_PORT}
    endpoint_slice["ports"] = [port]
    return cases.pages([service], [endpoint_slice])


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
