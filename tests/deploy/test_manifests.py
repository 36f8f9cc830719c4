"""The manifests under deploy/: least privilege, and a chart that says the same as the base."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kpx.kube import Resource, resources
from kpx.kube.resources import EVENTS

DEPLOY = Path(__file__).parents[2] / "deploy"
BASE = DEPLOY / "base"
CHART = DEPLOY / "chart"
NAMES = ("serviceaccount", "clusterrole", "clusterrolebinding", "daemonset")
PLACEHOLDER = re.compile(r"\{\{ \.(Values|Release)\.([A-Za-z.]+) \}\}")
BLOCK = re.compile(r"\n *\{\{- toYaml \.Values\.([A-Za-z.]+) \| nindent ([0-9]+) \}\}")

Object = dict[str, Any]


def base(name: str) -> Object:
    parsed: Object = yaml.safe_load((BASE / f"{name}.yaml").read_text())
    return parsed


def rendered(name: str) -> Object:
    """Renders a template of the chart; it uses nothing of Helm's language but these two forms."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    text = (CHART / "templates" / f"{name}.yaml").read_text()

    def value(path: str) -> Any:
        found = values
        for part in path.split("."):
            found = found[part]
        return found

    def block(match: re.Match[str]) -> str:
        lines = yaml.safe_dump(value(match[1])).splitlines()
        return "".join(f"\n{' ' * int(match[2])}{line}" for line in lines)

    def placeholder(match: re.Match[str]) -> str:
        return "kube-system" if match[1] == "Release" else str(value(match[2]))

    text = PLACEHOLDER.sub(placeholder, BLOCK.sub(block, text))
    assert "{{" not in text
    parsed: Object = yaml.safe_load(text)
    return parsed


@pytest.mark.parametrize("name", NAMES)
def test_the_chart_says_what_the_base_says(name: str) -> None:
    assert rendered(name) == base(name)


def test_base_and_chart_are_whole() -> None:
    listed = base("kustomization")["resources"]
    assert sorted(listed) == sorted(f"{name}.yaml" for name in NAMES)
    assert {path.stem for path in (CHART / "templates").iterdir()} == set(NAMES)
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    cargo = (DEPLOY.parent / "Cargo.toml").read_text()
    assert f'version = "{chart["appVersion"]}"' in cargo


def test_kubectl_renders_the_base() -> None:
    rendered = subprocess.run(
        ["kubectl", "kustomize", str(BASE)], capture_output=True, text=True, check=True
    )
    objects = {item["kind"]: item for item in yaml.safe_load_all(rendered.stdout)}
    assert objects == {item["kind"]: item for item in map(base, NAMES)}


def test_the_role_grants_what_the_code_reads_and_nothing_else() -> None:
    granted = {
        (group, resource, verb)
        for rule in base("clusterrole")["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    used = set()
    verbs: dict[Resource, tuple[str, ...]]
    verbs = dict.fromkeys(resources("node"), ("get", "list", "watch"))
    verbs[EVENTS] = ("create", "patch")
    for resource, allowed in verbs.items():
        parts = resource.path.split("/")
        group = parts[2] if parts[1] == "apis" else ""
        used |= {(group, resource.name, verb) for verb in allowed}
    assert granted == used
    binding = base("clusterrolebinding")
    assert binding["roleRef"]["name"] == base("clusterrole")["metadata"]["name"]
    assert binding["subjects"][0]["name"] == base("serviceaccount")["metadata"]["name"]


def test_the_agent_has_the_least_privilege() -> None:
    pod = base("daemonset")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "runAsUser": 0,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]},
    }
    assert pod["hostNetwork"] is True
    assert not {"hostPID", "hostIPC", "volumes"} & set(pod)
    assert container["args"][0] == "run"
