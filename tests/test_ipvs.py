from pathlib import Path

import pytest

from kpx import ipvs
from kpx.config import Backend, IpvsTimeouts, Settings
from kpx.errors import CommitFailed, ObserveFailed

NODE = Settings("a", backend=Backend.IPVS, ipvs_strict_arp=True)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What is asked of the kernel."""
    calls: list[object] = []

    def probe() -> int:
        calls.append("probe")
        return 0

    monkeypatch.setattr(ipvs, "probe_ipvs", probe)
    monkeypatch.setattr(ipvs, "set_ipvs_timeouts", lambda *timeouts: calls.append(timeouts))
    return calls


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The sysctls of a node on which nothing is set yet."""
    for name in ipvs.sysctls(NODE):
        path = tmp_path.joinpath(*name.split("."))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("0\n")
    return tmp_path


def values(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)).replace("/", "."): path.read_text().strip()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_nftables_needs_none_of_it(called: list[object], directory: Path) -> None:
    ipvs.prepare(Settings("a"), directory=directory)
    assert called == []
    assert set(values(directory).values()) == {"0"}


def test_what_is_not_right_is_set(called: list[object], directory: Path) -> None:
    ipvs.prepare(NODE, directory=directory)
    assert called == ["probe"]
    assert values(directory) == {
        "net.ipv4.vs.conntrack": "1",
        "net.ipv4.vs.expire_nodest_conn": "1",
        "net.ipv4.vs.expire_quiescent_template": "1",
        "net.ipv4.conf.all.arp_ignore": "1",
        "net.ipv4.conf.all.arp_announce": "2",
    }
    written = [path.stat().st_mtime_ns for path in directory.rglob("*")]
    ipvs.prepare(NODE, directory=directory)
    assert [path.stat().st_mtime_ns for path in directory.rglob("*")] == written


def test_arp_is_left_alone_unless_it_is_to_be_strict(called: list[object], directory: Path) -> None:
    ipvs.prepare(Settings("a", backend=Backend.IPVS), directory=directory)
    assert called
    assert values(directory)["net.ipv4.conf.all.arp_ignore"] == "0"


def test_timeouts_are_set_if_there_are_any(called: list[object], directory: Path) -> None:
    settings = Settings("a", backend=Backend.IPVS, ipvs_timeouts=IpvsTimeouts(tcp=600, udp=5))
    ipvs.prepare(settings, directory=directory)
    assert called == ["probe", (600, 0, 5)]


def test_a_sysctl_that_cannot_be_set_is_named(called: list[object], tmp_path: Path) -> None:
    with pytest.raises(CommitFailed, match="cannot set `net") as failure:
        ipvs.prepare(NODE, directory=tmp_path)
    assert called
    assert failure.value.hint is not None
    assert "sysctl -w net.ipv4.vs.conntrack=1" in failure.value.hint


def test_a_kernel_without_ipvs_changes_nothing(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def probe() -> int:
        raise ObserveFailed("the kernel has no IPVS", "load it")

    monkeypatch.setattr(ipvs, "probe_ipvs", probe)
    with pytest.raises(ObserveFailed):
        ipvs.prepare(NODE, directory=directory)
    assert set(values(directory).values()) == {"0"}
