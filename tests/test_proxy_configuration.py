from pathlib import Path

import pytest

from kpx.config import Backend, IpvsTimeouts, LocalMode
from kpx.errors import ConfigurationInvalid
from kpx.proxy_configuration import ProxyConfiguration

HEAD = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"

# What kubeadm writes, with every zero value spelled out.
KUBEADM = (
    HEAD
    + """\
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection:
  acceptContentTypes: ""
  burst: 0
  contentType: ""
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
  qps: 0
clusterCIDR: 10.244.0.0/16, fd00:10:244::/56
configSyncPeriod: 0s
conntrack:
  maxPerCore: null
  min: null
  tcpBeLiberal: false
  tcpEstablishedTimeout: null
detectLocal:
  bridgeInterface: ""
  interfaceNamePrefix: ""
detectLocalMode: ""
enableProfiling: false
hostnameOverride: " Node-1 "
iptables:
  localhostNodePorts: null
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 1s
ipvs:
  excludeCIDRs: null
  scheduler: ""
mode: nftables
nftables:
  masqueradeAll: true
  masqueradeBit: 14
nodePortAddresses: [10.0.0.0/8, "fd00::/64"]
oomScoreAdj: null
"""
)


def read(tmp_path: Path, text: str) -> ProxyConfiguration:
    path = tmp_path / "config.conf"
    path.write_text(text)
    return ProxyConfiguration.read(path)


def test_a_generated_file(tmp_path: Path) -> None:
    configuration = read(tmp_path, KUBEADM)
    assert configuration == ProxyConfiguration(
        kubeconfig="/var/lib/kube-proxy/kubeconfig.conf",
        cluster_cidrs=("10.244.0.0/16", "fd00:10:244::/56"),
        node_name="node-1",
        mode="nftables",
        masquerade_all=True,
        masquerade_bit=14,
        nodeport_addresses=("10.0.0.0/8", "fd00::/64"),
    )
    assert configuration.honoured == (
        "clientConnection.kubeconfig",
        "clusterCIDR",
        "conntrack.tcpBeLiberal",
        "hostnameOverride",
        "mode",
        "nftables.masqueradeAll",
        "nftables.masqueradeBit",
        "nodePortAddresses",
    )
    assert configuration.ignored == ("bindAddress", "iptables.minSyncPeriod")


def test_false_and_zero_count_where_they_are_honoured(tmp_path: Path) -> None:
    configuration = read(tmp_path, HEAD + "nftables: {masqueradeAll: false, masqueradeBit: 0}")
    assert configuration.masquerade_all is False
    assert configuration.masquerade_bit == 0
    assert configuration.honoured == ("nftables.masqueradeAll", "nftables.masqueradeBit")


@pytest.mark.parametrize(
    ("mode", "field"),
    [
        (LocalMode.BRIDGE_INTERFACE, "bridgeInterface"),
        (LocalMode.INTERFACE_NAME_PREFIX, "interfaceNamePrefix"),
    ],
)
def test_local_modes_with_an_interface(tmp_path: Path, mode: LocalMode, field: str) -> None:
    text = HEAD + f"detectLocalMode: {mode.value}\ndetectLocal: {{{field}: br0}}"
    configuration = read(tmp_path, text)
    assert (configuration.detect_local_mode, configuration.detect_local_interface) == (mode, "br0")


@pytest.mark.parametrize("mode", ["", "nftables"])
def test_modes_that_are_nftables(tmp_path: Path, mode: str) -> None:
    assert read(tmp_path, HEAD + f'mode: "{mode}"').backend() is Backend.NFTABLES


def test_what_ipvs_mode_goes_by(tmp_path: Path) -> None:
    text = """mode: ipvs
iptables: {masqueradeAll: true, masqueradeBit: 3}
nftables: {masqueradeAll: false, minSyncPeriod: 1s}
ipvs:
  excludeCIDRs: [10.0.0.0/8]
  minSyncPeriod: 2s
  scheduler: lc
  strictARP: true
  syncPeriod: 10s
  tcpFinTimeout: 0s
  tcpTimeout: 15m
  udpTimeout: 1500ms
"""
    configuration = read(tmp_path, HEAD + text)
    assert configuration == ProxyConfiguration(
        mode="ipvs",
        masquerade_all=True,
        masquerade_bit=3,
        min_sync_period=2.0,
        sync_period=10.0,
        ipvs_exclude_cidrs=("10.0.0.0/8",),
        ipvs_scheduler="lc",
        ipvs_strict_arp=True,
        ipvs_timeouts=IpvsTimeouts(tcp=900, tcp_fin=0, udp=2),
    )
    assert configuration.backend() is Backend.IPVS
    assert configuration.ignored == ("nftables.minSyncPeriod",)


@pytest.mark.parametrize("mode", ["iptables", "kernelspace"])
def test_other_modes_are_refused_with_a_hint(tmp_path: Path, mode: str) -> None:
    configuration = read(tmp_path, HEAD + f"mode: {mode}")
    with pytest.raises(ConfigurationInvalid, match=f"asks for mode `{mode}`") as failure:
        configuration.backend()
    assert failure.value.hint == "pass `--backend nftables` to program nftables all the same"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not one object but 0 documents"),
        (HEAD + "---\na: 1", "not one object but 2 documents"),
        ("kind: KubeProxyConfiguration", "not a `KubeProxyConfiguration` of"),
        (HEAD.replace("v1alpha1", "v1"), "not a `KubeProxyConfiguration` of"),
        (HEAD + "mode: 'x", "line 3, column 9: while scanning a quoted scalar"),
        (HEAD + "mode: 1", "mode: `1` is not of type str"),
        (HEAD + "nodePortAddresses: 10.0.0.0/8", "nodePortAddresses: `10.0.0.0/8` is not of type"),
        (HEAD + "nodePortAddresses: [1]", "nodePortAddresses: an item is not of type str"),
        (HEAD + "nftables: {masqueradeBit: true}", "nftables.masqueradeBit: `True` is not of type"),
        (HEAD + "ipvs: {excludeCIDRs: [10/8]}", "ipvs.excludeCIDRs: '10/8' does not appear"),
        (HEAD + "detectLocalMode: Guess", "detectLocalMode: `Guess` is none of `ClusterCIDR`"),
    ],
)
def test_errors_name_the_file_and_the_field(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationInvalid) as failure:
        read(tmp_path, text)
    assert failure.value.message.startswith(f"{tmp_path / 'config.conf'}: {message}")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationInvalid, match="No such file"):
        ProxyConfiguration.read(tmp_path / "none")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0.0), ("1s", 1.0), ("1m30s", 90.0), ("250ms", 0.25), ("1.5h", 5400.0), ("", None)],
)
def test_durations(tmp_path: Path, text: str, seconds: float | None) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"
        f'nftables: {{minSyncPeriod: "{text}"}}\nhealthzBindAddress: 127.0.0.1:1\n'
    )
    configuration = ProxyConfiguration.read(path)
    assert configuration.min_sync_period == seconds
    assert configuration.healthz_bind_address == "127.0.0.1:1"


@pytest.mark.parametrize("text", ["30", "s", "1s2", "-1s", "1 s"])
def test_what_is_no_duration(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"
        f'nftables: {{syncPeriod: "{text}"}}\n'
    )
    with pytest.raises(ConfigurationInvalid, match="no duration"):
        ProxyConfiguration.read(path)
