from pathlib import Path
from typing import Any

import typer.main
import yaml

from kpx.cli.commands import app

DEPLOY = Path(__file__).parents[2] / "deploy" / "dns" / "dns.yaml"


def test_p19_flags_and_rights_of_the_deployment_exist() -> None:
    objects: dict[str, Any] = {
        document["kind"]: document for document in yaml.safe_load_all(DEPLOY.read_text())
    }
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    command: Any = typer.main.get_command(app)
    for word in container["args"][:2]:
        command = command.commands[word]
    flags = {flag for parameter in command.params for flag in parameter.opts}
    assert {argument.split("=")[0] for argument in container["args"][2:]} <= flags
    granted = {name for rule in objects["ClusterRole"]["rules"] for name in rule["resources"]}
    assert granted == {"services", "endpointslices"}
