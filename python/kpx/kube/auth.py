"""Where the API server is, and who we are to it."""

import os
from typing import TYPE_CHECKING

from kpx.errors import ClusterUnreadable

if TYPE_CHECKING:
    from kubernetes.client import Configuration

__all__ = ["load_configuration"]


def load_configuration(kubeconfig: str | None, context: str | None) -> "Configuration":
    """Loads the client's configuration.

    Args:
        kubeconfig: A kubeconfig file, or several with `:` between them.
        context: A context of it, other than its current one. With a context and no file, the file
            is `~/.kube/config`. Without both, the service account of the Pod we run in is used.

    Raises:
        ClusterUnreadable: There is no such file, context or service account, or it is malformed.
    """
    from kubernetes.client import Configuration
    from kubernetes.config import ConfigException, load_incluster_config, load_kube_config
    from kubernetes.config.incluster_config import SERVICE_TOKEN_FILENAME

    configuration = Configuration()
    try:
        if kubeconfig is None and context is None:
            load_incluster_config(client_configuration=configuration)
            _follow_token(configuration, SERVICE_TOKEN_FILENAME)
        else:
            load_kube_config(
                config_file=kubeconfig and os.path.expanduser(kubeconfig),
                context=context,
                client_configuration=configuration,
                persist_config=False,
            )
            token_file = _token_file(kubeconfig, context)
            if token_file:
                _follow_token(configuration, token_file)
    except ConfigException as failure:
        if kubeconfig is None and context is None:
            raise ClusterUnreadable(
                "no cluster to read: this is not a Pod with a service account",
                "pass manifests with `-f`, or a cluster with `--kubeconfig`",
            ) from failure
        raise ClusterUnreadable(
            f"cannot use the kubeconfig `{kubeconfig or '~/.kube/config'}`: {_flat(failure)}"
        ) from failure
    except Exception as failure:
        # The loader lets out what YAML, base64, plug-ins and file access raise, of no common type.
        raise ClusterUnreadable(
            f"cannot use the kubeconfig `{kubeconfig or '~/.kube/config'}`: {_flat(failure)}"
        ) from failure
    return configuration


def _follow_token(configuration: "Configuration", path: str) -> None:
    """Reads a token again before each request: it is replaced while we run, mostly hourly."""

    def read(configuration: "Configuration") -> None:
        try:
            with open(path, encoding="ascii") as file:
                token = file.read().strip()
        except (OSError, ValueError):
            return
        if token:
            # The official client has called it by either name, depending on its version.
            name = "BearerToken" if "BearerToken" in configuration.api_key else "authorization"
            configuration.api_key[name] = f"Bearer {token}"

    configuration.refresh_api_key_hook = read
    read(configuration)


def _token_file(kubeconfig: str | None, context: str | None) -> str | None:
    """The file that a kubeconfig names for the token of its user, which the loader reads once."""
    from kubernetes.config.kube_config import KubeConfigMerger

    config = KubeConfigMerger(os.path.expanduser(kubeconfig or "~/.kube/config")).config
    chosen = config["contexts"].get_with_name(context or config["current-context"])
    user = chosen.value["context"].get("user")
    entry = config["users"].get_with_name(user, safe=True) if user else None
    if not entry:
        return None
    settings = entry.value.get("user") or {}
    path = None if settings.get("token") else settings.get("tokenFile")
    return os.path.join(os.path.dirname(entry.path or ""), str(path)) if path else None


def _flat(failure: Exception) -> str:
    return " ".join(str(failure).split()) or type(failure).__name__
