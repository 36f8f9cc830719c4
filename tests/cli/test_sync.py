"""`kpx sync`, `kpx plan` and `kpx cleanup` on a real kernel."""

import json
import subprocess
import sys
from typing import Any

import pytest

from nodes import Node
from objects import endpoint_slice, pod, service
from objects import node as node_object

pytestmark = pytest.mark.netns

KPX = f"{sys.executable} -m kpx"
WEB = (service(), endpoint_slice("web", "10.0.0.1", "10.0.0.2"))


def tables(node: Node) -> list[str]:
    listed = node.run("nft", "list", "tables")
    assert listed.returncode == 0, listed.stderr
    return [line.removeprefix("table ") for line in listed.stdout.splitlines()]


def report(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert result.returncode in (0, 3), result.stderr
    parsed: dict[str, Any] = json.loads(result.stdout)
    return parsed


class TestSync:
    def test_text(self, node: Node) -> None:
        result = node.kpx("sync", "-f", node.write("web.json", *WEB))
        assert (result.returncode, result.stderr) == (0, "")
        *diff, closing = result.stdout.splitlines()
        assert any(line.lstrip().startswith("+") and "10.96.0.10" in line for line in diff)
        assert closing.startswith("synced 1 service with 2 endpoints: ")
        assert "\x1b" not in result.stdout

    def test_json(self, node: Node) -> None:
        path = node.write("web.json", *WEB, pod("a", "10.0.0.9"))
        done = report(node.kpx("sync", "-f", path, "-o", "json"))
        assert (done["services"], done["endpoints"]) == (1, 2)
        assert done["operations"]["added"] > 0
        assert done["operations"]["changed"] == done["operations"]["removed"] == 0
        assert set(done["seconds"]) == {"decode", "plan", "commit"}
        assert all(seconds > 0 for seconds in done["seconds"].values())
        assert done["rejected"] == []
        assert done["ignored"] == {"Pod": 1}

    @pytest.mark.parametrize(
        ("mode", "flag", "interface", "matched"),
        [
            ("BridgeInterface", "--pod-bridge-interface", "br0", '"br0"'),
            ("InterfaceNamePrefix", "--pod-interface-name-prefix", "veth", '"veth*"'),
        ],
    )
    def test_local_pods_by_their_interface(
        self, node: Node, mode: str, flag: str, interface: str, matched: str
    ) -> None:
        flags = ("--detect-local-mode", mode, flag, interface)
        result = node.kpx("sync", "-f", node.write("web.json", *WEB), *flags)
        assert (result.returncode, result.stderr) == (0, "")
        assert f"iifname != {matched}" in node.run("nft", "list", "ruleset").stdout

    def test_the_flag_of_another_mode_names_no_interface(self, node: Node) -> None:
        flags = ("--detect-local-mode", "BridgeInterface", "--pod-interface-name-prefix", "veth")
        result = node.kpx("sync", "-f", node.write("web.json", *WEB), *flags)
        assert result.returncode == 1
        assert "`BridgeInterface`" in result.stderr
        assert tables(node) == []

    def test_nft(self, node: Node) -> None:
        path = node.write("web.json", *WEB)
        result = node.kpx("sync", "-f", path, "-o", "nft")
        assert result.returncode == 0, result.stderr
        programmed = node.run("nft", "list", "ruleset").stdout
        node.kpx("cleanup")
        assert tables(node) == []
        loaded = node.run("nft", "-f", "-", stdin=result.stdout)
        assert (loaded.returncode, loaded.stderr) == (0, "")
        assert node.run("nft", "list", "ruleset").stdout == programmed

    def test_a_second_sync_has_nothing_to_change(self, node: Node) -> None:
        path = node.write("web.json", *WEB)
        node.kpx("sync", "-f", path)
        again = node.kpx("sync", "-f", path)
        assert (again.returncode, again.stderr) == (0, "")
        assert again.stdout.startswith("synced 1 service with 2 endpoints: nothing to change (")
        done = report(node.kpx("sync", "-f", path, "-o", "json"))
        assert done["operations"] == {"added": 0, "changed": 0, "removed": 0}

    def test_what_is_gone_from_the_manifests_is_removed(self, node: Node) -> None:
        node.kpx("sync", "-f", node.write("web.json", *WEB))
        done = report(node.kpx("sync", "-f", node.write("none.json"), "-o", "json"))
        assert (done["services"], done["endpoints"]) == (0, 0)
        assert done["operations"]["removed"] > 0

    def test_standard_input_and_several_files(self, node: Node) -> None:
        result = node.kpx(
            *("sync", "-f", node.write("service.json", WEB[0]), "-f", "-", "-o", "json"),
            stdin=json.dumps(WEB[1]),
        )
        assert report(result)["endpoints"] == 2

    def test_yaml(self, node: Node) -> None:
        (node.directory / "manifests").mkdir()
        (node.directory / "manifests" / "web.yaml").write_text(
            "apiVersion: v1\n"
            "kind: Service\n"
            "metadata: {name: web, creationTimestamp: 2026-01-01T00:00:00Z}\n"
            "spec: {clusterIP: 10.96.0.10, ports: [{port: 80}]}\n"
            "---\n" + json.dumps(WEB[1])
        )
        done = report(node.kpx("sync", "-f", "manifests", "-o", "json"))
        assert (done["services"], done["endpoints"], done["rejected"]) == (1, 2, [])


class TestPods:
    """Services that come with Pods instead of EndpointSlices."""

    def test_slices_are_computed(self, node: Node) -> None:
        pods = [pod("a", "10.0.0.1"), pod("b", "10.0.0.2"), pod("c", "10.0.0.3", ready=False)]
        path = node.write("web.json", service(), *pods)
        done = report(node.kpx("sync", "-f", path, "-o", "json"))
        assert (done["services"], done["endpoints"], done["ignored"]) == (1, 2, {})

    def test_pods_of_a_typed_list_count_too(self, node: Node) -> None:
        bare = pod("a", "10.0.0.1")
        del bare["kind"], bare["apiVersion"]
        pods = {"apiVersion": "v1", "kind": "PodList", "items": [bare]}
        (node.directory / "pods.json").write_text(json.dumps(pods))
        path = node.write("web.json", service())
        done = report(node.kpx("sync", "-f", path, "-f", "pods.json", "-o", "json"))
        assert done["endpoints"] == 1

    def test_slices_that_are_there_are_not_second_guessed(self, node: Node) -> None:
        path = node.write("web.json", *WEB, pod("c", "10.0.0.3"))
        assert report(node.kpx("sync", "-f", path, "-o", "json"))["endpoints"] == 2

    def test_pods_on_unknown_nodes_are_named(self, node: Node) -> None:
        pods = [pod("a", "10.0.0.1"), pod("b", "10.0.0.2", node_name="gone")]
        path = node.write("web.json", service(), node_object(), *pods)
        result = node.kpx("sync", "-f", path, "-o", "json")
        assert result.returncode == 3
        assert report(result)["endpoints"] == 1
        assert result.stderr == (
            "rejected: Pod `default/b`: spec.nodeName:"
            " there is no Node `gone` among the manifests\n"
        )

    def test_malformed_pods_are_named_and_the_others_count(self, node: Node) -> None:
        broken = pod("b", status={"podIPs": "10.0.0.2"})
        path = node.write("web.json", service(), pod("a", "10.0.0.1"), broken)
        result = node.kpx("sync", "-f", path, "-o", "json")
        assert result.returncode == 3
        assert report(result)["endpoints"] == 1
        assert result.stderr == (
            "rejected: Pod `default/b`: status.podIPs:"
            ' invalid type: string "10.0.0.2", expected a sequence\n'
        )

    @pytest.mark.parametrize("extra", [{}, {"kind": []}, {"kind": None}, 3, [1], {"kind": "Pod"}])
    def test_odd_company_does_not_disturb_them(self, node: Node, extra: Any) -> None:
        path = node.write("web.json", service(), pod("a", "10.0.0.1"), extra)
        assert report(node.kpx("sync", "-f", path, "-o", "json"))["endpoints"] == 1


class TestRejections:
    def test_what_has_no_name_is_told_all_the_same(self, node: Node) -> None:
        result = node.kpx("sync", "-f", node.write("web.json", *WEB, {}))
        assert result.returncode == 3
        assert result.stderr.startswith("rejected: an object: ")

    def test_each_is_named_and_the_rest_is_programmed(self, node: Node) -> None:
        bad = service("bad", clusterIP="10.96.0.300", clusterIPs=["10.96.0.300"])
        result = node.kpx("sync", "-f", node.write("web.json", *WEB, bad), "-o", "json")
        assert result.returncode == 3
        done = report(result)
        assert done["services"] == 1
        [rejected] = done["rejected"]
        assert (rejected["kind"], rejected["name"]) == ("Service", "default/bad")
        assert rejected["whole"] is True
        assert "10.96.0.300" in rejected["reason"]
        assert result.stderr == f"rejected: Service `default/bad`: {rejected['reason']}\n"

    def test_names_cannot_play_tricks_on_the_terminal(self, node: Node) -> None:
        bad = service("bad\x1b[2J\nrejected: nothing")
        result = node.kpx("sync", "-f", node.write("web.json", bad))
        assert result.returncode == 3
        assert len(result.stderr.splitlines()) == 1
        assert "\x1b" not in result.stderr

    def test_a_part_is_named_as_a_part(self, node: Node) -> None:
        partly = service(externalIPs=["198.51.100.1", "nowhere"])
        result = node.kpx("sync", "-f", node.write("web.json", partly, WEB[1]))
        assert result.returncode == 3
        assert result.stderr.startswith("rejected in part: Service `default/web`: ")


class TestFailures:
    """A source that cannot be read whole programs nothing."""

    @pytest.fixture(autouse=True)
    def programmed(self, node: Node) -> str:
        """The ruleset of a node that works, which no failure may change."""
        assert node.kpx("sync", "-f", node.write("web.json", *WEB)).returncode == 0
        return node.run("nft", "list", "ruleset").stdout

    @pytest.mark.parametrize(
        ("content", "error"),
        [
            ('{"kind": "List", "items": [', "error: bad.json: "),
            ('["a"]', "error: bad.json: "),
            ("", "error: no objects in `bad.json`"),
        ],
    )
    def test_json(self, node: Node, programmed: str, content: str, error: str) -> None:
        (node.directory / "bad.json").write_text(content)
        result = node.kpx("sync", "-f", node.write("none.json"), "-f", "bad.json")
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith(error)
        assert "Traceback" not in result.stderr
        assert node.run("nft", "list", "ruleset").stdout == programmed

    @pytest.mark.parametrize(
        "document",
        [
            {},
            {"kind": "Status", "status": "Failure", "code": 403},
            {"kind": "List", "items": [{"kind": "Deployment", "metadata": {"name": "a"}}]},
        ],
    )
    def test_objects_of_no_use_do_not_unprogram_the_node(
        self, node: Node, programmed: str, document: dict[str, Any]
    ) -> None:
        result = node.kpx("sync", "-f", "-", stdin=json.dumps(document))
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith(
            "error: none of the objects in the manifests (1) is of a kind"
        )
        assert node.run("nft", "list", "ruleset").stdout == programmed

    def test_truncated_json_says_where(self, node: Node) -> None:
        (node.directory / "bad.json").write_text('{"kind": "List",\n "items": [')
        result = node.kpx("sync", "-f", "bad.json")
        assert "line 2" in result.stderr

    def test_a_document_in_the_middle_says_where(self, node: Node) -> None:
        (node.directory / "bad.json").write_text('{"kind": "List"}\n{"kind"}\n{"kind": "List"}\n')
        result = node.kpx("sync", "-f", "bad.json")
        assert result.returncode == 1
        assert result.stderr.startswith("error: bad.json: document 2: ")

    def test_yaml(self, node: Node, programmed: str) -> None:
        (node.directory / "bad.yaml").write_text("kind: List\nitems: []\n---\nkind: 'Serv")
        result = node.kpx("sync", "-f", "bad.yaml")
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith("error: bad.yaml: line 4, column ")
        assert node.run("nft", "list", "ruleset").stdout == programmed

    def test_paths_cannot_play_tricks_on_the_terminal(self, node: Node) -> None:
        result = node.kpx("sync", "-f", "a\x1b[2J\nb")
        assert result.returncode == 1
        assert result.stderr == "error: the file `a\\x1b[2J\\nb` does not exist\n"

    def test_missing_files(self, node: Node, programmed: str) -> None:
        result = node.kpx("sync", "-f", node.write("none.json"), "-f", "missing.yaml")
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == "error: the file `missing.yaml` does not exist\n"
        assert node.run("nft", "list", "ruleset").stdout == programmed

    def test_no_permission(self, node: Node, programmed: str) -> None:
        # Everything but the right to change the network.
        drop = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
        if node.run(*drop, "true").returncode != 0:
            pytest.skip("`setpriv` cannot drop a capability here")
        inside = Node((*node.enter, *drop), node.directory)
        result = inside.kpx("sync", "-f", "web.json")
        assert (result.returncode, result.stdout) == (1, "")
        error, hint = result.stderr.splitlines()
        assert error.startswith("error: ")
        assert "CAP_NET_ADMIN" in hint
        assert node.run("nft", "list", "ruleset").stdout == programmed


class TestPlan:
    def test_nothing_is_written(self, node: Node) -> None:
        result = node.kpx("plan", "-f", node.write("web.json", *WEB))
        assert (result.returncode, result.stderr) == (0, "")
        assert "10.96.0.10" in result.stdout
        assert tables(node) == []

    def test_the_exit_code_tells_of_changes_only_where_asked(self, node: Node) -> None:
        path = node.write("web.json", *WEB)
        assert node.kpx("plan", "-f", path).returncode == 0
        assert node.kpx("plan", "-f", path, "--detailed-exitcode").returncode == 2
        node.kpx("sync", "-f", path)
        after = node.kpx("plan", "-f", path, "--detailed-exitcode")
        assert after.returncode == 0
        assert after.stdout.startswith("nothing to change (")

    def test_rejected_objects_do_not_hide_changes(self, node: Node) -> None:
        bad = service("bad", clusterIP="10.96.0.300", clusterIPs=["10.96.0.300"])
        path = node.write("web.json", *WEB, bad)
        assert node.kpx("plan", "-f", path).returncode == 3
        result = node.kpx("plan", "-f", path, "--detailed-exitcode")
        assert result.returncode == 2
        assert result.stderr.startswith("rejected: Service `default/bad`: ")
        node.kpx("sync", "-f", path)
        assert node.kpx("plan", "-f", path, "--detailed-exitcode").returncode == 3

    def test_json(self, node: Node) -> None:
        planned = report(node.kpx("plan", "-f", node.write("web.json", *WEB), "-o", "json"))
        assert planned["changes"]
        assert planned["summary"]
        assert (planned["rejected"], planned["ignored"]) == ([], {})

    def test_a_reader_that_goes_away_is_no_traceback(self, node: Node) -> None:
        path = node.write("web.json", *WEB)
        result = node.run("sh", "-c", f"{KPX} plan -f {path} -o nft | true")
        assert result.stderr == ""


class TestCleanup:
    def test_everything_of_kpx_goes_and_nothing_else(self, node: Node) -> None:
        node.run("nft", "add table ip mine; add table ip6 mine")
        node.kpx("sync", "-f", node.write("web.json", *WEB))
        result = node.kpx("cleanup")
        assert (result.returncode, result.stderr) == (0, "")
        assert "deleted table `ip kpx`\n" in result.stdout
        assert tables(node) == ["ip mine", "ip6 mine"]

    def test_there_may_be_nothing_to_do(self, node: Node) -> None:
        result = node.kpx("cleanup")
        assert (result.returncode, result.stdout) == (0, "nothing to delete\n")


class TestTerminal:
    """Colour is for terminals only, and never the only carrier."""

    def on_a_terminal(self, node: Node, **environment: str) -> str:
        command = f"{KPX} plan -f {node.write('web.json', *WEB)}"
        result = node.run("script", "-qec", command, "/dev/null", TERM="xterm", **environment)
        assert result.returncode == 0, result.stdout
        return result.stdout

    def test_colours(self, node: Node) -> None:
        assert "\x1b[32m+" in self.on_a_terminal(node).replace("\x1b[32m  ", "\x1b[32m")

    def test_no_color(self, node: Node) -> None:
        output = self.on_a_terminal(node, NO_COLOR="1")
        assert "\x1b[3" not in output
        assert "+" in output


class TestFlags:
    def test_flags_override_the_file(self, node: Node) -> None:
        (node.directory / "config.conf").write_text(
            "apiVersion: kubeproxy.config.k8s.io/v1alpha1\n"
            "kind: KubeProxyConfiguration\n"
            "mode: iptables\n"
            "nodePortAddresses: [nonsense]\n"
            "bindAddress: 0.0.0.0\n"
        )
        path = node.write("web.json", *WEB)
        given = ("plan", "-f", path, "--config", "config.conf")
        refused = node.kpx(*given)
        assert refused.returncode == 1
        assert refused.stderr.splitlines() == [
            "notice: config.conf: honoured: mode, nodePortAddresses",
            "notice: config.conf: ignored: bindAddress",
            "error: the configuration file asks for mode `iptables`, which kpx does not have",
            "hint: pass `--backend nftables` to program nftables all the same",
        ]
        refused = node.kpx(*given, "--backend", "nftables")
        assert refused.returncode == 1
        assert "nonsense" in refused.stderr
        accepted = node.kpx(*given, "--backend", "nftables", "--nodeport-addresses", "primary")
        assert accepted.returncode == 0, accepted.stderr

    def test_pairs_of_cidrs(self, node: Node) -> None:
        path = node.write("web.json", *WEB)
        flags = ("--cluster-cidr", "10.0.0.0/8,fd00::/64", "--nodeport-addresses", "10.0.0.0/8")
        result = node.kpx("plan", "-f", path, *flags, "-o", "nft")
        assert result.returncode == 0, result.stderr
        assert "10.0.0.0/8" in result.stdout
        assert "fd00::/64" in result.stdout

    def test_manifests_and_a_context_exclude_each_other(self, node: Node) -> None:
        result = node.kpx("plan", "-f", "web.json", "--context", "a")
        assert result.returncode == 1
        assert result.stderr.startswith("error: `--filename` and `--context` exclude each other\n")

    def test_no_source_at_all(self, node: Node) -> None:
        result = node.kpx("sync")
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.splitlines() == [
            "error: no cluster to read: this is not a Pod with a service account",
            "hint: pass manifests with `-f`, or a cluster with `--kubeconfig`",
        ]
