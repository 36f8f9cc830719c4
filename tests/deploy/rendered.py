"""Renders the chart by Helm's own code and the base by `kubectl`, and checks both.

Run by `make test-deploy`, which installs what it needs: Helm as a library is 85 MB. Both must say
the same, and every object must be valid by the schemas of Kubernetes, with no field that these do
not know.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
VERSIONS = ("1.29", "1.33", "1.36")
"""Of Kubernetes, whose schemas count."""


def main() -> int:
    """Prints what was checked; returns the exit code."""
    with helm_python.Chart.load(str(DEPLOY / "chart")) as chart:
        templates = chart.render({}, name="kpx", namespace="kube-system")
        changed = chart.render(
            {"image": "registry.example/kpx:1", "args": ["run", "--counters"]},
            name="kpx",
            namespace="elsewhere",
        )
    of_chart = objects("\n---\n".join(templates.values()))
    base = subprocess.run(
        ["kubectl", "kustomize", str(DEPLOY / "base")], check=True, capture_output=True, text=True
    )
    of_base = objects(base.stdout)
    others = [DEPLOY / "controller" / "rbac.yaml", DEPLOY / "dns" / "dns.yaml"]
    of_others = {key: item for path in others for key, item in objects(path.read_text()).items()}
    failures = [f"only the chart or the base has {key}" for key in of_chart.keys() ^ of_base.keys()]
    failures += [f"{key} differs" for key in of_base if of_chart.get(key) != of_base[key]]
    text = "\n---\n".join(changed.values())
    failures += [
        f"the chart does not honour `{value}`"
        for value in ("registry.example/kpx:1", "--counters", "namespace: elsewhere")
        if value not in text
    ]
    for version in VERSIONS:
        for key, item in {**of_base, **of_others}.items():
            try:
                kubernetes_validate.validate(item, version, strict=True)
            except kubernetes_validate.ValidationError as invalid:
                failures.append(f"{key} is not valid for Kubernetes {version}: {invalid.message}")
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"rendered {len(of_chart)} objects by Helm and {len(of_base)} by kubectl")
    print(f"validated {len(of_base) + len(of_others)} objects for {', '.join(VERSIONS)}")
    return 1 if failures else 0


def objects(text: str) -> dict[str, Any]:
    """The objects of a stream of YAML by kind and name."""
    documents = (one for one in yaml.safe_load_all(re.sub(r"(?m)^# Source:.*$", "", text)) if one)
    return {f"{one['kind']} {one['metadata']['name']}": one for one in documents}


if __name__ == "__main__":
    sys.exit(main())
