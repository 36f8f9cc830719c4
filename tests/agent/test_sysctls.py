"""The settings of connection tracking, on files, and on the kernel of a network namespace."""

import logging
from pathlib import Path

import pytest

from cli.test_run import agent, eventually, has, write
from kpx.agent import sysctls
from kpx.config import ConntrackSettings
from nodes import Node

NOTHING = ConntrackSettings(0, 0, 0.0, 0.0, False, 0.0, 0.0)


@pytest.mark.parametrize(
    ("settings", "cores", "expected"),
    [
        (ConntrackSettings(), 2, 131072),
        (ConntrackSettings(), 8, 262144),
        (ConntrackSettings(), 100, 1 << 20),
        (ConntrackSettings(max_per_core=0), 8, 0),
        (ConntrackSettings(max_per_core=1000, min=0), 3, 3000),
    ],
)
def test_the_size_of_the_table(settings: ConntrackSettings, cores: int, expected: int) -> None:
    assert sysctls.most_flows(settings, cores) == expected


def test_the_defaults_are_upstreams() -> None:
    assert sysctls.sysctls(ConntrackSettings(), 1) == {
        "nf_conntrack_max": 131072,
        "nf_conntrack_tcp_timeout_established": 86400,
        "nf_conntrack_tcp_timeout_close_wait": 3600,
    }
    assert sysctls.sysctls(NOTHING, 1) == {}


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """A directory with the files of the kernel."""
    for name in sysctls.sysctls(ConntrackSettings(tcp_be_liberal=True), 1):
        (tmp_path / name).write_text("1\n")
    (tmp_path / "hashsize").write_text("1024\n")
    return tmp_path


def apply(settings: ConntrackSettings, kernel: Path) -> int:
    hash_size = kernel / "hashsize"
    return sysctls.apply(settings, directory=kernel, hash_size=hash_size, cores=1)


def test_what_differs_is_written(kernel: Path) -> None:
    assert apply(ConntrackSettings(), kernel) == 0
    assert (kernel / "nf_conntrack_max").read_text() == "131072"
    assert (kernel / "hashsize").read_text() == "32768"
    assert (kernel / "nf_conntrack_tcp_be_liberal").read_text() == "1\n"


def test_what_is_right_is_not_written(kernel: Path) -> None:
    (kernel / "nf_conntrack_max").write_text("131072\n")
    (kernel / "hashsize").write_text("65536\n")
    assert apply(ConntrackSettings(), kernel) == 0
    assert (kernel / "nf_conntrack_max").read_text() == "131072\n"
    assert (kernel / "hashsize").read_text() == "65536\n"


def test_what_cannot_be_set_is_a_warning_and_the_rest_is_set(
    kernel: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (kernel / "nf_conntrack_max").unlink()
    with caplog.at_level(logging.WARNING):
        assert apply(ConntrackSettings(), kernel) == 1
    (record,) = caplog.records
    assert record.getMessage() == (
        "cannot set `net.netfilter.nf_conntrack_max` to 131072: No such file or directory"
        " (connection tracking is not loaded: `modprobe nf_conntrack`)"
    )
    assert (kernel / "nf_conntrack_tcp_timeout_close_wait").read_text() == "3600"


@pytest.mark.netns
def test_the_agent_sets_them_in_the_kernel(node: Node) -> None:
    name = "net.netfilter.nf_conntrack_"
    write(node, "10.0.0.1")
    (node.directory / "proxy.yaml").write_text(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"
        "conntrack: {maxPerCore: 0, min: null, tcpBeLiberal: true, udpTimeout: 11s,"
        " tcpCloseWaitTimeout: 2m}\n"
    )
    node.run("sysctl", "-q", "-w", f"{name}udp_timeout_stream=77", f"{name}tcp_be_liberal=0")
    flags = ("--config=proxy.yaml", "--conntrack-tcp-timeout-close-wait=1m30s")
    with agent(node, *flags) as process:
        eventually(has(node, "10.0.0.1"), "the manifest is programmed")
        wanted = {
            "tcp_timeout_established": "86400",
            "tcp_timeout_close_wait": "90",
            "tcp_be_liberal": "1",
            "udp_timeout": "11",
            "udp_timeout_stream": "77",
        }
        eventually(
            lambda: (
                {one: node.run("sysctl", "-n", f"{name}{one}").stdout.strip() for one in wanted}
                == wanted
            ),
            "the settings are made",
        )
        process.terminate()
        assert process.stderr is not None
        log = process.stderr.read()
    assert f"set `{name}tcp_timeout_close_wait` to 90, which was " in log
    assert "warning" not in log


@pytest.mark.netns
def test_what_the_kernel_refuses_does_not_keep_the_agent_from_its_work(node: Node) -> None:
    write(node, "10.0.0.1")
    # The size of the table is the host's: nobody may set it from another network namespace.
    with agent(node, "--conntrack-min=123456", "--conntrack-max-per-core=1") as process:
        eventually(has(node, "10.0.0.1"), "the manifest is programmed")
        process.terminate()
        assert process.stderr is not None
        log = process.stderr.read()
    assert "cannot set `net.netfilter.nf_conntrack_max` to 123456: " in log
    assert "set it on the node with `sysctl`" in log
