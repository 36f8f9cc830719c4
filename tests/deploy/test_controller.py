"""The manifests of the controller: its flags exist, and it has no rights it has no use for."""

from typing import Any

import typer.main
import yaml

from deploy.rights import CONTROLLER, RBAC, granted
from kpx.cli.commands import app
from kpx.controller import ControllerSettings


def test_the_role_grants_what_is_used_and_nothing_else() -> None:
    # That nothing else is asked for, every test of the controller checks (controller/conftest.py).
    watched = {("", name) for name in ("services", "pods", "nodes", "endpoints")}
    watched.add(("discovery.k8s.io", "endpointslices"))
    used = {(*resource, verb) for resource in watched for verb in ("list", "watch")}
    written = [("", "endpoints"), ("discovery.k8s.io", "endpointslices")]
    used |= {(*resource, verb) for resource in written for verb in ("create", "update", "delete")}
    used |= {("events.k8s.io", "events", verb) for verb in ("create", "patch")}
    used |= {("", f"{owner}/finalizers", "update") for owner in ("services", "endpoints")}
    used |= {("", resource, "get") for resource in ("services", "endpoints")}
    assert granted("ClusterRole") == used
    leases = {("coordination.k8s.io", "leases", verb) for verb in ("create", "get", "update")}
    assert granted("Role") == leases


def test_the_lease_is_the_one_that_is_granted() -> None:
    [role] = [one for one in RBAC if one["kind"] == "Role"]
    settings = ControllerSettings()
    assert role["metadata"]["namespace"] == settings.lease_namespace
    assert role["rules"][1]["resourceNames"] == [settings.lease_name]


def test_the_deployment_has_the_least_privilege_and_flags_that_exist() -> None:
    deployment: dict[str, Any] = yaml.safe_load((CONTROLLER / "deployment.yaml").read_text())
    pod = deployment["spec"]["template"]["spec"]
    assert not {"hostNetwork", "hostPID", "hostIPC", "volumes"} & set(pod)
    accounts = [one for one in RBAC if one["kind"] == "ServiceAccount"]
    assert [one["metadata"]["name"] for one in accounts] == [pod["serviceAccountName"]]
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    command: Any = typer.main.get_command(app)
    parameters = command.commands[container["args"][0]].params
    flags = {flag for parameter in parameters for flag in parameter.opts}
    assert {argument.split("=")[0] for argument in container["args"][1:]} <= flags
