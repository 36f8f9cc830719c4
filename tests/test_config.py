import json
import socket

import pytest

from kpx.config import Backend, LocalMode, Settings, default_node_name
from kpx.errors import ConfigurationInvalid


def test_only_what_is_set_is_passed_on() -> None:
    assert json.loads(Settings("n").to_core()) == {"node_name": "n", "backend": "nftables"}


def test_everything_that_is_set_is_passed_on() -> None:
    settings = Settings(
        node_name="n",
        cluster_cidrs=("10.0.0.0/8", "fd00::/64"),
        detect_local_mode=LocalMode.BRIDGE_INTERFACE,
        detect_local_interface="br0",
        nodeport_addresses=("primary",),
        masquerade_all=False,
        masquerade_bit=0,
        backend=Backend.IPVS,
        ipvs_scheduler="lc",
    )
    assert json.loads(settings.to_core()) == {
        "node_name": "n",
        "cluster_cidrs": ["10.0.0.0/8", "fd00::/64"],
        "detect_local_mode": "BridgeInterface",
        "detect_local_interface": "br0",
        "nodeport_addresses": ["primary"],
        "masquerade_all": False,
        "masquerade_bit": 0,
        "backend": "ipvs",
        "ipvs_scheduler": "lc",
    }


def test_a_node_needs_a_name() -> None:
    with pytest.raises(ConfigurationInvalid, match="the node has no name"):
        Settings("")


def test_the_name_of_the_node_is_that_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NODE_NAME", raising=False)
    monkeypatch.setattr(socket, "gethostname", lambda: " Host-1 ")
    assert default_node_name() == "host-1"
    monkeypatch.setenv("NODE_NAME", "node-1")
    assert default_node_name() == "node-1"
