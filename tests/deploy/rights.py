"""What the controller's roles grant."""

from pathlib import Path

import yaml

CONTROLLER = Path(__file__).parents[2] / "deploy" / "controller"
RBAC = list(yaml.safe_load_all((CONTROLLER / "rbac.yaml").read_text()))

Grant = tuple[str, str, str]
"""API group, resource and verb."""


def granted(kind: str) -> set[Grant]:
    """The rights of the only role of a kind."""
    [role] = [one for one in RBAC if one["kind"] == kind]
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
