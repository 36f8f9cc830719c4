"""`kpx controller --once`: manifests in, EndpointSlices out."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from fakes.apiserver import (
    ENDPOINT_SLICES,
    LEASES,
    NODES,
    PODS,
    SERVICES,
    ApiServer,
    write_kubeconfig,
)
from objects import node, pod, service

Object = dict[str, Any]


def kpx(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    return subprocess.run(
        [sys.executable, "-m", "kpx", "controller", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=environment,
    )


def listed(*objects: Object) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


WEB = listed(service(), node(), pod("a", "10.0.0.1"), pod("b", "10.0.0.2", ready=False))


def test_slices_are_printed_as_yaml_documents() -> None:
    done = kpx("--once", "-f", "-", stdin=WEB)
    assert (done.returncode, done.stderr) == (0, "")
    [printed] = yaml.safe_load_all(done.stdout)
    assert printed["metadata"]["name"] == "web-ipv4-0"
    assert printed["ports"] == [{"name": "", "protocol": "TCP", "port": 8080}]
    assert [
        (endpoint["addresses"], endpoint["conditions"]["ready"], endpoint["zone"])
        for endpoint in printed["endpoints"]
    ] == [(["10.0.0.1"], True, "a"), (["10.0.0.2"], False, "a")]


def test_what_is_printed_is_what_is_kept(tmp_path: Path) -> None:
    first = kpx("--once", "-f", "-", stdin=WEB)
    (tmp_path / "slices.yaml").write_text(first.stdout)
    (tmp_path / "web.json").write_text(WEB)
    second = kpx("--once", "-f", str(tmp_path))
    assert second.returncode == 0
    assert second.stdout == first.stdout


def test_slices_that_exist_are_filled(tmp_path: Path) -> None:
    (tmp_path / "slices.yaml").write_text(kpx("--once", "-f", "-", stdin=WEB).stdout)
    (tmp_path / "web.json").write_text(listed(service(), pod("c", "10.0.0.3")))
    done = kpx("--once", "-f", str(tmp_path), "-o", "json")
    [printed] = json.loads(done.stdout)["items"]
    assert printed["metadata"]["name"] == "web-ipv4-0"
    assert [endpoint["addresses"] for endpoint in printed["endpoints"]] == [["10.0.0.3"]]


def test_slices_of_another_manager_are_not_touched(tmp_path: Path) -> None:
    (tmp_path / "slices.yaml").write_text(kpx("--once", "-f", "-", stdin=WEB).stdout)
    (tmp_path / "web.json").write_text(WEB)
    done = kpx("--once", "-f", str(tmp_path), "--managed-by", "mine", "-o", "json")
    [printed] = json.loads(done.stdout)["items"]
    assert printed["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == "mine"


def test_no_slices_are_an_empty_list() -> None:
    done = kpx("--once", "-f", "-", stdin=listed(service(type="ExternalName")))
    assert done.returncode == 0
    assert yaml.safe_load(done.stdout) == {"apiVersion": "v1", "kind": "List", "items": []}


def test_the_limit_per_slice_is_taken() -> None:
    done = kpx("--once", "-f", "-", "--max-endpoints-per-slice", "1", stdin=WEB)
    assert len(list(yaml.safe_load_all(done.stdout))) == 2


def test_it_runs_on_a_cluster_until_it_is_told_to_stop(tmp_path: Path) -> None:
    with ApiServer() as server:
        server.put(SERVICES, service())
        server.put(NODES, node())
        server.put(PODS, pod("a", "10.0.0.1"))
        command = [sys.executable, "-m", "kpx", "controller", "--metrics-bind-address", "none"]
        kubeconfig = write_kubeconfig(server.url, tmp_path)
        with subprocess.Popen(
            [*command, "--kubeconfig", kubeconfig], stderr=subprocess.PIPE, text=True
        ) as process:
            deadline = time.monotonic() + 20
            while not server.get(ENDPOINT_SLICES):
                assert time.monotonic() < deadline, "nothing is published"
                time.sleep(0.02)
            process.terminate()
            _, stderr = process.communicate(timeout=20)
        assert process.returncode == 0, stderr
        [made] = server.get(ENDPOINT_SLICES)
        assert [endpoint["addresses"] for endpoint in made["endpoints"]] == [["10.0.0.1"]]
        assert server.get(LEASES)[0]["spec"]["holderIdentity"] == "", "the lease is given back"


def test_endpoints_come_beside_the_slices() -> None:
    done = kpx("--once", "-f", "-", "--endpoints", stdin=WEB)
    kinds = [printed["kind"] for printed in yaml.safe_load_all(done.stdout)]
    assert kinds == ["EndpointSlice", "Endpoints"]


def test_objects_that_are_left_out_are_named() -> None:
    lost = pod("lost", "10.0.0.3", node_name="gone")
    broken = service("broken", publishNotReadyAddresses="yes")
    done = kpx("--once", "-f", "-", stdin=listed(service(), node(), lost, broken))
    assert done.returncode == 3
    assert done.stderr == (
        "rejected: Service `default/broken`: `publishNotReadyAddresses` is a str, not a bool\n"
        "rejected: Pod `default/lost`: spec.nodeName:"
        " there is no Node `gone` among the manifests\n"
    )


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["-f", "-"], WEB, "error: `--once` and `--filename` go together"),
        (["--once", "-f", "-"], "{]", "error: standard input"),
        (["--once", "-f", "missing"], "", "error: the file `missing` does not exist"),
        (["--once"], "", "error: `--once` and `--filename` go together"),
        ([], "", "error: no cluster to read: this is not a Pod with a service account"),
        (["--once", "-f", "-", "--max-endpoints-per-slice", "1001"], WEB, "error: Invalid value"),
    ],
)
def test_wrong_usage_prints_nothing_to_stdout(
    arguments: list[str], stdin: str, message: str
) -> None:
    done = kpx(*arguments, stdin=stdin)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(message), done.stderr
